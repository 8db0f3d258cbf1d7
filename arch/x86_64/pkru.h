// A program's protection-key rights (PKRU): two bits a key, access disabled and write disabled (SDM vol. 3, 4.6.2).
//
// Where the running thread's value is: confined and `none` in the register itself, which the program changes as it
// likes and the kernel saves and loads at the switch (the kernel's pages are not subject to keys in their tables);
// isolated in Processor::program_pkru, which the exit stubs load: the kernel runs with PKRU = 0. While a thread does
// not run, UserState::pkru holds it. Without protection keys everything here is 0 and does nothing.
#pragma once

#include <cstdint>

namespace arch {

// What a fresh program and a signal handler start with: every key but 0 closed (Linux: init_pkru_value).
inline constexpr uint32_t kInitialPkru = 0x55555554;
// The kernel's key (15). An isolated program always runs with its access bit set.
inline constexpr uint32_t kKernelKeyRights = 3u << 30;

// CR4.PKE is on.
bool has_protection_keys();

// The running program thread's value. Only in system calls and exceptions of programs.
uint32_t program_pkru();
// Takes effect for user copies at once if keys are in use, and when the thread leaves the kernel. For isolated
// programs the kernel's key is closed in it, whatever `value` says.
void set_program_pkru(uint32_t value);

// From now on the kernel's copies from and to isolated programs honour program_pkru(). To be called when a program
// gives a page another key than 0; before that there is nothing to honour. Cannot be undone.
void note_program_keys();

// WRPKRU by way of the checked gate in the exposed slot (mpk/stubs.S): ends in an invalid-opcode exception unless
// the kernel runs. The exposed slot must be loaded.
void write_pkru(uint32_t value);

// Around a user copy: the program's rights govern it.
class ProgramKeys {
  public:
    ProgramKeys() {
        if (in_use_) [[unlikely]] enter();
    }
    ~ProgramKeys() {
        if (in_use_) [[unlikely]] leave();
    }
    ProgramKeys(const ProgramKeys&) = delete;
    // False: there is nothing to honour yet.
    static bool in_use() { return in_use_; }

  private:
    friend void note_program_keys();
    static void enter();
    static void leave();
    static inline bool in_use_ = false;
};

}  // namespace arch
