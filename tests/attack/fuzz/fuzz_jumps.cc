// fuzz_jumps SEED COUNT: jumps to random addresses, most of them the kernel's, far and interrupt returns from random
// frames, and execution of random bytes. For programs in ring 3: nothing that they execute may hurt anybody else.
//
// One thing is left out, because the reference machine gets it wrong: QEMU's TCG (7.2) takes an IRETD whose frame has
// EFLAGS.VM as a return to virtual-8086 mode, with the frame's IF and IOPL, although the processor is in long mode
// and the program in ring 3. A processor does no such thing (SDM volume 2, IRET: in IA-32e mode it never returns to
// virtual-8086 mode), and no kernel could answer it. So bytes are never IRET's by chance, and frames never have VM.
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <initializer_list>

#include "keeper.h"

namespace {

using fuzz::Random;

sigjmp_buf back;
uint8_t* code;
constexpr size_t kCodeSize = 4096, kStackSize = 64 << 10;
uint8_t* program_stack;
constexpr uint8_t kIret = 0xcf, kFarReturn = 0xcb;

void on_signal(int) { siglongjmp(back, 1); }

uint8_t* middle_of_stack() { return program_stack + kStackSize / 2; }

// Whatever the bytes do to the registers, siglongjmp() restores those that C++ needs.
void jump_to(uint64_t address, Random& random) {
    uint64_t registers[6];
    for (uint64_t& value : registers) {
        value = random.one_in(3) ? fuzz::wild_address(random)
                                 : reinterpret_cast<uint64_t>(code) + random.below(kCodeSize);
    }
    uint64_t stack = reinterpret_cast<uint64_t>(middle_of_stack());
    uint64_t target = address;
    asm volatile(
        "mov %[r], %%rbx\n"
        "mov %[target], %%r11\n"
        "mov %[stack], %%rsp\n"
        "mov 0(%%rbx), %%rax\n mov 8(%%rbx), %%rcx\n mov 16(%%rbx), %%rdx\n"
        "mov 24(%%rbx), %%rsi\n mov 32(%%rbx), %%rdi\n mov 40(%%rbx), %%rbx\n"
        "jmp *%%r11\n"
        : : [r] "r"(registers), [target] "r"(target), [stack] "r"(stack)
        : "rax", "rcx", "rdx", "rsi", "rdi", "rbx", "r11", "memory");
}

// Random bytes, with some that are interesting in ring 0 strewn in.
void fill_code(Random& random) {
    static const uint8_t kPowerful[][4] = {
        {0x0f, 0x01, 0xef, 0x90}, {0x0f, 0x22, 0xd8, 0x90}, {0x0f, 0x30, 0x90, 0x90}, {0x0f, 0x01, 0xf8, 0x90},
        {0x0f, 0x01, 0x18, 0x90}, {0x0f, 0x01, 0x10, 0x90}, {0xfa, 0xf4, 0x90, 0x90}, {0x0f, 0x05, 0x90, 0x90},
        {0xcd, 0x80, 0x90, 0x90}, {0xcd, 0x0e, 0x90, 0x90}, {0xcd, 0x20, 0x90, 0x90}, {0x48, 0xcb, 0x90, 0x90},
        {0xcb, 0x90, 0x90, 0x90}, {0xee, 0xec, 0x90, 0x90}, {0x0f, 0x01, 0xd1, 0x90}, {0x0f, 0xae, 0x2e, 0x90},
        {0x8e, 0xd0, 0x0f, 0x05}, {0x9d, 0x90, 0x90, 0x90}, {0x0f, 0x07, 0x90, 0x90}, {0x0f, 0x35, 0x90, 0x90},
        {0xf1, 0x90, 0x90, 0x90}, {0x0f, 0x34, 0x90, 0x90}, {0xc8, 0xff, 0xff, 0x01}, {0x8e, 0xd8, 0x8e, 0xe8}};
    for (size_t i = 0; i < 256; i += 8) {
        uint64_t bytes = random.next();
        memcpy(code + i, &bytes, 8);
    }
    for (uint64_t n = random.below(6); n > 0; n--) {
        memcpy(code + random.below(128), kPowerful[random.below(sizeof(kPowerful) / 4)], 4);
    }
    std::replace(code, code + 256, kIret, kFarReturn);
}

// A return of any width, from a frame of what might fool the processor: instruction pointer, CS, flags, stack
// pointer, SS, where any may be a selector, flags or a wild address.
void fill_return(Random& random) {
    static const uint8_t kReturns[][2] = {{0x48, kIret}, {kIret, 0x90}, {0x66, kIret},
                                          {0x48, kFarReturn}, {kFarReturn, 0x90}};
    memcpy(code, kReturns[random.below(sizeof(kReturns) / 2)], 2);
    uint64_t frame[8];
    for (uint64_t& word : frame) {
        switch (random.below(4)) {
            case 0: word = random.below(16) << 3 | random.below(4); break;
            case 1: word = random.next() & 0x3fffff; break;
            case 2: word = reinterpret_cast<uint64_t>(code) + 2; break;
            default: word = fuzz::wild_address(random);
        }
    }
    // Where IRETD and IRETQ find the flags.
    constexpr uint64_t kVirtual8086 = 1 << 17;
    frame[1] &= ~kVirtual8086;
    frame[2] &= ~kVirtual8086;
    memcpy(middle_of_stack(), frame, sizeof(frame));
}

void work(uint64_t seed, unsigned attempts, fuzz::Progress& progress) {
    Random random(seed);
    code = static_cast<uint8_t*>(mmap(nullptr, kCodeSize, PROT_READ | PROT_WRITE | PROT_EXEC,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    program_stack = static_cast<uint8_t*>(mmap(nullptr, kStackSize, PROT_READ | PROT_WRITE,
                                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    stack_t alternate{};
    alternate.ss_sp = mmap(nullptr, kStackSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    alternate.ss_size = kStackSize;
    sigaltstack(&alternate, nullptr);
    struct sigaction action{};
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGALRM, SIGSYS}) sigaction(signal, &action, nullptr);
    volatile unsigned made = 0;
    sigsetjmp(back, 1);
    while (made < attempts) {
        made = made + 1;
        progress.attempts = made;
        // Loops end.
        itimerval timer{{0, 0}, {0, 3000}};
        setitimer(ITIMER_REAL, &timer, nullptr);
        uint64_t target;
        switch (random.below(8)) {
            case 0: case 1: case 2: case 3: target = fuzz::wild_address(random); break;
            case 4: fill_return(random); target = reinterpret_cast<uint64_t>(code); break;
            default: fill_code(random); target = reinterpret_cast<uint64_t>(code) + random.below(16);
        }
        jump_to(target, random);
    }
}

}  // namespace

int main(int argc, char** argv) {
    static const fuzz::Fuzzer fuzzer{"jumps", 400, work};
    return fuzz::run(fuzzer, argc, argv);
}
