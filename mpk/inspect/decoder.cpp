#include "mpk/inspect/decoder.h"

namespace mpk::inspect {

namespace {

ZydisDecoder make_decoder() {
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE);
    return decoder;
}

const ZydisDecoder kDecoder = make_decoder();

}  // namespace

bool decode(std::span<const std::byte> bytes, Instruction& instruction) {
    return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&kDecoder, nullptr, bytes.data(), bytes.size(), &instruction));
}

std::optional<SiteKind> powerful_kind(const Instruction& instruction) {
    // Intel SDM vol. 2, "Protected Mode Exceptions" and "64-Bit Mode Exceptions" of each: what CPL 3 gets.
    switch (instruction.mnemonic) {
        case ZYDIS_MNEMONIC_WRPKRU: return SiteKind::kWritePkru;
        case ZYDIS_MNEMONIC_POPF:
        case ZYDIS_MNEMONIC_POPFD:
        case ZYDIS_MNEMONIC_POPFQ: return SiteKind::kPopFlags;

        case ZYDIS_MNEMONIC_HLT:
        case ZYDIS_MNEMONIC_CLI:
        case ZYDIS_MNEMONIC_STI:
        case ZYDIS_MNEMONIC_IN:
        case ZYDIS_MNEMONIC_OUT:
        case ZYDIS_MNEMONIC_INSB:
        case ZYDIS_MNEMONIC_INSW:
        case ZYDIS_MNEMONIC_INSD:
        case ZYDIS_MNEMONIC_OUTSB:
        case ZYDIS_MNEMONIC_OUTSW:
        case ZYDIS_MNEMONIC_OUTSD:
        case ZYDIS_MNEMONIC_RDMSR:
        case ZYDIS_MNEMONIC_WRMSR:
        case ZYDIS_MNEMONIC_RDPMC:
        case ZYDIS_MNEMONIC_LGDT:
        case ZYDIS_MNEMONIC_LIDT:
        case ZYDIS_MNEMONIC_LLDT:
        case ZYDIS_MNEMONIC_LTR:
        case ZYDIS_MNEMONIC_LMSW:
        case ZYDIS_MNEMONIC_CLTS:
        case ZYDIS_MNEMONIC_XSETBV:
        case ZYDIS_MNEMONIC_XSAVES:
        case ZYDIS_MNEMONIC_XSAVES64:
        case ZYDIS_MNEMONIC_XRSTORS:
        case ZYDIS_MNEMONIC_XRSTORS64:
        case ZYDIS_MNEMONIC_INVD:
        case ZYDIS_MNEMONIC_WBINVD:
        case ZYDIS_MNEMONIC_INVLPG:
        case ZYDIS_MNEMONIC_INVPCID:
        case ZYDIS_MNEMONIC_SYSRET:
        case ZYDIS_MNEMONIC_SYSEXIT:
        case ZYDIS_MNEMONIC_SWAPGS:
        case ZYDIS_MNEMONIC_PCONFIG:
        case ZYDIS_MNEMONIC_IRET:
        case ZYDIS_MNEMONIC_IRETD:
        case ZYDIS_MNEMONIC_IRETQ: return SiteKind::kGeneralProtection;

        case ZYDIS_MNEMONIC_INT:
            // int 3 in two bytes is the trap that it is at every ring (its gate has DPL 3).
            if (instruction.raw.imm[0].value.u == 3) return std::nullopt;
            return SiteKind::kGeneralProtection;

        case ZYDIS_MNEMONIC_MOV:
            // To and from control and debug registers.
            if (instruction.opcode_map == ZYDIS_OPCODE_MAP_0F && instruction.opcode >= 0x20 &&
                instruction.opcode <= 0x23)
                return SiteKind::kGeneralProtection;
            return std::nullopt;

        case ZYDIS_MNEMONIC_RET:
            // Far: CA, CB.
            if (instruction.opcode == 0xca || instruction.opcode == 0xcb) return SiteKind::kGeneralProtection;
            return std::nullopt;
        case ZYDIS_MNEMONIC_CALL:
        case ZYDIS_MNEMONIC_JMP:
            // Far: FF /3, FF /5.
            if (instruction.opcode == 0xff && (instruction.raw.modrm.reg == 3 || instruction.raw.modrm.reg == 5))
                return SiteKind::kGeneralProtection;
            return std::nullopt;

        case ZYDIS_MNEMONIC_MONITOR:
        case ZYDIS_MNEMONIC_MWAIT:
        case ZYDIS_MNEMONIC_CLAC:
        case ZYDIS_MNEMONIC_STAC:
        case ZYDIS_MNEMONIC_VMCALL:
        case ZYDIS_MNEMONIC_VMLAUNCH:
        case ZYDIS_MNEMONIC_VMRESUME:
        case ZYDIS_MNEMONIC_VMXOFF:
        case ZYDIS_MNEMONIC_VMXON:
        case ZYDIS_MNEMONIC_VMFUNC:
        case ZYDIS_MNEMONIC_VMREAD:
        case ZYDIS_MNEMONIC_VMWRITE:
        case ZYDIS_MNEMONIC_VMPTRLD:
        case ZYDIS_MNEMONIC_VMPTRST:
        case ZYDIS_MNEMONIC_VMCLEAR:
        case ZYDIS_MNEMONIC_INVEPT:
        case ZYDIS_MNEMONIC_INVVPID:
        case ZYDIS_MNEMONIC_VMRUN:
        case ZYDIS_MNEMONIC_VMMCALL:
        case ZYDIS_MNEMONIC_VMLOAD:
        case ZYDIS_MNEMONIC_VMSAVE:
        case ZYDIS_MNEMONIC_STGI:
        case ZYDIS_MNEMONIC_CLGI:
        case ZYDIS_MNEMONIC_SKINIT:
        case ZYDIS_MNEMONIC_INVLPGA:
        case ZYDIS_MNEMONIC_INVLPGB:
        case ZYDIS_MNEMONIC_TLBSYNC:
        case ZYDIS_MNEMONIC_RMPADJUST:
        case ZYDIS_MNEMONIC_RMPUPDATE:
        case ZYDIS_MNEMONIC_PVALIDATE:
        case ZYDIS_MNEMONIC_PSMASH:
        case ZYDIS_MNEMONIC_ENCLS:
        case ZYDIS_MNEMONIC_ENCLV:
        case ZYDIS_MNEMONIC_GETSEC:
        case ZYDIS_MNEMONIC_TDCALL:
        case ZYDIS_MNEMONIC_SEAMCALL:
        case ZYDIS_MNEMONIC_SEAMOPS:
        case ZYDIS_MNEMONIC_SEAMRET:
        case ZYDIS_MNEMONIC_RSM: return SiteKind::kInvalidOpcode;
        default: return std::nullopt;
    }
}

Flow flow_of(const Instruction& instruction) {
    Flow flow;
    const auto& immediate = instruction.raw.imm[0];
    if (immediate.is_relative) {
        flow.has_target = true;
        flow.target = immediate.value.s;
    }
    switch (instruction.mnemonic) {
        case ZYDIS_MNEMONIC_JMP:
        case ZYDIS_MNEMONIC_RET:
        case ZYDIS_MNEMONIC_IRET:
        case ZYDIS_MNEMONIC_IRETD:
        case ZYDIS_MNEMONIC_IRETQ:
        case ZYDIS_MNEMONIC_SYSRET:
        case ZYDIS_MNEMONIC_SYSEXIT:
        case ZYDIS_MNEMONIC_HLT:
        case ZYDIS_MNEMONIC_UD0:
        case ZYDIS_MNEMONIC_UD1:
        case ZYDIS_MNEMONIC_UD2: flow.falls_through = false; break;
        default: break;
    }
    return flow;
}

}  // namespace mpk::inspect
