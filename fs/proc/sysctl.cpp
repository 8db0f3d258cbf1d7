// /proc/sys: what programs read to learn limits and names (proc(5), sysctl(8)). Writable where a write does
// something, and where programs write defaults without caring (then only the value that is there is taken).
#include "core/random.h"
#include "fs/pipe.h"
#include "fs/proc/process_files.h"
#include "fs/proc/process_view.h"
#include "fs/proc/system_files.h"
#include "mm/frames.h"

namespace fs::proc {

namespace {

// A file that holds one constant.
template <uint64_t kValue>
Result<void> constant_text(Text& text, const Subject&) {
    text << kValue << '\n';
    return {};
}

Result<void> host_name_text(Text& text, const Subject&) {
    text << TRY(process_view()->host_name()).view() << '\n';
    return {};
}
Result<void> write_host_name(std::string_view data, const Subject&) {
    while (!data.empty() && data.back() == '\n') data.remove_suffix(1);
    return process_view()->set_host_name(data);
}
Result<void> domain_name_text(Text& text, const Subject&) {
    text << TRY(process_view()->domain_name()).view() << '\n';
    return {};
}
Result<void> os_type_text(Text& text, const Subject&) {
    text << process_view()->system_names().type << '\n';
    return {};
}
Result<void> os_release_text(Text& text, const Subject&) {
    text << process_view()->system_names().release << '\n';
    return {};
}
Result<void> version_text(Text& text, const Subject&) {
    text << process_view()->system_names().version << '\n';
    return {};
}
Result<void> threads_max_text(Text& text, const Subject&) {
    text << mm::memory_statistics().total_pages / 8 << '\n';
    return {};
}

// A random (version 4, RFC 4122) UUID.
void append_uuid(Text& text, uint64_t high, uint64_t low) {
    high = (high & ~0xf000ull) | 0x4000;
    low = (low & ~(3ull << 62)) | 2ull << 62;
    text.hex(high >> 32, 8) << '-';
    text.hex(high >> 16 & 0xffff, 4) << '-';
    text.hex(high & 0xffff, 4) << '-';
    text.hex(low >> 48, 4) << '-';
    text.hex(low & 0xffff'ffff'ffff, 12) << '\n';
}
Result<void> uuid_text(Text& text, const Subject&) {
    append_uuid(text, core::random_u64(), core::random_u64());
    return {};
}
Result<void> boot_id_text(Text& text, const Subject&) {
    // Chosen by the first reader; a race of two first readers is decided by the lock.
    static core::Spinlock lock{core::Rank::kDevice};
    static uint64_t high = 0, low = 0;
    uint64_t fresh_high = core::random_u64() | 1, fresh_low = core::random_u64();
    core::SpinGuard guard(lock);
    if (high == 0) high = fresh_high, low = fresh_low;
    append_uuid(text, high, low);
    return {};
}

Result<void> ranges_text(Text& text, const Subject&) {
    text << "32768\t60999\n";
    return {};
}
Result<void> core_pattern_text(Text& text, const Subject&) {
    text << "core\n";
    return {};
}
Result<void> kernel_cap_text(Text& text, const Subject&) {
    text << "40\n";
    return {};
}
Result<void> semaphores_text(Text& text, const Subject&) {
    text << "32000\t1024000000\t500\t32000\n";
    return {};
}
Result<void> file_count_text(Text& text, const Subject&) {
    text << "0\t0\t9223372036854775807\n";
    return {};
}

constexpr Entry kRandomEntries[] = {
    {.name = "boot_id", .text = boot_id_text},
    {.name = "entropy_avail", .text = constant_text<256>},
    {.name = "poolsize", .text = constant_text<256>},
    {.name = "uuid", .text = uuid_text},
};
constexpr Directory kRandomDirectory{kRandomEntries};

constexpr Entry kKernelEntries[] = {
    {.name = "cap_last_cap", .text = kernel_cap_text},
    {.name = "core_pattern", .text = core_pattern_text},
    {.name = "domainname", .text = domain_name_text},
    {.name = "hostname", .permissions = 0644, .text = host_name_text, .write = write_host_name},
    {.name = "ngroups_max", .text = constant_text<65536>},
    {.name = "osrelease", .text = os_release_text},
    {.name = "ostype", .text = os_type_text},
    {.name = "overflowgid", .text = constant_text<65534>},
    {.name = "overflowuid", .text = constant_text<65534>},
    {.name = "pid_max", .text = constant_text<32768>},
    {.name = "random", .directory = &kRandomDirectory},
    {.name = "randomize_va_space", .text = constant_text<2>},
    {.name = "sem", .text = semaphores_text},
    {.name = "shmall", .text = constant_text<18446744073692774399ull>},
    {.name = "shmmax", .text = constant_text<18446744073692774399ull>},
    {.name = "shmmni", .text = constant_text<4096>},
    {.name = "threads-max", .text = threads_max_text},
    {.name = "version", .text = version_text},
};
constexpr Directory kKernelDirectory{kKernelEntries};

constexpr Entry kMemoryEntries[] = {
    {.name = "max_map_count", .text = constant_text<65530>},
    {.name = "mmap_min_addr", .text = constant_text<core::kUserMmapMin>},
    {.name = "overcommit_memory", .text = constant_text<0>},
    {.name = "overcommit_ratio", .text = constant_text<50>},
    {.name = "swappiness", .text = constant_text<60>},
};
constexpr Directory kMemoryDirectory{kMemoryEntries};

constexpr Entry kFileEntries[] = {
    {.name = "file-max", .text = constant_text<9223372036854775807ull>},
    {.name = "file-nr", .text = file_count_text},
    {.name = "nr_open", .text = constant_text<1048576>},
    {.name = "pipe-max-size", .text = constant_text<kPipeMaxSize>},
};
constexpr Directory kFileDirectory{kFileEntries};

constexpr Entry kNetCoreEntries[] = {
    {.name = "somaxconn", .text = constant_text<4096>},
    {.name = "rmem_max", .text = constant_text<212992>},
    {.name = "wmem_max", .text = constant_text<212992>},
};
constexpr Directory kNetCoreDirectory{kNetCoreEntries};
constexpr Entry kIpv4Entries[] = {
    {.name = "ip_local_port_range", .text = ranges_text},
    {.name = "tcp_fastopen", .text = constant_text<0>},
};
constexpr Directory kIpv4Directory{kIpv4Entries};
constexpr Entry kNetEntries[] = {
    {.name = "core", .directory = &kNetCoreDirectory},
    {.name = "ipv4", .directory = &kIpv4Directory},
};
constexpr Directory kNetSysctlDirectory{kNetEntries};

constexpr Entry kSysctlEntries[] = {
    {.name = "fs", .directory = &kFileDirectory},
    {.name = "kernel", .directory = &kKernelDirectory},
    {.name = "net", .directory = &kNetSysctlDirectory},
    {.name = "vm", .directory = &kMemoryDirectory},
};

}  // namespace

const Directory kSysctlDirectory{kSysctlEntries};

}  // namespace fs::proc
