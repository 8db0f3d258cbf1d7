#include "core/result.h"

#include "boot/page_tables.h"

#include <cstring>

#include "arch/x86_64/armed.h"
#include "arch/x86_64/interrupts.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/page_table.h"
#include "arch/x86_64/processor.h"
#include "arch/x86_64/registers.h"
#include "arch/x86_64/tlb.h"
#include "arch/x86_64/top_table.h"
#include "core/panic.h"
#include "mm/frames.h"

namespace boot {

namespace {

using arch::PageEntry;

extern "C" const char text_start[], text_end[], init_text_start[], init_text_end[], rodata_start[], rodata_end[], data_start[], image_end[];

// Tables that are needed before the frame allocator runs: the direct map of the first 4 GiB and of RAM above it,
// the image, one page for kernel stacks' slot, device registers.
constexpr size_t kPoolPages = 48;
alignas(4096) std::byte pool[kPoolPages][4096];
size_t pool_used = 0;

alignas(4096) std::byte boot_processor_page[4096];

constexpr uint64_t kTable = PageEntry::kPresent | PageEntry::kWrite | PageEntry::kUser | PageEntry::kAccessed;
constexpr uint64_t kKey = PageEntry::key_bits(arch::kKernelKey);
constexpr uint64_t kData = PageEntry::kPresent | PageEntry::kWrite | PageEntry::kUser | PageEntry::kAccessed |
                           PageEntry::kDirty | PageEntry::kNoExecute | kKey;
constexpr uint64_t kReadOnly = kData & ~(PageEntry::kWrite | PageEntry::kDirty);
constexpr uint64_t kCode = kReadOnly & ~PageEntry::kNoExecute;
constexpr uint64_t kUncached = PageEntry::kCacheDisable | PageEntry::kWriteThrough;

uint64_t image_physical(const void* pointer) { return reinterpret_cast<uint64_t>(pointer) - arch::kKernelImageBase; }

uint64_t* new_table() {
    if (pool_used == kPoolPages) PANIC("the static pool of page tables is used up");
    return reinterpret_cast<uint64_t*>(pool[pool_used++]);
}

// The table below `entry`, made if absent. Tables lie in the image, so their address is known before the direct
// map exists.
uint64_t* descend(uint64_t& entry) {
    if (!(entry & PageEntry::kPresent)) entry = image_physical(new_table()) | kTable;
    return reinterpret_cast<uint64_t*>((entry & PageEntry::kFrameMask) + arch::kKernelImageBase);
}

uint64_t* top_table;

void map(uint64_t address, uint64_t physical, unsigned level, uint64_t flags) {
    uint64_t* table = top_table;
    for (unsigned at = arch::kTopLevel; at > level; at--) table = descend(table[arch::table_index(address, at)]);
    table[arch::table_index(address, level)] = physical | flags | (level > 1 ? PageEntry::kLarge : 0);
}

void map_image(const char* start, const char* end, uint64_t flags) {
    for (const char* at = start; at < end; at += core::kPageSize) {
        map(reinterpret_cast<uint64_t>(at), image_physical(at), 1, flags);
    }
}

constexpr uint64_t kGiB = uint64_t{1} << 30;

}  // namespace

ISOUNIK_INIT void build_kernel_tables(core::PhysAddr ram_end) {
    top_table = new_table();
    // Device registers stand below 4 GiB, from 3 GiB on wherever RAM does not reach.
    for (uint64_t at = 0; at < 4 * kGiB; at += core::kHugePageSize) {
        bool device = at >= 3 * kGiB && at >= ram_end.value();
        if (ram_end.value() > 4 * kGiB) device = at >= 0xc000'0000;
        map(arch::kDirectMapBase + at, at, 2, kData | (device ? kUncached : 0));
    }
    bool giant_pages = arch::cpuid(0x80000001).edx & 1 << 26;
    for (uint64_t at = 4 * kGiB; at < ram_end.value();) {
        map(arch::kDirectMapBase + at, at, giant_pages ? 3 : 2, kData);
        at += giant_pages ? kGiB : core::kHugePageSize;
    }
    map_image(text_start, text_end, kCode);
    map_image(init_text_start, init_text_end, kCode);
    map_image(rodata_start, rodata_end, kReadOnly);
    map_image(data_start, image_end, kData);
    map(arch::kProcessorDataBase, image_physical(boot_processor_page), 1, kData);
    descend(top_table[arch::kKernelStacksSlot]);
    descend(top_table[arch::kKernelStacksSlot + 1]);  // arch::map_mmio()
    for (unsigned slot = arch::kFirstKernelSlot; slot < 512; slot++) {
        if (slot == arch::kProcessorSlot || slot == arch::kExposedSlot) continue;
        arch::set_kernel_top_entry(slot, top_table[slot]);
    }
    arch::init_write_cr3(image_physical(top_table));
    auto processor = new (boot_processor_page) arch::Processor();
    processor->kernel_top_table = image_physical(top_table);
    arch::set_processor_of(0, processor);
}

Result<core::PhysAddr> make_kernel_table(unsigned number) {
    core::Pfn frame = TRY(mm::allocate_frame(mm::Fill::kZeroed, mm::Frame::State::kPageTable));
    auto table = static_cast<uint64_t*>(mm::to_pointer(frame));
    for (unsigned slot = arch::kFirstKernelSlot; slot < 512; slot++) {
        bool own = slot == arch::kProcessorSlot || slot == arch::kExposedSlot;
        table[slot] = own ? arch::processor_top_entry(slot, number, arch::Model::kConfined)
                          : arch::kernel_top_entry(slot) & ~PageEntry::kUser;
    }
    if (frame.address().value() >= 4 * kGiB) PANIC("the kernel's table must lie below 4 GiB");
    return frame.address();
}

void retire_init_text() {
    for (const char* at = init_text_start; at < init_text_end; at += core::kPageSize) {
        auto address = reinterpret_cast<uint64_t>(at);
        uint64_t* table = top_table;
        for (unsigned level = arch::kTopLevel; level > 1; level--) {
            table = descend(table[arch::table_index(address, level)]);
        }
        table[arch::table_index(address, 1)] = 0;
    }
    arch::flush({.cpus = ~uint64_t{0}, .everything = true});
}

}  // namespace boot

namespace arch {

Result<volatile void*> map_mmio(core::PhysAddr address, size_t size) {
    uint64_t end = address.value() + size;
    if (end <= uint64_t{4} << 30) return reinterpret_cast<volatile void*>(kDirectMapBase + address.value());
    // Above 4 GiB: 2 MiB pages in the slot after the kernel stacks', at the address's own offset.
    constexpr uint64_t kBase = kKernelStacksBase + (uint64_t{1} << 39);
    constexpr uint64_t kWindow = uint64_t{1} << 39;
    if (end > kWindow) return fail(Errno::kNoMem);
    for (uint64_t at = core::align_down(address.value(), core::kHugePageSize); at < end; at += core::kHugePageSize) {
        boot::map(kBase + at, at, 2, boot::kData | boot::kUncached);
    }
    return reinterpret_cast<volatile void*>(kBase + address.value());
}

}  // namespace arch
