#include "boot/backtrace.h"

#include <atomic>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/registers.h"
#include "boot/symbols.h"
#include "core/log.h"
#include "core/panic.h"
#include "drivers/devices.h"

namespace boot {

namespace {

extern "C" const char text_start[], text_end[], image_end[];

bool is_kernel_text(uint64_t address) {
    return address >= reinterpret_cast<uint64_t>(text_start) && address < reinterpret_cast<uint64_t>(text_end);
}

// Frame pointers lie on kernel stacks: in the stacks' slot or in the image (the boot stack).
bool is_stack(uint64_t address) {
    bool in_slot = address >= arch::kKernelStacksBase && address < arch::kKernelStacksBase + (uint64_t{1} << 39);
    bool in_image = address >= arch::kKernelImageBase && address < reinterpret_cast<uint64_t>(image_end);
    return (in_slot || in_image) && address % 8 == 0;
}

void print_call(unsigned depth, uint64_t address) {
    Symbol symbol = find_symbol(address);
    if (symbol.name.empty()) return klog::error("  #{} {}", depth, reinterpret_cast<const void*>(address));
    klog::error("  #{} {} {} + {:x}", depth, reinterpret_cast<const void*>(address), symbol.name, symbol.offset);
}

}  // namespace

void print_registers(const arch::TrapFrame& f) {
    klog::error("  rip {:x} rsp {:x} rflags {:x} cs {:x}", f.rip, f.rsp, f.rflags, f.cs);
    klog::error("  rax {:x} rbx {:x} rcx {:x} rdx {:x} rsi {:x} rdi {:x} rbp {:x}", f.rax, f.rbx, f.rcx, f.rdx,
                f.rsi, f.rdi, f.rbp);
    klog::error("  r8 {:x} r9 {:x} r10 {:x} r11 {:x} r12 {:x} r13 {:x} r14 {:x} r15 {:x}", f.r8, f.r9, f.r10, f.r11,
                f.r12, f.r13, f.r14, f.r15);
}

void print_backtrace(uint64_t rip, uint64_t frame_pointer) {
    klog::error("backtrace:");
    unsigned depth = 0;
    if (rip) print_call(depth++, rip);
    while (depth < 32 && is_stack(frame_pointer)) {
        // SAFETY: checked to lie on a kernel stack; a frame is the caller's rbp and the return address.
        auto frame = reinterpret_cast<const uint64_t*>(frame_pointer);
        if (!is_kernel_text(frame[1])) break;
        print_call(depth++, frame[1]);
        if (frame[0] <= frame_pointer) break;
        frame_pointer = frame[0];
    }
}

}  // namespace boot

namespace core {

void panic(const char* file, int line, const char* message) {
    static std::atomic<bool> panicking{false};
    if (panicking.exchange(true)) {
        for (;;) asm volatile("cli; hlt");
    }
    klog::error("kernel panic: {} ({}:{})", message, file, line);
    boot::print_backtrace(0, reinterpret_cast<uint64_t>(__builtin_frame_address(0)));
    // No `exit N` on the control channel: the tool ends with status 125 and shows the lines above.
    drivers::power_off();
}

}  // namespace core
