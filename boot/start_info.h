// What the machine is started with: PVH start info (Xen, hvm_start_info) and the command line.
#pragma once

#include <span>
#include <string_view>

#include "core/types.h"
#include "core/vector.h"
#include "mm/frames.h"

namespace boot {

inline constexpr size_t kMaxMemoryRanges = 32;

struct StartInfo {
    mm::MemoryRange usable[kMaxMemoryRanges];
    size_t usable_count = 0;
    core::PhysAddr ram_end;
    mm::MemoryRange image;  // the boot image (module 0); empty if there is none
    core::PhysAddr rsdp;
    std::string_view command_line;  // a copy in kernel memory
};

// Reads the structures at `physical` (identity-mapped below 1 GiB). Panics if they are not PVH's.
StartInfo read_start_info(uint64_t physical);

// Gives usable memory to mm, without the first MiB, the kernel and the boot image.
void initialize_memory(const StartInfo& info);

}  // namespace boot
