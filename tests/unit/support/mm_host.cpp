#include "mm_host.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/page_table.h"
#include "arch/x86_64/top_table.h"
#include "mm/address_space_state.h"
#include "mm/frames.h"
#include "tlb_model.h"

namespace {
std::byte* arena = nullptr;
unsigned current_cpu = 0;
std::vector<arch::FlushRequest> flushes;
core::PhysAddr loaded[arch::kMaxCpus];
uint64_t kernel_slots[arch::kTableEntries];
test_support::TlbModel* tlb_model = nullptr;
}  // namespace

namespace arch {

bool g_uses_pcids = false;

void flush(const FlushRequest& request) {
    flushes.push_back(request);
    if (tlb_model) tlb_model->flush(request);
}
void flush_page_here(uint64_t address) {
    flushes.push_back({.cpus = uint64_t{1} << current_cpu, .start = address, .end = address + core::kPageSize});
    if (tlb_model) tlb_model->flush_page(current_cpu, address);
}
uint64_t kernel_top_entry(unsigned slot) { return kernel_slots[slot]; }
uint64_t processor_top_entry(unsigned slot, unsigned cpu, Model model) {
    // Told apart by their frame numbers; tests look at them only as values.
    return PageEntry(core::Pfn(0x10000 + slot * 64 + cpu), PageEntry::kPresent | (model == Model::kIsolated ? PageEntry::kUser : 0)).raw();
}
void load_top_table(core::PhysAddr table, Model model, const TlbState& space) {
    loaded[current_cpu] = table;
    if (tlb_model) tlb_model->load(current_cpu, table.value(), model, space);
}
void load_kernel_table() {
    loaded[current_cpu] = core::PhysAddr();
    if (tlb_model) tlb_model->load_kernel_table(current_cpu);
}
unsigned this_cpu() { return current_cpu; }
uint32_t apic_id_of(unsigned cpu) { return cpu; }

}  // namespace arch

namespace test_support {

void use_tlb_model(TlbModel* model) {
    tlb_model = model;
    arch::g_uses_pcids = model != nullptr;
}
void set_this_cpu(unsigned cpu) { current_cpu = cpu; }
std::vector<arch::FlushRequest> take_flushes() { return std::exchange(flushes, {}); }
core::PhysAddr loaded_table(unsigned cpu) { return loaded[cpu]; }

void reset_memory(uint64_t pages) {
    std::free(arena);
    arena = static_cast<std::byte*>(std::aligned_alloc(4 << 20, core::align_up(pages * kPageSize, 4 << 20)));
    std::memset(arena, 0xa5, pages * kPageSize);
    mm::host_memory = arena;
    mm::MemoryRange usable{core::PhysAddr(0), core::PhysAddr(pages * kPageSize)};
    mm::initialize_frames({&usable, 1}, {});
    mm::forget_processors();
    current_cpu = 0;
    use_tlb_model(nullptr);
    flushes.clear();
    for (core::PhysAddr& table : loaded) table = core::PhysAddr();
    // Middle tables of the kernel half that boot makes: the direct map (a value only) and the stacks (a table).
    kernel_slots[256] = arch::PageEntry::kernel_table(core::Pfn(0x100)).raw();
    auto stacks = mm::allocate_frame(mm::Fill::kZeroed, mm::Frame::State::kPageTable);
    kernel_slots[arch::kKernelStacksSlot] = arch::PageEntry::kernel_table(*stacks).raw();
    kernel_slots[arch::kKernelImageSlot] = arch::PageEntry::kernel_table(core::Pfn(0x101)).raw();
}

// Tests that never call reset_memory() find a machine, too.
[[gnu::constructor]] static void first_machine() { reset_memory(16384); }

}  // namespace test_support

// The kernel's `new (std::nothrow)` on a host: malloc, unless a test wants this allocation to fail.
void* operator new(size_t size, const std::nothrow_t&) noexcept {
    return mm::allocation_must_fail() ? nullptr : std::malloc(size);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
    return mm::allocation_must_fail() ? nullptr : std::malloc(size);
}
void* operator new(size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    if (mm::allocation_must_fail()) return nullptr;
    return std::aligned_alloc(static_cast<size_t>(alignment), core::align_up(size, static_cast<size_t>(alignment)));
}
void* operator new(size_t size) {
    if (void* memory = std::malloc(size)) return memory;
    std::abort();
}
void* operator new[](size_t size) { return operator new(size); }
void* operator new(size_t size, std::align_val_t alignment) {
    return std::aligned_alloc(static_cast<size_t>(alignment), core::align_up(size, static_cast<size_t>(alignment)));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
