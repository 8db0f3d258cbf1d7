// /sys, as little of it as C libraries and servers read: the processors (sysconf(3), get_nprocs(3)).
#include "fs/device.h"
#include "fs/proc/node.h"
#include "fs/proc/process_files.h"
#include "sched/thread.h"

namespace fs::proc {

namespace {

constexpr uint64_t kSysMagic = 0x62656572;

Result<void> online_text(Text& text, const Subject&) {
    append_list(text, sched::online_cpus());
    text << '\n';
    return {};
}
Result<void> possible_text(Text& text, const Subject&) {
    unsigned count = sched::cpu_count();
    append_list(text, count >= 64 ? ~0ull : (1ull << count) - 1);
    text << '\n';
    return {};
}
Result<void> kernel_max_text(Text& text, const Subject&) {
    text << sched::kMaxCpus - 1 << '\n';
    return {};
}
Result<void> node_text(Text& text, const Subject&) {
    text << "0\n";
    return {};
}
Result<void> huge_pages_text(Text& text, const Subject&) {
    text << "always [madvise] never\n";
    return {};
}
Result<void> huge_page_size_text(Text& text, const Subject&) {
    text << core::kHugePageSize << '\n';
    return {};
}

constexpr Entry kCpuEntries[] = {
    {.name = "kernel_max", .text = kernel_max_text},
    {.name = "online", .text = online_text},
    {.name = "possible", .text = possible_text},
    {.name = "present", .text = possible_text},
};
constexpr Directory kCpuDirectory{kCpuEntries};
constexpr Entry kNodeEntries[] = {
    {.name = "online", .text = node_text},
    {.name = "possible", .text = node_text},
};
constexpr Directory kNodeDirectory{kNodeEntries};
constexpr Entry kSystemEntries[] = {
    {.name = "cpu", .directory = &kCpuDirectory},
    {.name = "node", .directory = &kNodeDirectory},
};
constexpr Directory kSystemDirectory{kSystemEntries};
constexpr Entry kDevicesEntries[] = {{.name = "system", .directory = &kSystemDirectory}};
constexpr Directory kDevicesDirectory{kDevicesEntries};

constexpr Entry kHugePageEntries[] = {
    {.name = "enabled", .text = huge_pages_text},
    {.name = "hpage_pmd_size", .text = huge_page_size_text},
};
constexpr Directory kHugePageDirectory{kHugePageEntries};
constexpr Entry kMemoryEntries[] = {{.name = "transparent_hugepage", .directory = &kHugePageDirectory}};
constexpr Directory kMemoryDirectory{kMemoryEntries};
constexpr Entry kKernelEntries[] = {{.name = "mm", .directory = &kMemoryDirectory}};
constexpr Directory kKernelDirectory{kKernelEntries};

constexpr Entry kRootEntries[] = {
    {.name = "devices", .directory = &kDevicesDirectory},
    {.name = "kernel", .directory = &kKernelDirectory},
};
constexpr Directory kRootDirectory{kRootEntries};

}  // namespace

}  // namespace fs::proc

namespace fs {

Result<Ref<FileSystem>> create_sys_file_system() {
    return proc::create_text_file_system("sysfs", proc::kSysMagic, [](FileSystem& owner) -> Result<Ref<Inode>> {
        return Ref<Inode>(
            TRY(core::make_ref<proc::TableDirectory>(owner, proc::Subject{}, "/", 0555, proc::kRootDirectory)));
    });
}

}  // namespace fs
