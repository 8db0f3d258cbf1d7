// Executes one instruction on this machine, with all general registers, flags and two vector registers given.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <span>

// In this order in memory, as the assembly below expects them.
struct NativeState {
    uint64_t general[16] = {};  // RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15
    uint64_t flags = 0;
    uint64_t vectors[4] = {};   // XMM0, XMM1
};

extern "C" {
extern NativeState native_state;
void native_enter(const void* code);
void native_leave();
}

asm(R"(
    .local native_saved_rsp, native_target
    .comm native_saved_rsp, 8, 8
    .comm native_target, 8, 8
    .globl native_state
    .comm native_state, 168, 16
    .globl native_enter
native_enter:
    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15
    mov %rsp, native_saved_rsp(%rip)
    mov %rdi, native_target(%rip)
    movdqu native_state+136(%rip), %xmm0
    movdqu native_state+152(%rip), %xmm1
    push native_state+128(%rip)
    popfq
    mov native_state+0(%rip), %rax
    mov native_state+8(%rip), %rcx
    mov native_state+16(%rip), %rdx
    mov native_state+24(%rip), %rbx
    mov native_state+32(%rip), %rsp
    mov native_state+40(%rip), %rbp
    mov native_state+48(%rip), %rsi
    mov native_state+56(%rip), %rdi
    mov native_state+64(%rip), %r8
    mov native_state+72(%rip), %r9
    mov native_state+80(%rip), %r10
    mov native_state+88(%rip), %r11
    mov native_state+96(%rip), %r12
    mov native_state+104(%rip), %r13
    mov native_state+112(%rip), %r14
    mov native_state+120(%rip), %r15
    jmp *native_target(%rip)
    .globl native_leave
native_leave:
    mov %rax, native_state+0(%rip)
    mov %rcx, native_state+8(%rip)
    mov %rdx, native_state+16(%rip)
    mov %rbx, native_state+24(%rip)
    mov %rsp, native_state+32(%rip)
    mov %rbp, native_state+40(%rip)
    mov %rsi, native_state+48(%rip)
    mov %rdi, native_state+56(%rip)
    mov %r8, native_state+64(%rip)
    mov %r9, native_state+72(%rip)
    mov %r10, native_state+80(%rip)
    mov %r11, native_state+88(%rip)
    mov %r12, native_state+96(%rip)
    mov %r13, native_state+104(%rip)
    mov %r14, native_state+112(%rip)
    mov %r15, native_state+120(%rip)
    mov native_saved_rsp(%rip), %rsp
    pushfq
    pop native_state+128(%rip)
    movdqu %xmm0, native_state+136(%rip)
    movdqu %xmm1, native_state+152(%rip)
    cld
    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx
    ret
)");

// Memory for code and data, the data within reach of RIP-relative addresses.
class NativeMemory {
  public:
    static constexpr size_t kSize = 0x20000;
    NativeMemory() {
        base_ = static_cast<uint8_t*>(mmap(nullptr, kSize, PROT_READ | PROT_WRITE | PROT_EXEC,
                                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    }
    ~NativeMemory() { munmap(base_, kSize); }
    NativeMemory(const NativeMemory&) = delete;

    bool usable() const { return base_ != MAP_FAILED; }
    uint64_t address() const { return reinterpret_cast<uint64_t>(base_); }
    std::span<uint8_t> data() const { return {base_ + 0x1000, kSize - 0x1000}; }

    // Executes `instruction` at `offset` of the first page, followed by a jump back.
    void run(std::span<const std::byte> instruction, size_t offset, NativeState& state) {
        uint8_t* at = base_ + offset;
        std::memcpy(at, instruction.data(), instruction.size());
        at += instruction.size();
        const uint8_t jump[] = {0xff, 0x25, 0, 0, 0, 0};
        auto back = reinterpret_cast<uint64_t>(&native_leave);
        std::memcpy(at, jump, sizeof jump);
        std::memcpy(at + sizeof jump, &back, sizeof back);
        native_state = state;
        native_enter(base_ + offset);
        state = native_state;
    }

  private:
    uint8_t* base_;
};
