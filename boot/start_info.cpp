#include "boot/start_info.h"

#include <xen/arch-x86/hvm/start_info.h>

#include <cstring>

#include "core/panic.h"

namespace boot {

namespace {

extern "C" const char image_start_physical[], image_end_physical[];

constexpr size_t kMaxCommandLine = 64 << 10;
char command_line_copy[kMaxCommandLine];

constexpr uint64_t kLowMemoryEnd = 1 << 20;

}  // namespace

StartInfo read_start_info(uint64_t physical) {
    StartInfo result;
    // SAFETY (this function): the loader puts these structures into RAM below 1 GiB, which the first page tables
    // map at its own address.
    auto info = reinterpret_cast<const hvm_start_info*>(physical);
    if (info->magic != XEN_HVM_START_MAGIC_VALUE) PANIC("not started by PVH: wrong magic in the start info");
    if (info->version < 1) PANIC("the PVH start info has no memory map (version 0)");
    auto entries = reinterpret_cast<const hvm_memmap_table_entry*>(info->memmap_paddr);
    for (uint32_t i = 0; i < info->memmap_entries && result.usable_count < kMaxMemoryRanges; i++) {
        if (entries[i].type != XEN_HVM_MEMMAP_TYPE_RAM) continue;
        uint64_t start = core::align_up(entries[i].addr, kPageSize);
        uint64_t end = core::align_down(entries[i].addr + entries[i].size, kPageSize);
        if (start < kLowMemoryEnd) start = kLowMemoryEnd;
        if (start >= end) continue;
        result.usable[result.usable_count++] = {core::PhysAddr(start), core::PhysAddr(end)};
        if (result.ram_end.value() < end) result.ram_end = core::PhysAddr(end);
    }
    if (info->nr_modules > 0) {
        auto module = reinterpret_cast<const hvm_modlist_entry*>(info->modlist_paddr);
        result.image = {core::PhysAddr(module->paddr), core::PhysAddr(module->paddr + module->size)};
    }
    result.rsdp = core::PhysAddr(info->rsdp_paddr);
    if (info->cmdline_paddr) {
        auto text = reinterpret_cast<const char*>(info->cmdline_paddr);
        size_t length = strnlen(text, kMaxCommandLine);
        if (length == kMaxCommandLine) PANIC("the command line is longer than 64 KiB");
        std::memcpy(command_line_copy, text, length);
        result.command_line = {command_line_copy, length};
    }
    return result;
}

void initialize_memory(const StartInfo& info) {
    mm::MemoryRange reserved[2] = {
        {core::PhysAddr(reinterpret_cast<uint64_t>(image_start_physical)),
         core::PhysAddr(core::align_up(reinterpret_cast<uint64_t>(image_end_physical), kPageSize))},
        {info.image.start.page_down(), info.image.end.page_up()},
    };
    mm::initialize_frames({info.usable, info.usable_count}, reserved);
}

}  // namespace boot
