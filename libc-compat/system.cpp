// The system as a whole: uname(2), sysinfo(2), getrandom(2), syslog(2), reboot(2), personality(2), membarrier(2).
#include "libc-compat/families.h"

#include <cstring>

#include "arch/x86_64/tlb.h"
#include "arch/x86_64/user_copy.h"
#include "core/log.h"
#include "core/random.h"
#include "drivers/devices.h"
#include "libc-compat/user_time.h"
#include "mm/frames.h"
#include "process/host_name.h"
#include "process/tree.h"

namespace abi {

namespace {

struct Utsname { char system[65], node[65], release[65], version[65], machine[65], domain[65]; };

void fill(char (&field)[65], std::string_view text) { std::memcpy(field, text.data(), text.size()); }

Result<void> sys_uname(Context&, UserOut<Utsname> address) {
    Utsname names{};
    fill(names.system, process::kSystemName);
    fill(names.release, process::kSystemRelease);
    fill(names.version, process::kSystemVersion);
    fill(names.machine, "x86_64");
    process::host_name(names.node);
    process::domain_name(names.domain);
    return arch::copy_out(address, names);
}

Result<void> set_name(Context& context, UserIn<char> address, int size, Result<void> (*set)(std::string_view)) {
    if (!context.credentials().has_capability(process::kCapSysAdmin)) return fail(Errno::kPerm);
    if (size < 0 || size > static_cast<int>(process::kHostNameMax)) return fail(Errno::kInval);
    char name[process::kHostNameMax];
    TRY(arch::copy_in(name, address.address(), static_cast<size_t>(size)));
    return set({name, static_cast<size_t>(size)});
}
Result<void> sys_sethostname(Context& context, UserIn<char> name, int size) {
    return set_name(context, name, size, process::set_host_name);
}
Result<void> sys_setdomainname(Context& context, UserIn<char> name, int size) {
    return set_name(context, name, size, process::set_domain_name);
}

struct UserSysinfo {
    int64_t uptime;
    uint64_t loads[3], total, free, shared, buffered, total_swap, free_swap;
    uint16_t processes, padding;
    uint64_t total_high, free_high;
    uint32_t unit;
};
static_assert(sizeof(UserSysinfo) == 112);

Result<void> sys_sysinfo(Context&, UserOut<UserSysinfo> address) {
    mm::MemoryStatistics memory = mm::memory_statistics();
    UserSysinfo info{};
    info.uptime = static_cast<int64_t>((sched::monotonic_ns() + kNanosecondsPerSecond - 1) / kNanosecondsPerSecond);
    info.total = memory.total_pages * kPageSize;
    info.free = memory.free_pages * kPageSize;
    info.processes = static_cast<uint16_t>(process::tree().threads.load());
    info.unit = 1;
    return arch::copy_out(address, info);
}

constexpr unsigned kGrndNonblock = 1, kGrndRandom = 2, kGrndInsecure = 4;

Result<size_t> sys_getrandom(Context&, UserOut<std::byte> buffer, size_t size, unsigned flags) {
    if (flags & ~(kGrndNonblock | kGrndRandom | kGrndInsecure)) return fail(Errno::kInval);
    if ((flags & (kGrndRandom | kGrndInsecure)) == (kGrndRandom | kGrndInsecure)) return fail(Errno::kInval);
    if (size > INT32_MAX) size = INT32_MAX;
    std::byte chunk[256];
    for (size_t done = 0; done < size;) {
        size_t count = size - done < sizeof(chunk) ? size - done : sizeof(chunk);
        core::fill_random(std::span(chunk, count));
        if (auto copied = arch::copy_out(buffer.address() + done, chunk, count); !copied) {
            if (done) return done;
            return fail(copied.error());
        }
        done += count;
        if (done % 65536 == 0) {
            if (process::signal_pending()) return done;
            sched::poll_point();
        }
    }
    return size;
}

// The kernel's log goes to the host, not to programs: the buffer is always empty.
Result<int> sys_syslog(Context& context, int type, UserOut<char> buffer, int size) {
    constexpr int kRead = 2, kReadClear = 4, kSizeBuffer = 10;
    if (type < 0 || type > kSizeBuffer) return fail(Errno::kInval);
    if (type >= kRead && type <= kReadClear && (buffer.is_null() || size < 0)) return fail(Errno::kInval);
    if (!context.credentials().has_capability(process::kCapSyslog)) return fail(Errno::kPerm);
    return 0;
}

Result<int> sys_reboot(Context& context, unsigned magic, unsigned magic2, unsigned command) {
    constexpr unsigned kMagic = 0xfee1dead, kMagic2 = 672274793, kMagic2a = 85072278, kMagic2b = 369367448,
                       kMagic2c = 537993216;
    constexpr unsigned kCadOff = 0, kCadOn = 0x89abcdef, kRestart = 0x01234567, kHalt = 0xcdef0123,
                       kPowerOff = 0x4321fedc;
    if (!context.credentials().has_capability(process::kCapSysBoot)) return fail(Errno::kPerm);
    bool known = magic2 == kMagic2 || magic2 == kMagic2a || magic2 == kMagic2b || magic2 == kMagic2c;
    if (magic != kMagic || !known) return fail(Errno::kInval);
    if (command == kCadOff || command == kCadOn) return 0;
    if (command != kRestart && command != kHalt && command != kPowerOff) return fail(Errno::kInval);
    klog::warn("pid {} ended the machine by reboot(2)", context.process().pid);
    drivers::power_off();
}

Result<uint32_t> sys_personality(Context& context, uint64_t persona) {
    constexpr uint64_t kQuery = 0xffff'ffff;
    uint32_t old = context.process().personality.load();
    if (persona != kQuery) context.process().personality.store(static_cast<uint32_t>(persona));
    return old;
}

// Every system call serialises the caller. A switch on another processor does as well; so "all processors" is an
// empty flush request to each, answered where it interrupts the running program.
Result<int> sys_membarrier(Context& context, int command, unsigned flags, int) {
    constexpr int kQuery = 0, kGlobal = 1, kGlobalExpedited = 2, kRegisterGlobal = 4, kPrivate = 8,
                  kRegisterPrivate = 16;
    if (flags != 0) return fail(Errno::kInval);
    switch (command) {
        case kQuery: return kGlobal | kGlobalExpedited | kRegisterGlobal | kPrivate | kRegisterPrivate;
        case kRegisterGlobal: return 0;
        case kRegisterPrivate: context.process().private_barriers = true; return 0;
        case kPrivate:
            if (!context.process().private_barriers) return fail(Errno::kPerm);
            [[fallthrough]];
        case kGlobal: case kGlobalExpedited:
            arch::flush({sched::online_cpus(), 0, 0, false});
            return 0;
        default: return fail(Errno::kInval);
    }
}

constexpr SystemCall kCalls[] = {
    CALL(63, uname, "buf"),
    CALL(99, sysinfo, "info"),
    CALL(103, syslog, "type, bufp, len", "the log goes to the host: always empty"),
    CALL(135, personality, "persona", "kept, without effect"),
    CALL(169, reboot, "magic, magic2, op, arg", "ends the machine"),
    CALL(170, sethostname, "name, len"),
    CALL(171, setdomainname, "name, len"),
    CALL(318, getrandom, "buf, buflen, flags"),
    CALL(324, membarrier, "cmd, flags, cpu_id"),
};

}  // namespace

const SystemCallFamily kSystemFamily{"system", kCalls};

}  // namespace abi
