#include "libc-compat/vdso_map.h"

#include <cstring>

#include "arch/x86_64/clock.h"
#include "libc-compat/vdso/vdso_data.h"
#include "mm/frames.h"
#include "mm/shared_memory.h"
#include "process/exec.h"
#include "sched/timer.h"

extern "C" const std::byte vdso_image_start[], vdso_image_end[];

namespace abi {

namespace {

Ref<mm::Mappable> pages;  // the data page, then the image
VdsoData* data = nullptr;
uint64_t image_size = 0;

Result<std::byte*> writable_page(uint64_t index) {
    // The reference that get() takes is kept: these pages stay.
    Pfn page = TRY(pages->page_cache().get(index, mm::PageCache::Intent::kWrite));
    return static_cast<std::byte*>(mm::to_pointer(page));
}

// The image, and the data page directly below it, which is what the image's code expects.
Result<UserAddr> map_vdso(mm::AddressSpace& space) {
    mm::MapRequest image;
    image.size = image_size;
    image.object = pages;
    image.offset = kPageSize;
    image.protection = image.max_protection = {.read = true, .execute = true};
    image.kernel_code = true;
    image.label = "[vdso]";
    mm::MapRequest data_page;
    data_page.size = kPageSize;
    data_page.object = pages;
    data_page.sharing = mm::Sharing::kShared;
    data_page.protection = data_page.max_protection = {.read = true};
    data_page.label = "[vvar]";
    data_page.placement = mm::Placement::kFixedNoReplace;
    UserAddr start = TRY(space.map(image));
    data_page.address = UserAddr(start.value() - kPageSize);
    auto mapped = space.map(data_page);
    if (!mapped && mapped.error() == Errno::kExist) {
        // The gap was too small for both: room for both first.
        TRY(space.unmap({start, start + image_size}));
        mm::MapRequest room;
        room.size = kPageSize + image_size;
        data_page.address = TRY(space.map(room));
        start = image.address = data_page.address + kPageSize;
        image.placement = data_page.placement = mm::Placement::kFixed;
        TRY(space.map(image));
        mapped = space.map(data_page);
    }
    TRY(mapped);
    return start;
}

}  // namespace

void update_vdso() {
    if (!data) return;
    __atomic_store_n(&data->realtime_offset_ns, sched::realtime_offset_ns(), __ATOMIC_RELAXED);
}

Result<void> initialize_vdso() {
    auto size = static_cast<uint64_t>(vdso_image_end - vdso_image_start);
    image_size = core::align_up(size, kPageSize);
    pages = TRY(mm::create_shared_memory(kPageSize + image_size));
    auto* first = TRY(writable_page(0));
    for (uint64_t at = 0; at < size; at += kPageSize) {
        std::byte* page = TRY(writable_page(1 + at / kPageSize));
        std::memcpy(page, vdso_image_start + at, size - at < kPageSize ? size - at : kPageSize);
    }
    data = reinterpret_cast<VdsoData*>(first);
    arch::ClockScale scale = arch::clock_scale();
    data->tsc_base = scale.tsc_base;
    data->multiplier = scale.multiplier;
    data->offset_ns = scale.offset_ns;
    update_vdso();
    process::set_vdso_mapper(map_vdso);
    return {};
}

}  // namespace abi
