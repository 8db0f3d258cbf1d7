#include "mm/top_tables.h"

#include "arch/x86_64/page_ops.h"
#include "arch/x86_64/page_table.h"
#include "arch/x86_64/top_table.h"
#include "core/weakness.h"
#include "mm/frame_contents.h"

namespace mm {

namespace {
Content content_of(bool confined) { return confined ? Content::kConfinedTop : Content::kIsolatedTop; }
}  // namespace

void fill_kernel_half(Pfn top, bool confined) {
    auto* table = to_pointer<arch::PageTable>(top);
    bool hide = confined && !core::weakened(core::Weakness::kConfinedSupervisor);
    uint64_t hidden = hide ? arch::PageEntry::kUser : 0;
    for (unsigned slot = arch::kFirstKernelSlot; slot < arch::kTableEntries; slot++) {
        if (slot == arch::kProcessorSlot || slot == arch::kExposedSlot) continue;
        table->set(slot, arch::PageEntry(arch::kernel_top_entry(slot)).without(hidden));
    }
}

Result<Pfn> allocate_top_table(bool confined) {
    ContentFrame top = TRY(allocate_frame_with(content_of(confined), Frame::State::kPageTable));
    if (!top.ready) {
        arch::zero_words(to_pointer(top.frame), arch::kFirstKernelSlot);
        fill_kernel_half(top.frame, confined);
    }
    return top.frame;
}

void free_top_table(Pfn top, bool confined) { free_frame_with(top, content_of(confined)); }

}  // namespace mm
