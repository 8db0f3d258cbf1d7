// /proc/meminfo, cpuinfo, stat, uptime, loadavg, version, filesystems, cmdline and friends (proc(5)).
#include "fs/proc/system_files.h"

#include <cpuid.h>
#include <cstring>

#include "fs/mount.h"
#include "fs/proc/process_files.h"
#include "fs/proc/process_view.h"
#include "mm/frames.h"
#include "mm/page_tables.h"
#include "sched/timer.h"

namespace fs::proc {

namespace {

constexpr uint64_t kSecond = 1'000'000'000;

Result<void> meminfo_text(Text& text, const Subject&) {
    auto memory = mm::memory_statistics();
    auto line = [&](std::string_view label, uint64_t pages) {
        text << label;
        for (size_t i = label.size(); i < 16; i++) text << ' ';
        text.decimal(pages * 4, 8) << " kB\n";
    };
    uint64_t limit = memory.total_pages / 2;
    line("MemTotal:", memory.total_pages);
    line("MemFree:", memory.free_pages);
    line("MemAvailable:", memory.free_pages);
    line("Buffers:", 0);
    line("Cached:", memory.page_cache_pages);
    line("SwapCached:", 0);
    line("Active:", memory.anonymous_pages);
    line("Inactive:", memory.page_cache_pages);
    line("SwapTotal:", 0);
    line("SwapFree:", 0);
    line("Dirty:", 0);
    line("Writeback:", 0);
    line("AnonPages:", memory.anonymous_pages);
    line("Mapped:", memory.page_cache_pages);
    line("Shmem:", 0);
    line("Slab:", memory.kernel_pages);
    line("SReclaimable:", 0);
    line("SUnreclaim:", memory.kernel_pages);
    line("PageTables:", memory.page_table_pages);
    line("CommitLimit:", limit);
    line("Committed_AS:", memory.anonymous_pages);
    line("AnonHugePages:", mm::huge_page_count() * (core::kHugePageSize / core::kPageSize));
    text << "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\nHugePages_Surp:        0\n"
            "Hugepagesize:       2048 kB\n";
    return {};
}

// What CPUID says, in Linux' names; only flags that programs look for.
struct FlagName {
    unsigned leaf, subleaf;
    char output;  // a, b, c, d
    unsigned bit;
    std::string_view name;
};
constexpr FlagName kFlags[] = {
    {1, 0, 'd', 0, "fpu"},      {1, 0, 'd', 4, "tsc"},      {1, 0, 'd', 5, "msr"},      {1, 0, 'd', 6, "pae"},
    {1, 0, 'd', 8, "cx8"},      {1, 0, 'd', 9, "apic"},     {1, 0, 'd', 13, "pge"},     {1, 0, 'd', 15, "cmov"},
    {1, 0, 'd', 19, "clflush"}, {1, 0, 'd', 23, "mmx"},     {1, 0, 'd', 24, "fxsr"},    {1, 0, 'd', 25, "sse"},
    {1, 0, 'd', 26, "sse2"},    {0x80000001, 0, 'd', 11, "syscall"}, {0x80000001, 0, 'd', 20, "nx"},
    {0x80000001, 0, 'd', 29, "lm"}, {1, 0, 'c', 0, "pni"},  {1, 0, 'c', 1, "pclmulqdq"}, {1, 0, 'c', 9, "ssse3"},
    {1, 0, 'c', 12, "fma"},     {1, 0, 'c', 13, "cx16"},    {1, 0, 'c', 19, "sse4_1"},  {1, 0, 'c', 20, "sse4_2"},
    {1, 0, 'c', 22, "movbe"},   {1, 0, 'c', 23, "popcnt"},  {1, 0, 'c', 25, "aes"},     {1, 0, 'c', 26, "xsave"},
    {1, 0, 'c', 28, "avx"},     {1, 0, 'c', 29, "f16c"},    {1, 0, 'c', 30, "rdrand"},  {1, 0, 'c', 31, "hypervisor"},
    {7, 0, 'b', 0, "fsgsbase"}, {7, 0, 'b', 3, "bmi1"},     {7, 0, 'b', 5, "avx2"},     {7, 0, 'b', 7, "smep"},
    {7, 0, 'b', 8, "bmi2"},     {7, 0, 'b', 9, "erms"},     {7, 0, 'b', 16, "avx512f"}, {7, 0, 'b', 18, "rdseed"},
    {7, 0, 'b', 19, "adx"},     {7, 0, 'b', 20, "smap"},    {7, 0, 'b', 29, "sha_ni"},  {7, 0, 'c', 3, "pku"},
};

struct Cpuid {
    uint32_t a = 0, b = 0, c = 0, d = 0;
    explicit Cpuid(unsigned leaf, unsigned subleaf = 0) { __cpuid_count(leaf, subleaf, a, b, c, d); }
    uint32_t output(char name) const { return name == 'a' ? a : name == 'b' ? b : name == 'c' ? c : d; }
};

void append_flags(Text& text) {
    uint32_t basic = Cpuid(0).a, extended = Cpuid(0x80000000).a;
    for (const FlagName& flag : kFlags) {
        if (flag.leaf > (flag.leaf >= 0x80000000 ? extended : basic)) continue;
        if (Cpuid(flag.leaf, flag.subleaf).output(flag.output) >> flag.bit & 1) text << ' ' << flag.name;
    }
}

Result<void> cpuinfo_text(Text& text, const Subject&) {
    Cpuid vendor(0), version(1);
    char vendor_name[12];
    std::memcpy(vendor_name, &vendor.b, 4);
    std::memcpy(vendor_name + 4, &vendor.d, 4);
    std::memcpy(vendor_name + 8, &vendor.c, 4);
    unsigned family = version.a >> 8 & 15, model = version.a >> 4 & 15;
    if (family == 6 || family == 15) model |= (version.a >> 16 & 15) << 4;
    if (family == 15) family += version.a >> 20 & 255;
    char brand[49] = "unknown";
    if (Cpuid(0x80000000).a >= 0x80000004) {
        for (unsigned i = 0; i < 3; i++) {
            Cpuid part(0x80000002 + i);
            uint32_t words[4] = {part.a, part.b, part.c, part.d};
            std::memcpy(brand + 16 * i, words, 16);
        }
        brand[48] = '\0';
    }
    unsigned count = sched::cpu_count();
    for (unsigned cpu = 0; cpu < count; cpu++) {
        text << "processor\t: " << cpu << "\nvendor_id\t: " << std::string_view(vendor_name, 12) << "\ncpu family\t: " << family
             << "\nmodel\t\t: " << model << "\nmodel name\t: " << std::string_view(brand) << "\nstepping\t: " << (version.a & 15)
             << "\nphysical id\t: 0\nsiblings\t: " << count << "\ncore id\t\t: " << cpu << "\ncpu cores\t: " << count
             << "\napicid\t\t: " << cpu << "\nfpu\t\t: yes\nwp\t\t: yes\nflags\t\t:";
        append_flags(text);
        text << "\nclflush size\t: 64\ncache_alignment\t: 64\naddress sizes\t: " << (Cpuid(0x80000008).a & 255)
             << " bits physical, " << (Cpuid(0x80000008).a >> 8 & 255) << " bits virtual\npower management:\n\n";
    }
    return {};
}

Result<void> stat_text_all(Text& text, const Subject&) {
    auto load = process_view()->load();
    uint64_t up = sched::monotonic_ns() / 10'000'000;
    unsigned count = sched::cpu_count();
    // Only the sum of time is known per processor: it is shown as idle.
    text << "cpu  0 0 0 " << up * count << " 0 0 0 0 0 0\n";
    for (unsigned cpu = 0; cpu < count; cpu++) text << "cpu" << cpu << " 0 0 0 " << up << " 0 0 0 0 0 0\n";
    uint64_t boot = (sched::realtime_offset_ns()) / kSecond;
    text << "intr 0\nctxt 0\nbtime " << boot << "\nprocesses " << load.forks << "\nprocs_running " << load.runnable
         << "\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n";
    return {};
}

void append_hundredths(Text& text, Nanoseconds time) {
    uint64_t hundredths = time / 10'000'000 % 100;
    text << time / kSecond << '.' << hundredths / 10 << hundredths % 10;
}

Result<void> uptime_text(Text& text, const Subject&) {
    Nanoseconds now = sched::monotonic_ns();
    append_hundredths(text, now);
    text << ' ';
    append_hundredths(text, now * sched::cpu_count());
    text << '\n';
    return {};
}

Result<void> loadavg_text(Text& text, const Subject&) {
    auto load = process_view()->load();
    text << "0.00 0.00 0.00 " << load.runnable << '/' << load.threads << ' ' << load.last_pid << '\n';
    return {};
}

Result<void> version_text(Text& text, const Subject&) {
    auto names = process_view()->system_names();
    text << names.type << " version " << names.release << " (isounik) (g++) " << names.version << '\n';
    return {};
}

Result<void> filesystems_text(Text& text, const Subject&) {
    for (const FileSystemType& type : file_system_types()) text << "nodev\t" << type.name << '\n';
    text << "\terofs\n";
    return {};
}

Result<void> cmdline_text(Text& text, const Subject&) {
    text << "isounik\n";
    return {};
}

Result<void> devices_text(Text& text, const Subject&) {
    text << "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\nBlock devices:\n";
    return {};
}

Result<void> swaps_text(Text& text, const Subject&) {
    text << "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
    return {};
}

Result<void> empty_text(Text&, const Subject&) { return {}; }

Result<void> vmstat_text(Text& text, const Subject&) {
    auto memory = mm::memory_statistics();
    text << "nr_free_pages " << memory.free_pages << "\nnr_anon_pages " << memory.anonymous_pages << "\nnr_file_pages "
         << memory.page_cache_pages << "\nnr_page_table_pages " << memory.page_table_pages << '\n';
    return {};
}

Result<core::String> mounts_link(const Subject&) { return core::String::create("self/mounts"); }

constexpr Entry kEntries[] = {
    {.name = "meminfo", .text = meminfo_text},
    {.name = "cpuinfo", .text = cpuinfo_text},
    {.name = "stat", .text = stat_text_all},
    {.name = "uptime", .text = uptime_text},
    {.name = "loadavg", .text = loadavg_text},
    {.name = "version", .text = version_text},
    {.name = "filesystems", .text = filesystems_text},
    {.name = "cmdline", .text = cmdline_text},
    {.name = "devices", .text = devices_text},
    {.name = "swaps", .text = swaps_text},
    {.name = "modules", .text = empty_text},
    {.name = "vmstat", .text = vmstat_text},
    {.name = "mounts", .link = mounts_link},
    {.name = "sys", .directory = &kSysctlDirectory},
    {.name = "net", .directory = &kNetDirectory},
};

}  // namespace

const std::span<const Entry> kSystemEntries = kEntries;

}  // namespace fs::proc
