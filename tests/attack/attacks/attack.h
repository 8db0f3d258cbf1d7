// One attack: a function that tries to break out, run in a process of its own beside a victim.
//
//   ATTACK(read_direct_map) { ...; breach("the victim's secret was read"); }
//
// `attacks NAME...` runs each named attack and prints four lines for it: how the attacker ended, whether it reported
// a breach, whether the victim still answers and its secret is whole, and a last one that shows that the machine
// lives. tests/attack/run says what they must be, with the defence and without it.
#pragma once

#include <signal.h>
#include <stdint.h>
#include <ucontext.h>

namespace attack {

struct Attack {
    Attack(const char* name, void (*run)());
    const char* name;
    void (*run)();
    Attack* next;
};

// The attack has succeeded; `what` is a constant. Returns: the attacker may go on.
void breach(const char* what);
// A fact for the report, when the attack needs to show how it was refused.
void refused(const char* how);

// The victim's page: word n is secret_word(n). Only the victim has them in memory.
constexpr unsigned kSecretWords = 512;
constexpr uint64_t secret_word(unsigned n) { return 0x51ec3e7a5ec2e701u * (n + 1) ^ uint64_t{n} << 40; }

// Layout of the kernel's half (arch/x86_64/asm_layout.h).
inline constexpr uint64_t kDirectMap = 0xffff800000000000, kProcessorPage = 0xfffffefffffff000,
                          kStubs = 0xffffff0000001000, kIst1 = 0xffffff0000014000;

inline unsigned ring() {
    uint16_t cs;
    asm("mov %%cs, %0" : "=r"(cs));
    return cs & 3;
}

// Reads or calls, and says whether a signal came instead (0: none). The handler's view of the fault is in `fault`.
struct Fault {
    int signal;
    int code;
    uint64_t address, rip, rflags;
};
extern thread_local Fault fault;
int attempt(void (*body)(void* context), void* context);
template <typename Body>
int attempt(Body body) {
    return attempt([](void* context) { (*static_cast<Body*>(context))(); }, &body);
}
bool can_read(uint64_t address);

// Addresses of the kernel's functions: lines "ADDRESS NAME" of /kernel.functions. 0 if there is no such name.
uint64_t kernel_function(const char* name);
// Calls visit for each.
void for_each_kernel_function(void (*visit)(uint64_t address, const char* name));

}  // namespace attack

#define ATTACK(name)                                                    \
    static void attack_##name();                                        \
    static attack::Attack registered_##name(#name, attack_##name);      \
    static void attack_##name()
