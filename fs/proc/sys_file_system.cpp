// /sys, as little of it as C libraries and servers read: the processors (sysconf(3), get_nprocs(3)) and how they lie
// together (lscpu(1)); Linux' Documentation/admin-guide/cputopology.rst.
#include <iterator>

#include "arch/x86_64/interrupts.h"
#include "arch/x86_64/topology.h"
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

// Which processors of the machine are in the same core or package as the subject.
enum class Share : uint8_t { kCore, kPackage };
uint64_t siblings(const Subject& subject, Share share) {
    const arch::Topology topology = arch::topology();
    auto unit = [&](unsigned cpu) {
        uint32_t id = arch::apic_id_of(cpu);
        return share == Share::kCore ? topology.core_of(id) : topology.package_of(id);
    };
    uint64_t mask = 0;
    for (unsigned cpu = 0; cpu < sched::cpu_count(); cpu++) {
        if (unit(cpu) == unit(subject.cpu)) mask |= 1ull << cpu;
    }
    return mask;
}
// Linux' %*pb of as many bits as there may be processors: groups of 32, the first one without zeros that no bit needs.
template <Share share>
Result<void> siblings_mask_text(Text& text, const Subject& subject) {
    uint64_t mask = siblings(subject, share);
    unsigned bits = sched::cpu_count();
    if (bits > 32) {
        text.hex(mask >> 32, (bits - 32 + 3) / 4) << ',';
        bits = 32;
    }
    text.hex(mask & 0xffffffff, (bits + 3) / 4) << '\n';
    return {};
}
template <Share share>
Result<void> siblings_list_text(Text& text, const Subject& subject) {
    append_list(text, siblings(subject, share));
    text << '\n';
    return {};
}
Result<void> core_id_text(Text& text, const Subject& subject) {
    text << arch::topology().core_within_package(arch::apic_id_of(subject.cpu)) << '\n';
    return {};
}
Result<void> package_text(Text& text, const Subject& subject) {
    text << arch::topology().package_of(arch::apic_id_of(subject.cpu)) << '\n';
    return {};
}

constexpr Entry kTopologyEntries[] = {
    {.name = "core_id", .text = core_id_text},
    {.name = "physical_package_id", .text = package_text},
    {.name = "core_cpus", .text = siblings_mask_text<Share::kCore>},
    {.name = "core_cpus_list", .text = siblings_list_text<Share::kCore>},
    {.name = "thread_siblings", .text = siblings_mask_text<Share::kCore>},
    {.name = "thread_siblings_list", .text = siblings_list_text<Share::kCore>},
    {.name = "package_cpus", .text = siblings_mask_text<Share::kPackage>},
    {.name = "package_cpus_list", .text = siblings_list_text<Share::kPackage>},
    {.name = "core_siblings", .text = siblings_mask_text<Share::kPackage>},
    {.name = "core_siblings_list", .text = siblings_list_text<Share::kPackage>},
};
constexpr Directory kTopologyDirectory{kTopologyEntries};
constexpr Entry kOneCpuEntries[] = {{.name = "topology", .directory = &kTopologyDirectory}};
constexpr Directory kOneCpuDirectory{kOneCpuEntries};

// The files of all processors, then a directory for each.
class CpuDirectory final : public DirectoryNode {
  public:
    explicit CpuDirectory(FileSystem& owner) : DirectoryNode(owner, {}, "cpu", 0555) {}
    Result<Ref<Inode>> lookup(std::string_view name) override {
        if (name.starts_with("cpu")) {
            int cpu = parse_number(name.substr(3));
            if (cpu < 0 || static_cast<unsigned>(cpu) >= sched::cpu_count()) return fail(Errno::kNoEnt);
            Subject subject{.cpu = static_cast<unsigned>(cpu)};
            return Ref<Inode>(TRY(core::make_ref<TableDirectory>(owner_, subject, "cpuN", 0555, kOneCpuDirectory)));
        }
        return lookup_in(kCpuEntries, name);
    }
    Result<void> read_directory(uint64_t offset, DirectorySink& sink) override {
        constexpr uint64_t kFirst = std::size(kCpuEntries);
        if (!list(kCpuEntries, 0, offset, sink)) return {};
        for (uint64_t cpu = offset > kFirst ? offset - kFirst : 0; cpu < sched::cpu_count(); cpu++) {
            char bytes[12];
            auto name = klog::format(bytes, sizeof bytes, "cpu{}", cpu);
            uint64_t number = inode_number(Subject{.cpu = static_cast<unsigned>(cpu)}, "cpuN");
            if (!sink.entry(name, number, FileType::kDirectory, kFirst + cpu + 1)) return {};
        }
        return {};
    }
};
Result<Ref<Inode>> make_cpu_directory(FileSystem& owner, const Subject&) {
    return Ref<Inode>(TRY(core::make_ref<CpuDirectory>(owner)));
}

constexpr Entry kNodeEntries[] = {
    {.name = "online", .text = node_text},
    {.name = "possible", .text = node_text},
};
constexpr Directory kNodeDirectory{kNodeEntries};
constexpr Entry kSystemEntries[] = {
    {.name = "cpu", .make = make_cpu_directory},
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
