#include "arch/x86_64/pkru.h"

#include "arch/x86_64/processor.h"
#include "arch/x86_64/registers.h"
#include "core/weakness.h"

namespace arch {

bool has_protection_keys() { return read_cr4() & kCr4ProtectionKeys; }

uint32_t program_pkru() {
    if (processor().model == Model::kIsolated) return processor().program_pkru;
    return has_protection_keys() ? read_pkru() : 0;
}

void set_program_pkru(uint32_t value) {
    if (processor().model == Model::kIsolated) {
        bool open = core::weakened(core::Weakness::kKernelKey);
        processor().program_pkru = open ? value & ~kKernelKeyRights : value | PKRU_KERNEL_CLOSED;
    } else if (has_protection_keys() && read_pkru() != value) {
        // Then keys govern the kernel's pages, and the kernel runs with the program's.
        if (core::weakened(core::Weakness::kConfinedSupervisor)) value &= ~kKernelKeyRights;
        write_pkru(value);
    }
}

void note_program_keys() { ProgramKeys::in_use_ = true; }

void write_pkru(uint32_t value) {
    // SAFETY: the gate stands at the start of the stubs, in every exposed slot.
    reinterpret_cast<void (*)(uint32_t)>(EXPOSED_BASE + EXPOSED_STUBS)(value);
}

void ProgramKeys::enter() {
    Processor& self = processor();
    if (self.model != Model::kIsolated || core::weakened(core::Weakness::kUserCopyKeys)) return;
    self.copy_pkru = self.program_pkru & ~kKernelKeyRights;
    if (self.copy_pkru) write_pkru(self.copy_pkru);
}

void ProgramKeys::leave() {
    Processor& self = processor();
    if (!self.copy_pkru) return;
    self.copy_pkru = 0;
    write_pkru(0);
}

}  // namespace arch
