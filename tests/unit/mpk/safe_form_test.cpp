#include "mpk/inspect/safe_form.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

#include "mpk/inspect/sequences.h"
#include "native_run.h"

namespace mpk::inspect {
namespace {

std::vector<std::byte> bytes(std::initializer_list<int> list) {
    std::vector<std::byte> out;
    for (int byte : list) out.push_back(static_cast<std::byte>(byte));
    return out;
}

class MapMemory final : public Memory {
  public:
    Result<uint64_t> read(uint64_t address, unsigned bytes) override {
        if (bytes != 8 || !words.contains(address)) return fail(Errno::kFault);
        return words[address];
    }
    Result<void> write64(uint64_t address, uint64_t value) override {
        if (!words.contains(address)) return fail(Errno::kFault);
        words[address] = value;
        return {};
    }
    std::map<uint64_t, uint64_t> words;
};

// This process's own.
class OwnMemory final : public Memory {
  public:
    Result<uint64_t> read(uint64_t address, unsigned bytes) override {
        uint64_t value = 0;
        memcpy(&value, reinterpret_cast<const void*>(address), bytes);
        return value;
    }
    Result<void> write64(uint64_t, uint64_t) override { return fail(Errno::kFault); }
};

// Carries out an instruction that is emulated.
Registers emulated(std::initializer_list<int> code, Registers registers, MapMemory& memory) {
    auto form = safe_form(bytes(code));
    EXPECT_TRUE(form);
    EXPECT_NE(form->action, Action::kStep);
    EXPECT_TRUE(apply(*form, registers, memory));
    return registers;
}
Registers emulated(std::initializer_list<int> code, Registers registers) {
    MapMemory memory;
    return emulated(code, registers, memory);
}

constexpr uint64_t kRip = 0x401000;

Registers at_start() {
    Registers registers;
    registers.rip = kRip;
    return registers;
}

TEST(SafeForm, Jumps) {
    EXPECT_EQ(emulated({0xeb, 0xfe}, at_start()).rip, kRip);
    EXPECT_EQ(emulated({0xe9, 0x0f, 0x30, 0, 0}, at_start()).rip, kRip + 5 + 0x300f);
    EXPECT_EQ(emulated({0xe9, 0xf1, 0xff, 0xff, 0xff}, at_start()).rip, kRip + 5 - 15);
}

// Each condition with each combination of the flags that it looks at, against this processor.
TEST(SafeForm, ConditionalJumpsAsTheProcessorTakesThem) {
    NativeMemory memory;
    if (!memory.usable()) GTEST_SKIP() << "no memory that is writable and executable";
    for (int condition = 0; condition < 16; condition++) {
        // jcc over `mov al, 1`
        auto code = bytes({0x70 | condition, 0x02, 0xb0, 0x01});
        for (unsigned bits = 0; bits < 32; bits++) {
            uint64_t flags = 2 | (bits & 1) | (bits & 2 ? 4 : 0) | (bits & 4 ? 0x40 : 0) | (bits & 8 ? 0x80 : 0) |
                             (bits & 16 ? 0x800 : 0);
            NativeState state;
            state.flags = flags;
            state.general[4] = memory.address() + 0x8000;
            memory.run(code, 0x100, state);
            Registers registers = at_start();
            registers.flags = flags;
            registers = emulated({0x70 | condition, 0x02}, registers);
            EXPECT_EQ(registers.rip == kRip + 4, state.general[0] == 0) << condition << " " << flags;
        }
    }
}

TEST(SafeForm, Loops) {
    Registers registers = at_start();
    registers[Register::kRcx] = 2;
    registers = emulated({0xe2, 0x10}, registers);
    EXPECT_EQ(registers.rip, kRip + 0x12);
    EXPECT_EQ(registers[Register::kRcx], 1u);
    registers.rip = kRip;
    EXPECT_EQ(emulated({0xe2, 0x10}, registers).rip, kRip + 2);
    registers[Register::kRcx] = uint64_t{1} << 32;
    registers.rip = kRip;
    EXPECT_EQ(emulated({0xe3, 0x10}, registers).rip, kRip + 2);           // jrcxz
    EXPECT_EQ(emulated({0x67, 0xe3, 0x10}, registers).rip, kRip + 0x13);  // jecxz
}

TEST(SafeForm, CallsAndReturns) {
    MapMemory memory;
    memory.words = {{0x7ff8, 0}, {0x8000, 0x1234}, {0x403015, 0x5678}};
    Registers registers = at_start();
    registers[Register::kRsp] = 0x8000;
    Registers after = emulated({0xe8, 0x0f, 0x30, 0, 0}, registers, memory);
    EXPECT_EQ(after.rip, kRip + 5 + 0x300f);
    EXPECT_EQ(after[Register::kRsp], 0x7ff8u);
    EXPECT_EQ(memory.words[0x7ff8], kRip + 5);
    EXPECT_EQ(emulated({0xc2, 0x10, 0x00}, registers, memory)[Register::kRsp], 0x8018u);
    EXPECT_EQ(emulated({0xff, 0x25, 0x0f, 0x20, 0, 0}, registers, memory).rip, 0x5678u);  // jmp [rip+0x200f]
    after = emulated({0xff, 0x15, 0x0f, 0x20, 0, 0}, registers, memory);                  // call [rip+0x200f]
    EXPECT_EQ(after.rip, 0x5678u);
    EXPECT_EQ(memory.words[0x7ff8], kRip + 6);
}

TEST(SafeForm, FaultsLeaveTheRegisters) {
    MapMemory memory;
    Registers registers = at_start();
    registers[Register::kRsp] = 0x8000;
    for (auto code : {bytes({0xe8, 0, 0, 0, 0}), bytes({0xc3}), bytes({0xff, 0x25, 0, 0, 0, 0}), bytes({0xff, 0xd0})}) {
        Registers before = registers;
        auto done = apply(*safe_form(code), registers, memory);
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error(), Errno::kFault);
        EXPECT_EQ(registers.rip, before.rip);
        EXPECT_EQ(registers[Register::kRsp], before[Register::kRsp]);
    }
}

TEST(SafeForm, Constants) {
    Registers registers = at_start();
    registers[Register::kRax] = ~uint64_t{0};
    EXPECT_EQ(emulated({0xb8, 0x0f, 0x30, 0, 0}, registers)[Register::kRax], 0x300fu);
    EXPECT_EQ(emulated({0x48, 0xc7, 0xc0, 0x0f, 0x30, 0, 0x80}, registers)[Register::kRax], 0xffff'ffff'8000'300f);
    EXPECT_EQ(emulated({0x66, 0xb8, 0x0f, 0x30}, registers)[Register::kRax], 0xffff'ffff'ffff'300f);
    EXPECT_EQ(emulated({0xb4, 0x0f}, registers)[Register::kRax], 0xffff'ffff'ffff'0fff);  // mov ah, 15
    EXPECT_EQ(emulated({0x48, 0xb8, 0x0f, 0x30, 0, 0, 0, 0, 0, 0x80}, registers)[Register::kRax], 0x8000'0000'0000'300f);
    EXPECT_EQ(emulated({0x48, 0x8d, 0x05, 0x0f, 0x30, 0, 0}, registers)[Register::kRax], kRip + 7 + 0x300f);
    registers[Register::kRdi] = 0x100, registers[Register::kRcx] = 3;
    EXPECT_EQ(emulated({0x48, 0x8d, 0x7c, 0xcf, 0x20}, registers)[Register::kRdi], 0x138u);  // lea rdi, [rdi+rcx*8+32]
}

TEST(SafeForm, NeverForPowerfulInstructions) {
    for (auto code : {bytes({0x0f, 0x30}), bytes({0x0f, 0x01, 0xef}), bytes({0xf4}), bytes({0x0f, 0x05}), bytes({0xcc}),
                      bytes({0xcd, 0x80}), bytes({0x9d}), bytes({0x8e, 0xd0}), bytes({0xff, 0x2c, 0x24}), bytes({0x06}),
                      bytes({})})
        EXPECT_FALSE(safe_form(code));
}

// Every form, stepped or emulated, gives what the instruction itself gives: registers, flags, vectors, memory.
TEST(SafeForm, FormsDoWhatTheInstructionDoes) {
    NativeMemory memory;
    if (!memory.usable()) GTEST_SKIP() << "no memory that is writable and executable";
    const std::vector<std::vector<std::byte>> instructions = {
        bytes({0x48, 0x8b, 0x05, 0x0f, 0x30, 0, 0}),                          // mov rax, [rip+0x300f]
        bytes({0x88, 0x25, 0x0f, 0x30, 0, 0}),                                // mov [rip+0x300f], ah
        bytes({0x30, 0xa7, 0x0f, 0x30, 0, 0}),                                // xor [rdi+0x300f], ah
        bytes({0x02, 0xbe, 0x0f, 0x30, 0, 0}),                                // add bh, [rsi+0x300f]
        bytes({0x0f, 0xb0, 0xbe, 0x0f, 0x30, 0, 0}),                          // cmpxchg [rsi+0x300f], bh
        bytes({0x81, 0x3d, 0x0f, 0x30, 0, 0, 0x0f, 0x30, 0, 0}),              // cmp dword [rip+0x300f], 0x300f
        bytes({0x48, 0x81, 0x2d, 0x0f, 0x30, 0, 0, 0x0f, 0x30, 0, 0x80}),     // sub qword [rip+0x300f], imm
        bytes({0x80, 0x8f, 0x0f, 0x30, 0, 0, 0x0f}),                          // or byte [rdi+0x300f], 15
        bytes({0x81, 0xe6, 0x0f, 0x30, 0, 0}),                                // and esi, 0x300f
        bytes({0x49, 0x81, 0xf0, 0x0f, 0x30, 0, 0}),                          // xor r8, 0x300f
        bytes({0x25, 0x0f, 0x30, 0, 0}),                                      // and eax, 0x300f
        bytes({0x48, 0x15, 0x0f, 0x30, 0, 0x80}),                             // adc rax, imm
        bytes({0x66, 0x05, 0x0f, 0x30}),                                      // add ax, 0x300f
        bytes({0xa9, 0x0f, 0x30, 0, 0}),                                      // test eax, 0x300f
        bytes({0xf7, 0xc3, 0x0f, 0x30, 0, 0}),                                // test ebx, 0x300f
        bytes({0xf7, 0x87, 0, 0x30, 0, 0, 0x0f, 0x30, 0, 0}),                 // test dword [rdi+0x3000], 0x300f
        bytes({0xc7, 0x87, 0, 0x30, 0, 0, 0x0f, 0x30, 0, 0}),                 // mov dword [rdi+0x3000], 0x300f
        bytes({0x48, 0xc7, 0x05, 0x0f, 0x30, 0, 0, 0x0f, 0x30, 0, 0x80}),     // mov qword [rip+0x300f], imm
        bytes({0x68, 0x0f, 0x30, 0, 0x80}),                                   // push imm
        bytes({0x69, 0xc0, 0x0f, 0x30, 0, 0}),                                // imul eax, eax, 0x300f
        bytes({0x4d, 0x69, 0xff, 0x0f, 0x30, 0, 0}),                          // imul r15, r15, 0x300f
        bytes({0x4c, 0x03, 0x64, 0x0f, 0x08}),                                // add r12, [rdi+rcx+8]
        bytes({0x0f, 0xb6, 0x44, 0x0f, 0x20}),                                // movzx eax, byte [rdi+rcx+32]
        bytes({0x66, 0x41, 0x89, 0x54, 0x0f, 0x08}),                          // mov [r15+rcx+8], dx
        bytes({0xc6, 0x44, 0x24, 0x0f, 0x20}),                                // mov byte [rsp+15], 32
        bytes({0xff, 0xb4, 0x24, 0x0f, 0x30, 0, 0}),                          // push qword [rsp+0x300f]
        bytes({0xf3, 0x0f, 0x7f, 0x4f, 0x0f}),                                // movdqu [rdi+15], xmm1
        bytes({0x66, 0x0f, 0x3a, 0x0f, 0x07, 0x05}),                          // palignr xmm0, [rdi], 5
        bytes({0xf0, 0x0f, 0xc1, 0x86, 0x0f, 0x30, 0, 0}),                    // lock xadd [rsi+0x300f], eax
        bytes({0x67, 0x8d, 0x44, 0x0f, 0x30}),                                // lea eax, [edi+ecx+48]
        bytes({0x8b, 0x05, 0x0f, 0x30, 0, 0}),                                // mov eax, [rip+0x300f]
        bytes({0x66, 0x44, 0x8b, 0x44, 0x0f, 0x30}),                          // mov r8w, [rdi+rcx+48]
        bytes({0x66, 0x0f, 0xb6, 0x44, 0x0f, 0x20}),                          // movzx ax, byte [rdi+rcx+32]
        bytes({0x4c, 0x0f, 0xb7, 0x4c, 0x0f, 0x20}),                          // movzx r9, word [rdi+rcx+32]
        bytes({0x80, 0x3d, 0x0f, 0x30, 0, 0, 0x80}),                          // cmp byte [rip+0x300f], 0x80
        bytes({0x83, 0x7c, 0x0f, 0x30, 0xff}),                                // cmp dword [rdi+rcx+48], -1
        bytes({0x66, 0x83, 0x7c, 0x0f, 0x30, 0x7f}),                          // cmp word [rdi+rcx+48], 0x7f
        bytes({0x66, 0x81, 0x7c, 0x0f, 0x30, 0x00, 0x80}),                    // cmp word [rdi+rcx+48], 0x8000
        bytes({0x49, 0x81, 0xbf, 0x0f, 0x30, 0, 0, 0, 0, 0, 0x80}),           // cmp qword [r15+0x300f], imm
    };
    std::mt19937_64 random(7);
    for (const auto& instruction : instructions) {
        auto form = safe_form(instruction);
        ASSERT_TRUE(form) << std::hex << static_cast<int>(instruction[0]) << " " << static_cast<int>(instruction[1]);
        const bool steps = form->action == Action::kStep;
        std::span<const std::byte> stepped(form->bytes, form->size);
        EXPECT_EQ(find_sequence(stepped), stepped.size());
        for (unsigned round = 0; round < 20; round++) {
            NativeState start;
            for (uint64_t& value : start.general) value = random();
            for (uint64_t& value : start.vectors) value = random();
            // Addresses into the data, whatever register the instruction uses; an index that is small.
            start.general[4] = memory.address() + 0x8000;
            for (int pointer : {6, 7, 15}) start.general[pointer] = memory.address() + 0x2000 + pointer * 16;
            start.general[1] = round * 8;
            start.flags = 2 | (random() & 0x8d5);
            for (uint8_t& byte : memory.data()) byte = static_cast<uint8_t>(random());
            std::vector<uint8_t> before(memory.data().begin(), memory.data().end());

            constexpr size_t kHome = 0x200, kStepPage = 0x900;
            NativeState wanted = start;
            memory.run(instruction, kHome, wanted);
            std::vector<uint8_t> wanted_memory(memory.data().begin(), memory.data().end());

            std::copy(before.begin(), before.end(), memory.data().begin());
            Registers registers;
            std::copy(std::begin(start.general), std::end(start.general), registers.general);
            registers.rip = memory.address() + kHome;
            registers.flags = start.flags;
            NativeState got = start;
            if (!steps) {
                OwnMemory own;
                ASSERT_TRUE(apply(*form, registers, own));
                std::copy(std::begin(registers.general), std::end(registers.general), got.general);
                got.flags = registers.flags;
                EXPECT_EQ(registers.rip, memory.address() + kHome + instruction.size());
            }
            for (unsigned i = 0; i < 2 && steps; i++)
                if (form->scratch[i].reg != Register::kNone)
                    got.general[static_cast<int>(form->scratch[i].reg)] = scratch_value(*form, i, registers);
            if (steps) memory.run(stepped, kStepPage, got);
            for (unsigned i = 0; i < 2 && steps; i++)
                if (form->scratch[i].reg != Register::kNone)
                    got.general[static_cast<int>(form->scratch[i].reg)] =
                        start.general[static_cast<int>(form->scratch[i].reg)];

            SCOPED_TRACE(static_cast<int>(instruction[0]) * 256 + static_cast<int>(instruction[1]));
            EXPECT_TRUE(std::equal(std::begin(wanted.general), std::end(wanted.general), got.general));
            EXPECT_TRUE(std::equal(std::begin(wanted.vectors), std::end(wanted.vectors), got.vectors));
            EXPECT_EQ(wanted.flags & 0x8d5, got.flags & 0x8d5);
            EXPECT_TRUE(std::equal(wanted_memory.begin(), wanted_memory.end(), memory.data().begin()));
        }
    }
}

// Whatever decodes: a form is given only without sequences, and never grows beyond an instruction.
TEST(SafeForm, RandomInstructions) {
    std::mt19937 random(3);
    unsigned given = 0;
    for (unsigned round = 0; round < 300'000; round++) {
        std::byte code[kLongestInstruction];
        for (std::byte& byte : code) byte = static_cast<std::byte>(random());
        // Often a sequence among them.
        if (round & 1) {
            size_t at = 1 + random() % 8;
            code[at] = std::byte{0x0f};
            code[at + 1] = std::byte{0x30};
        }
        auto form = safe_form(code);
        if (!form) continue;
        given++;
        ASSERT_GE(form->length, 1);
        ASSERT_LE(form->length, kLongestInstruction);
        if (form->action != Action::kStep) continue;
        ASSERT_LE(form->size, kLongestInstruction);
        std::span<const std::byte> stepped(form->bytes, form->size);
        ASSERT_EQ(find_sequence(stepped), stepped.size());
        // The same operation, as far as its length says: decodes to the end, and is safe by itself.
        auto again = safe_form(stepped);
        ASSERT_TRUE(again);
        ASSERT_EQ(again->length, form->size);
    }
    EXPECT_GT(given, 100'000u);
}

}  // namespace
}  // namespace mpk::inspect
