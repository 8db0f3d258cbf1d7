#include "process/code_site.h"

#include <cstring>
#include <utility>

#include "arch/x86_64/pkru.h"
#include "arch/x86_64/processor.h"
#include "arch/x86_64/user_copy.h"
#include "arch/x86_64/user_state.h"
#include "arch/x86_64/user_word.h"
#include "mpk/inspect/safe_form.h"
#include "mpk/inspected_text.h"

namespace process {

namespace {

using mpk::inspect::Register;
using mpk::inspect::Registers;
using mpk::inspect::SafeForm;
using mpk::inspect::Site;
using mpk::inspect::SiteKind;

constexpr uint64_t kGeneralProtection = 13, kInvalidOpcode = 6, kPageFault = 14, kBreakpoint = 3, kDebug = 1;
constexpr uint64_t kStepPage = EXPOSED_BASE + EXPOSED_STEP;

// The general registers in the order of their encoding.
using Frame = arch::TrapFrame;
constexpr uint64_t Frame::*kGeneral[16] = {&Frame::rax, &Frame::rcx, &Frame::rdx, &Frame::rbx, &Frame::rsp, &Frame::rbp,
                                           &Frame::rsi, &Frame::rdi, &Frame::r8,  &Frame::r9,  &Frame::r10, &Frame::r11,
                                           &Frame::r12, &Frame::r13, &Frame::r14, &Frame::r15};
using AllGeneral = std::make_index_sequence<16>;  // for code without a loop: a hot site is met often

uint64_t& general(Frame& frame, unsigned number) { return frame.*kGeneral[number]; }

template <size_t... kNumbers>
Registers registers_of(const Frame& frame, uint64_t site, std::index_sequence<kNumbers...>) {
    return {{frame.*kGeneral[kNumbers]...}, site, frame.rflags, arch::fs_base(), arch::gs_base()};
}
Registers registers_of(const Frame& frame, uint64_t site) { return registers_of(frame, site, AllGeneral()); }

template <size_t... kNumbers>
void set_registers(Frame& frame, const Registers& registers, std::index_sequence<kNumbers...>) {
    ((frame.*kGeneral[kNumbers] = registers.general[kNumbers]), ...);
    frame.rip = registers.rip;
    frame.rflags = registers.flags;
}

// The program's memory for emulated instructions; remembers what could not be reached.
class ProgramMemory final : public mpk::inspect::Memory {
  public:
    Result<uint64_t> read(uint64_t address, unsigned bytes) override {
        switch (bytes) {
            case 1: return read_word<uint8_t>(address);
            case 2: return read_word<uint16_t>(address);
            case 4: return read_word<uint32_t>(address);
            default: return read_word<uint64_t>(address);
        }
    }
    Result<void> write64(uint64_t address, uint64_t value) override {
        auto written = arch::copy_out(UserOut<uint64_t>(address), value);
        if (!written) failed_at = address, wrote = true;
        return written;
    }
    uint64_t failed_at = 0;
    bool wrote = false;

  private:
    template <typename Word>
    Result<uint64_t> read_word(uint64_t address) {
        auto word = arch::load_user_word<Word>(address);
        if (word) return *word;
        failed_at = address;
        return fail(word.error());
    }
};

SiteOutcome page_fault(uint64_t address, bool write) {
    constexpr uint64_t kUser = 4, kWrite = 2;
    return {SiteResult::kException, kPageFault, kUser | (write ? kWrite : 0), address};
}

// POPF of ring 3 leaves IF and IOPL alone (SDM vol. 2, POPF).
SiteOutcome emulate_popf(arch::TrapFrame& frame, uint64_t site, uint8_t length, bool is_16bit) {
    uint64_t flags = 0;
    if (!arch::copy_in(&flags, UserAddr(frame.rsp), is_16bit ? 2 : 8)) return page_fault(frame.rsp, false);
    if (is_16bit) flags |= frame.rflags & ~uint64_t{0xffff};
    frame.rflags = flags;
    frame.rsp += is_16bit ? 2 : 8;
    frame.rip = site + length;
    arch::sanitize_frame(frame, arch::EntryRing::kRing0);
    return {SiteResult::kResume};
}

SiteOutcome relocate(arch::TrapFrame& frame, uint64_t site, const std::optional<SafeForm>& form) {
    // Inspection accepts only files whose sites all have one.
    if (!form) return {SiteResult::kException, kGeneralProtection};
    if (form->action == mpk::inspect::Action::kStep) {
        frame.rip = site;
        return {.result = SiteResult::kStep, .form = form};
    }
    Registers registers = registers_of(frame, site);
    ProgramMemory memory;
    if (!apply(*form, registers, memory)) return page_fault(memory.failed_at, memory.wrote);
    set_registers(frame, registers, AllGeneral());
    return {SiteResult::kResume};
}

SiteOutcome handle_site(arch::TrapFrame& frame, mpk::InspectedText& text, const Site& site, uint64_t at) {
    if (site.kind == SiteKind::kRelocate) return relocate(frame, at, text.safe_form_of(site));
    std::byte bytes[mpk::inspect::kLongestInstruction] = {};
    text.original_bytes(site.offset(), bytes);
    switch (site.kind) {
        case SiteKind::kGeneralProtection: {
            // The error code of `int n` names the gate (SDM vol. 3, 6.13).
            constexpr std::byte kIntN{0xcd};
            uint64_t error = bytes[0] == kIntN ? std::to_integer<uint64_t>(bytes[1]) * 8 + 2 : 0;
            return {SiteResult::kException, kGeneralProtection, error};
        }
        case SiteKind::kInvalidOpcode: return {SiteResult::kException, kInvalidOpcode};
        case SiteKind::kWritePkru:
            if (static_cast<uint32_t>(frame.rcx) != 0 || static_cast<uint32_t>(frame.rdx) != 0) {
                return {SiteResult::kException, kGeneralProtection};
            }
            arch::set_program_pkru(static_cast<uint32_t>(frame.rax));
            frame.rip = at + site.length;
            return {SiteResult::kResume};
        case SiteKind::kPopFlags: {
            constexpr std::byte kOperandSize{0x66};
            bool is_16bit = false;
            for (unsigned i = 0; i + 1u < site.length; i++) is_16bit |= bytes[i] == kOperandSize;
            return emulate_popf(frame, at, site.length, is_16bit);
        }
        case SiteKind::kRelocate: break;
    }
    return {SiteResult::kNotASite};
}

}  // namespace

SiteOutcome handle_trap_at_site(Thread& thread, arch::TrapFrame& frame) {
    uint64_t at = frame.rip - 1;
    if (at >= core::kUserEnd) return {};
    auto location = thread.address_space->code_at(UserAddr(at));
    auto* text = mpk::InspectedText::from(location.object.get());
    if (!text) {
        // The trap may have come from text that a thread has just replaced by the plain file: it is executed again.
        std::byte byte{};
        bool replaced = thread.model == mm::Model::kIsolated || thread.address_space->was_confined();
        if (replaced && location.object && thread.address_space->read_memory(UserAddr(at), {&byte, 1}) &&
            byte != mpk::inspect::kTrap) {
            frame.rip = at;
            return {SiteResult::kResume};
        }
        return {};
    }
    const Site* site = text->site_at(location.offset);
    if (!site) return {};
    // A space that is being confined: the text is on its way out, and ring 3 executes the instruction itself.
    if (thread.address_space->model() != mm::Model::kIsolated) {
        frame.rip = at;
        sched::yield();
        return {SiteResult::kResume};
    }
    constexpr uint64_t kTrapFlag = 0x100;
    bool single_step = frame.rflags & kTrapFlag;
    SiteOutcome outcome = handle_site(frame, *text, *site, at);
    if (outcome.result == SiteResult::kException) frame.rip = at;
    // An emulated instruction is one step; on the step page the processor raises the exception itself.
    if (outcome.result == SiteResult::kResume && single_step) {
        return {SiteResult::kException, kDebug};
    }
    return outcome;
}

void begin_step(Thread& thread, arch::TrapFrame& frame, const SafeForm& form) {
    Thread::Step& step = thread.step;
    step.site = frame.rip;
    step.length = form.length;
    step.size = form.size;
    Registers before = registers_of(frame, frame.rip);
    for (unsigned i = 0; i < 2; i++) {
        step.scratch[i] = static_cast<uint8_t>(form.scratch[i].reg);
        if (form.scratch[i].reg == Register::kNone) continue;
        step.saved[i] = before[form.scratch[i].reg];
        general(frame, step.scratch[i]) = mpk::inspect::scratch_value(form, i, before);
    }
    step.active = true;
    auto page = static_cast<std::byte*>(arch::processor().step_page);
    std::memset(page, static_cast<int>(mpk::inspect::kTrap), 2 * mpk::inspect::kLongestInstruction);
    std::memcpy(page, form.bytes, form.size);
    frame.rip = kStepPage;
}

bool leave_step_page(Thread& thread, arch::TrapFrame& frame, uint64_t vector) {
    Thread::Step& step = thread.step;
    if (!step.active) return false;
    step.active = false;
    for (unsigned i = 0; i < 2; i++) {
        if (step.scratch[i] < 16) general(frame, step.scratch[i]) = step.saved[i];
    }
    uint64_t done = kStepPage + step.size;
    if (frame.rip == kStepPage) frame.rip = step.site;
    else if (frame.rip == done || frame.rip == done + 1) frame.rip = step.site + step.length;
    bool finished = vector == kBreakpoint && frame.rip == step.site + step.length;
    return finished;
}

}  // namespace process
