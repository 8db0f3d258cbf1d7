// /proc/<pid>/stat, status, statm, limits (proc(5)); formats as fs/proc/array.c of Linux 6.1 prints them.
#include "fs/proc/process_files.h"

#include <algorithm>

#include "fs/device.h"
#include "fs/proc/process_view.h"
#include "fs/tty/terminal.h"
#include "sched/thread.h"

namespace fs::proc {

namespace {

constexpr uint64_t kNanosecondsPerTick = 10'000'000;  // USER_HZ is 100
constexpr uint64_t kPageKib = core::kPageSize / 1024;

uint64_t ticks(Nanoseconds time) { return time / kNanosecondsPerTick; }

const char* state_name(char state) {
    switch (state) {
        case 'R': return "R (running)";
        case 'S': return "S (sleeping)";
        case 'D': return "D (disk sleep)";
        case 'T': return "T (stopped)";
        case 'Z': return "Z (zombie)";
        default: return "X (dead)";
    }
}

void mask_line(Text& text, std::string_view label, uint64_t value) { (text << label).hex(value, 16) << '\n'; }
void size_line(Text& text, std::string_view label, uint64_t pages) { (text << label).decimal(pages * kPageKib, 8) << " kB\n"; }

// Linux' %*pb and %*pbl of a processor mask.
void processor_lists(Text& text, uint64_t mask) {
    text << "Cpus_allowed:\t";
    text.hex(mask, 1) << "\nCpus_allowed_list:\t";
    append_list(text, mask);
    text << "\nMems_allowed:\t1\nMems_allowed_list:\t0\n";
}

}  // namespace

void append_list(Text& text, uint64_t mask) {
    bool first = true;
    for (unsigned cpu = 0; cpu < 64; cpu++) {
        if (!(mask >> cpu & 1)) continue;
        unsigned last = cpu;
        while (last < 63 && (mask >> (last + 1) & 1)) last++;
        if (!first) text << ',';
        first = false;
        text << cpu;
        if (last > cpu) text << '-' << last;
        cpu = last;
    }
}

Result<void> stat_text(Text& text, const Subject& subject) {
    auto status = TRY(process_view()->status(subject.tid));
    auto space = process_view()->address_space(subject.tid);
    mm::AddressSpace::Sizes sizes{};
    if (space) sizes = space->sizes();
    int tty_number = 0, tty_group = -1;
    if (auto terminal = tty::terminal_of_session(status.session)) {
        tty_number = static_cast<int>(terminal->device_number());
        tty_group = terminal->foreground();
    }
    // Addresses are shown to those who may look into the process only.
    bool see = process_view()->may_inspect(subject.tid);
    auto address = [&](uint64_t value) { return see ? value : 0; };
    text << status.tid << " (" << std::string_view(status.name) << ") " << status.state << ' ' << status.parent << ' '
         << status.process_group << ' ' << status.session << ' ' << tty_number << ' ' << tty_group << ' '
         << 0x400000u /* PF_RANDOMIZE */ << ' ' << status.minor_faults << ' ' << status.children_minor_faults << ' '
         << status.major_faults << ' ' << status.children_major_faults << ' ' << ticks(status.user_ns) << ' '
         << ticks(status.system_ns) << ' ' << ticks(status.children_user_ns) << ' ' << ticks(status.children_system_ns)
         << ' ' << 20 + status.nice << ' ' << status.nice << ' ' << status.thread_count << " 0 " << ticks(status.start_ns)
         << ' ' << sizes.total_pages * core::kPageSize << ' ' << sizes.resident_pages << ' ' << status.resident_limit << ' '
         << address(space ? status.start_code : 0) << ' ' << address(space ? status.end_code : 0) << ' '
         << address(status.start_stack) << " 0 0 " << (status.pending & 0x7fffffff) << ' '
         << (status.blocked & 0x7fffffff) << ' ' << (status.ignored & 0x7fffffff) << ' ' << (status.caught & 0x7fffffff)
         << ' ' << (status.state == 'S' ? 1 : 0) << " 0 0 " << status.exit_signal << ' ' << status.processor << ' '
         << status.real_time_priority << ' ' << status.policy << " 0 0 0 " << address(status.start_data) << ' '
         << address(status.end_data) << ' ' << address(status.start_break) << ' ' << address(status.argument_start) << ' '
         << address(status.argument_end) << ' ' << address(status.environment_start) << ' '
         << address(status.environment_end) << ' ' << (see ? status.exit_code : 0) << '\n';
    return {};
}

Result<void> status_text(Text& text, const Subject& subject) {
    auto status = TRY(process_view()->status(subject.tid));
    text << "Name:\t" << std::string_view(status.name) << "\nUmask:\t0" << (status.umask >> 6 & 7) << (status.umask >> 3 & 7)
         << (status.umask & 7) << "\nState:\t" << state_name(status.state) << "\nTgid:\t" << status.pid
         << "\nNgid:\t0\nPid:\t" << status.tid << "\nPPid:\t" << status.parent << "\nTracerPid:\t0\nUid:\t" << status.uid
         << '\t' << status.euid << '\t' << status.suid << '\t' << status.fsuid << "\nGid:\t" << status.gid << '\t'
         << status.egid << '\t' << status.sgid << '\t' << status.fsgid << "\nFDSize:\t" << 64 << "\nGroups:\t";
    for (uint32_t group : status.groups) text << group << ' ';
    text << "\nNStgid:\t" << status.pid << "\nNSpid:\t" << status.tid << "\nNSpgid:\t" << status.process_group
         << "\nNSsid:\t" << status.session << '\n';
    if (auto space = process_view()->address_space(subject.tid)) {
        auto sizes = space->sizes();
        uint64_t anonymous = sizes.resident_pages > sizes.shared_pages ? sizes.resident_pages - sizes.shared_pages : 0;
        size_line(text, "VmPeak:\t", std::max(sizes.total_pages, status.peak_mapped_pages));
        size_line(text, "VmSize:\t", sizes.total_pages);
        size_line(text, "VmLck:\t", sizes.locked_pages);
        size_line(text, "VmPin:\t", 0);
        size_line(text, "VmHWM:\t", std::max(sizes.resident_pages, status.peak_resident_pages));
        size_line(text, "VmRSS:\t", sizes.resident_pages);
        size_line(text, "RssAnon:\t", anonymous);
        size_line(text, "RssFile:\t", sizes.resident_pages - anonymous);
        size_line(text, "RssShmem:\t", 0);
        size_line(text, "VmData:\t", sizes.data_pages);
        size_line(text, "VmStk:\t", sizes.stack_pages);
        size_line(text, "VmExe:\t", sizes.text_pages);
        size_line(text, "VmLib:\t", 0);
        size_line(text, "VmPTE:\t", 0);
        size_line(text, "VmSwap:\t", 0);
        text << "HugetlbPages:\t       0 kB\nCoreDumping:\t0\nTHP_enabled:\t"
             << (space->huge_pages_disabled() ? 0 : 1) << '\n';
    }
    text << "Threads:\t" << status.thread_count << "\nSigQ:\t0/" << 4096 << '\n';
    mask_line(text, "SigPnd:\t", status.pending);
    mask_line(text, "ShdPnd:\t", status.shared_pending);
    mask_line(text, "SigBlk:\t", status.blocked);
    mask_line(text, "SigIgn:\t", status.ignored);
    mask_line(text, "SigCgt:\t", status.caught);
    mask_line(text, "CapInh:\t", status.capabilities_inheritable);
    mask_line(text, "CapPrm:\t", status.capabilities_permitted);
    mask_line(text, "CapEff:\t", status.capabilities_effective);
    mask_line(text, "CapBnd:\t", 0x1ffffffffff);
    mask_line(text, "CapAmb:\t", 0);
    text << "NoNewPrivs:\t" << int{status.no_new_privileges}
         << "\nSeccomp:\t0\nSeccomp_filters:\t0\nSpeculation_Store_Bypass:\tvulnerable\n"
            "SpeculationIndirectBranch:\talways enabled\n";
    processor_lists(text, status.affinity & sched::online_cpus());
    text << "voluntary_ctxt_switches:\t" << status.voluntary_switches << "\nnonvoluntary_ctxt_switches:\t"
         << status.involuntary_switches << '\n';
    // Ours, at the end where no parser of Linux' lines trips over it (docs/architecture.md, "The three privileges").
    text << "Isolation:\t" << status.isolation << " (" << status.isolation_reason.view() << ")\n"
         << "Isolation-entries:\tmpk " << status.mpk_entries << " ring3 " << status.ring3_entries << " none "
         << status.none_entries << '\n';
    return {};
}

Result<void> statm_text(Text& text, const Subject& subject) {
    mm::AddressSpace::Sizes sizes{};
    if (auto space = process_view()->address_space(subject.tid)) sizes = space->sizes();
    text << sizes.total_pages << ' ' << sizes.resident_pages << ' ' << sizes.shared_pages << ' ' << sizes.text_pages
         << " 0 " << sizes.data_pages + sizes.stack_pages << " 0\n";
    return {};
}

Result<void> limits_text(Text& text, const Subject& subject) {
    struct Row {
        std::string_view name, unit;
    };
    static constexpr Row kRows[kLimitCount] = {
        {"Max cpu time", "seconds"},       {"Max file size", "bytes"},      {"Max data size", "bytes"},
        {"Max stack size", "bytes"},       {"Max core file size", "bytes"}, {"Max resident set", "bytes"},
        {"Max processes", "processes"},    {"Max open files", "files"},     {"Max locked memory", "bytes"},
        {"Max address space", "bytes"},    {"Max file locks", "locks"},     {"Max pending signals", "signals"},
        {"Max msgqueue size", "bytes"},    {"Max nice priority", ""},       {"Max realtime priority", ""},
        {"Max realtime timeout", "us"},
    };
    Limit limits[kLimitCount];
    TRY(process_view()->limits(subject.tid, limits));
    // "%-25s %-20s %-20s %-10s\n"; a value is followed by spaces up to its column.
    auto column = [&](std::string_view value, size_t width) {
        text << value;
        for (size_t i = value.size(); i < width; i++) text << ' ';
    };
    column("Limit", 26);
    column("Soft Limit", 21);
    column("Hard Limit", 21);
    column("Units", 10);
    text << '\n';
    for (unsigned i = 0; i < kLimitCount; i++) {
        column(kRows[i].name, 26);
        for (uint64_t value : {limits[i].soft, limits[i].hard}) {
            char digits[24];
            column(value == ~0ull ? "unlimited" : klog::format(digits, sizeof digits, "{}", value), 21);
        }
        if (!kRows[i].unit.empty()) column(kRows[i].unit, 10);
        text << '\n';
    }
    return {};
}

}  // namespace fs::proc
