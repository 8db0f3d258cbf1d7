#include "mpk/table_audit.h"

#if defined(ISOUNIK_KERNEL_DEBUG)

#include "arch/x86_64/processor.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/weakness.h"
#include "mm/frames.h"
#include "mpk/table_checker.h"

namespace mpk {

namespace {

extern "C" const char stubs_page_count[];  // boot/kernel.ld

// The first tables lie in the kernel's image, all others in frames of their own state.
const arch::PageTable* read_table(void*, core::Pfn frame) {
    if (!mm::is_ram(frame)) return nullptr;
    auto state = mm::frame_of(frame).state;
    bool table = state == mm::Frame::State::kPageTable || state == mm::Frame::State::kReserved;
    return table ? mm::to_pointer<arch::PageTable>(frame) : nullptr;
}

bool is_program_frame(void*, core::Pfn frame) {
    if (!mm::is_ram(frame)) return false;
    auto state = mm::frame_of(frame).state;
    return state == mm::Frame::State::kAnonymous || state == mm::Frame::State::kFile ||
           state == mm::Frame::State::kReserved;
}

}  // namespace

void audit_loaded_table(arch::Model model) {
    if (core::isounik_weaknesses != 0) return;  // some make the tables wrong on purpose
    const ExposedList exposed(model, reinterpret_cast<uint64_t>(stubs_page_count));
    CheckedTable table{
        .top = core::Pfn(core::PhysAddr(arch::processor().loaded_top_table)),
        .model = model,
        .exposed = exposed.pages(),
        .read = read_table,
        .is_program_frame = is_program_frame,
    };
    unsigned found = check_table(table, [](void*, const Finding& finding) {
        klog::error("page tables: {}: address 0x{:x}, level {}, entry 0x{:x}", name_of(finding.violation),
                    finding.address, finding.level, finding.entry.raw());
    });
    if (found != 0) PANIC("the page tables break the rules of isolation");
}

}  // namespace mpk

#endif
