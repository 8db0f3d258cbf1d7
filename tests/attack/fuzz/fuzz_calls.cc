// fuzz_calls SEED COUNT: system calls with random numbers and random, often wild, arguments (kernel addresses
// included). The machine and the processes beside must live on, no memory may leak, and no byte of the kernel may
// be read or written through a call's pointers.
#include <fcntl.h>
#include <signal.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "keeper.h"

namespace {

using fuzz::Random;

constexpr uint64_t kHighestCall = 470;
constexpr size_t kBufferSize = 16 << 10;

uint8_t* buffer;     // readable and writable, the page behind it is not there
uint8_t* read_only;  // a page

long call(uint64_t number, const uint64_t (&a)[6]) {
    register uint64_t r10 asm("r10") = a[3];
    register uint64_t r8 asm("r8") = a[4];
    register uint64_t r9 asm("r9") = a[5];
    long result;
    asm volatile("syscall" : "=a"(result) : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return result;
}

const char* const kNames[] = {
    ".", "..", "/", "file", "file2", "directory", "directory/file", "link", "fifo", "socket", "", "/tmp", "/tmp/fuzz",
    "/proc/self/maps", "/proc/self/mem", "/proc/self/status", "/proc/self/fd", "/proc/self/fd/1", "/proc/self/exe",
    "/proc/1/status", "/proc/meminfo", "/proc", "/dev/null", "/dev/zero", "/dev/urandom", "/dev/ptmx", "/dev/full",
    "/sys", "/dev/shm", "/nosuch", "file/x", "nosuch/x",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

uint64_t buffer_address(Random& random) {
    switch (random.below(6)) {
        case 0: return reinterpret_cast<uint64_t>(read_only) + random.below(4096);
        case 1: return reinterpret_cast<uint64_t>(buffer) + kBufferSize - random.below(64);  // ends in a hole
        case 2: return reinterpret_cast<uint64_t>(buffer) + random.below(kBufferSize);
        default: return reinterpret_cast<uint64_t>(buffer) + random.below(kBufferSize / 64) * 64;
    }
}

uint64_t size_of_something(Random& random) {
    switch (random.below(6)) {
        case 0: return random.below(16);
        case 1: return uint64_t{1} << random.below(64);
        case 2: return (uint64_t{1} << random.below(64)) - 1;
        case 3: return random.below(64) * 4096;
        case 4: return random.below(1 << 16);
        default: return random.next() >> random.below(64);
    }
}

uint64_t flags(Random& random) {
    uint64_t value = 0;
    for (uint64_t bits = random.below(5); bits > 0; bits--) value |= uint64_t{1} << random.below(32);
    return value;
}

// What a call's arguments are, so that most get past their first check. f descriptor, s name, p buffer, n size,
// g flags, i small number, m mapped memory, d directory descriptor, t clock.
struct Kinds {
    unsigned number;
    const char* kinds;
};
constexpr Kinds kKinds[] = {
    {SYS_read, "fpn"}, {SYS_write, "fpn"}, {SYS_open, "sgi"}, {SYS_close, "f"}, {SYS_stat, "sp"}, {SYS_fstat, "fp"},
    {SYS_lstat, "sp"}, {SYS_poll, "pii"}, {SYS_lseek, "fni"}, {SYS_mmap, "mnggfn"}, {SYS_mprotect, "mng"},
    {SYS_munmap, "mn"}, {SYS_brk, "n"}, {SYS_rt_sigaction, "ippi"}, {SYS_rt_sigprocmask, "ippi"}, {SYS_ioctl, "fgp"},
    {SYS_pread64, "fpnn"}, {SYS_pwrite64, "fpnn"}, {SYS_readv, "fpi"}, {SYS_writev, "fpi"}, {SYS_access, "si"},
    {SYS_pipe, "p"}, {SYS_select, "ipppp"}, {SYS_mremap, "mnngm"}, {SYS_msync, "mni"}, {SYS_mincore, "mnp"},
    {SYS_madvise, "mni"}, {SYS_dup, "f"}, {SYS_dup2, "ff"}, {SYS_nanosleep, "pp"}, {SYS_getitimer, "ip"},
    {SYS_setitimer, "ipp"}, {SYS_sendfile, "ffpn"}, {SYS_socket, "iii"}, {SYS_connect, "fpi"}, {SYS_accept, "fpp"},
    {SYS_sendto, "fpngpi"}, {SYS_recvfrom, "fpngpp"}, {SYS_sendmsg, "fpg"}, {SYS_recvmsg, "fpg"}, {SYS_shutdown, "fi"},
    {SYS_bind, "fpi"}, {SYS_listen, "fi"}, {SYS_getsockname, "fpp"}, {SYS_socketpair, "iiip"},
    {SYS_setsockopt, "fiipi"}, {SYS_getsockopt, "fiipp"}, {SYS_clone, "gmppp"}, {SYS_execve, "spp"},
    {SYS_wait4, "ipgp"}, {SYS_uname, "p"}, {SYS_shmget, "ing"}, {SYS_shmat, "img"}, {SYS_shmctl, "iip"},
    {SYS_fcntl, "fip"}, {SYS_flock, "fi"}, {SYS_fsync, "f"}, {SYS_truncate, "sn"}, {SYS_ftruncate, "fn"},
    {SYS_getdents, "fpn"}, {SYS_getcwd, "pn"}, {SYS_chdir, "s"}, {SYS_fchdir, "f"}, {SYS_rename, "ss"},
    {SYS_mkdir, "si"}, {SYS_rmdir, "s"}, {SYS_creat, "si"}, {SYS_link, "ss"}, {SYS_unlink, "s"}, {SYS_symlink, "ss"},
    {SYS_readlink, "spn"}, {SYS_chmod, "si"}, {SYS_fchmod, "fi"}, {SYS_chown, "sii"}, {SYS_umask, "i"},
    {SYS_gettimeofday, "pp"}, {SYS_getrlimit, "ip"}, {SYS_setrlimit, "ip"}, {SYS_sysinfo, "p"}, {SYS_times, "p"},
    {SYS_sigaltstack, "pp"}, {SYS_mknod, "sgi"}, {SYS_statfs, "sp"}, {SYS_fstatfs, "fp"}, {SYS_mlock, "mn"},
    {SYS_munlock, "mn"}, {SYS_prctl, "ippii"}, {SYS_arch_prctl, "gm"}, {SYS_chroot, "s"}, {SYS_readahead, "fnn"},
    {SYS_setxattr, "sspni"}, {SYS_getxattr, "sspn"}, {SYS_listxattr, "spn"}, {SYS_futex, "piippi"},
    {SYS_sched_getaffinity, "inp"}, {SYS_getdents64, "fpn"}, {SYS_set_tid_address, "p"}, {SYS_timer_create, "tpp"},
    {SYS_timer_settime, "igpp"}, {SYS_timer_gettime, "ip"}, {SYS_timer_delete, "i"}, {SYS_clock_gettime, "tp"},
    {SYS_clock_nanosleep, "tipp"}, {SYS_epoll_wait, "fpii"}, {SYS_epoll_ctl, "fifp"}, {SYS_waitid, "iipgp"},
    {SYS_openat, "dsgi"}, {SYS_mkdirat, "dsi"}, {SYS_newfstatat, "dspg"}, {SYS_unlinkat, "dsg"}, {SYS_renameat, "dsds"},
    {SYS_linkat, "dsdsg"}, {SYS_symlinkat, "sds"}, {SYS_readlinkat, "dspn"}, {SYS_fchmodat, "dsi"},
    {SYS_faccessat, "dsi"}, {SYS_pselect6, "ippppp"}, {SYS_ppoll, "pippi"}, {SYS_splice, "fpfpng"}, {SYS_tee, "ffng"},
    {SYS_vmsplice, "fpig"}, {SYS_utimensat, "dspg"}, {SYS_epoll_pwait, "fpiipi"}, {SYS_signalfd4, "fpig"},
    {SYS_fallocate, "fgnn"}, {SYS_timerfd_settime, "fgpp"}, {SYS_timerfd_gettime, "fp"}, {SYS_accept4, "fppg"},
    {SYS_eventfd2, "ng"}, {SYS_epoll_create1, "g"}, {SYS_dup3, "ffg"}, {SYS_pipe2, "pg"}, {SYS_preadv, "fpin"},
    {SYS_pwritev, "fpin"}, {SYS_recvmmsg, "fpigp"}, {SYS_sendmmsg, "fpig"}, {SYS_prlimit64, "iipp"},
    {SYS_process_vm_readv, "ipipii"}, {SYS_getrandom, "png"}, {SYS_memfd_create, "sg"}, {SYS_execveat, "dsppg"},
    {SYS_copy_file_range, "fpfpng"}, {SYS_pkey_mprotect, "mngi"}, {SYS_pkey_alloc, "ii"}, {SYS_pkey_free, "i"},
    {SYS_statx, "dsggp"}, {SYS_clone3, "pn"}, {SYS_close_range, "ffg"}, {SYS_pidfd_open, "ig"}, {SYS_mlock2, "mng"},
};

uint64_t argument(Random& random, char kind);

uint64_t argument(Random& random) {
    switch (random.below(12)) {
        case 0:
        case 1:
        case 2: return buffer_address(random);
        case 3: return fuzz::wild_address(random);
        case 4: return reinterpret_cast<uint64_t>(kNames[random.below(sizeof(kNames) / sizeof(kNames[0]))]);
        case 5: return size_of_something(random);
        case 6: return flags(random);
        case 7: return random.one_in(4) ? uint64_t(-100) : random.below(24);  // AT_FDCWD; a descriptor
        case 8: return random.below(24);
        case 9: return random.below(8);
        case 10: return uint64_t(-1) - random.below(3);
        default: return size_of_something(random);
    }
}

uint64_t argument(Random& random, char kind) {
    switch (kind) {
        case 'f': return random.below(24);
        case 's': return reinterpret_cast<uint64_t>(kNames[random.below(sizeof(kNames) / sizeof(kNames[0]))]);
        case 'p': return buffer_address(random);
        case 'n': return random.one_in(2) ? random.below(8192) : size_of_something(random);
        case 'g': return flags(random);
        case 'i': return random.below(16);
        case 'm': return random.one_in(4) ? 0 : 0x10000000 + random.below(512) * 4096;  // a place for maps of its own
        case 'd': return random.one_in(2) ? uint64_t(-100) : random.below(24);
        default: return random.below(12);
    }
}

// What the buffer holds: numbers of all sizes, pointers into itself and elsewhere, names.
void fill_buffer(Random& random) {
    for (unsigned i = 0; i < 24; i++) {
        uint64_t at = random.below(kBufferSize / 8) * 8;
        uint64_t value = argument(random);
        memcpy(buffer + at, &value, 8);
    }
    if (random.one_in(4)) {
        const char* name = kNames[random.below(sizeof(kNames) / sizeof(kNames[0]))];
        uint64_t at = random.below(kBufferSize / 64) * 64;
        size_t length = strlen(name) + 1;
        if (at + length <= kBufferSize) memcpy(buffer + at, name, length);
    }
}

// Root could end what is beside it by these, and rightly so.
bool reaches_others(uint64_t number) {
    switch (number) {
        case SYS_kill: case SYS_tkill: case SYS_tgkill: case SYS_rt_sigqueueinfo: case SYS_rt_tgsigqueueinfo:
        case SYS_pidfd_send_signal: case SYS_ptrace: case SYS_process_vm_writev: case SYS_prlimit64: case SYS_reboot:
        case SYS_umount2: case SYS_mount: case SYS_pivot_root: case SYS_syslog: case SYS_settimeofday:
        case SYS_clock_settime: case SYS_setpgid: case SYS_sched_setaffinity: case SYS_sched_setscheduler:
        case SYS_sched_setparam: case SYS_sched_setattr:
            return true;
    }
    return false;
}

// Ends this worker or makes it wait for ever: seldom.
bool ends_or_waits(uint64_t number) {
    switch (number) {
        case SYS_exit: case SYS_exit_group: case SYS_pause: case SYS_rt_sigsuspend: case SYS_rt_sigreturn:
        case SYS_vfork: case SYS_execve: case SYS_munmap:
            return true;
    }
    return false;
}

bool makes_process(uint64_t number) {
    return number == SYS_fork || number == SYS_vfork || number == SYS_clone || number == SYS_clone3;
}

void open_descriptors() {
    int pair[2];
    (void)!open("/dev/null", O_RDWR);
    (void)!open("file", O_RDWR | O_CREAT, 0666);
    (void)!pipe2(pair, O_NONBLOCK);
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
    socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    epoll_create1(0);
    eventfd(0, EFD_NONBLOCK);
    timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    sigset_t all;
    sigfillset(&all);
    signalfd(-1, &all, SFD_NONBLOCK);
    memfd_create("fuzz", MFD_ALLOW_SEALING);
    mkdir("directory", 0777);
    (void)!open("directory", O_RDONLY | O_DIRECTORY);
    (void)!open("/dev/ptmx", O_RDWR | O_NONBLOCK | O_NOCTTY);
    (void)!open("/proc/self/maps", O_RDONLY);
    (void)!open("/dev/zero", O_RDWR);
}

void work(uint64_t seed, unsigned attempts, fuzz::Progress& progress) {
    Random random(seed);
    auto area = static_cast<uint8_t*>(
        mmap(nullptr, kBufferSize + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    munmap(area + kBufferSize, 4096);
    buffer = area;
    read_only = static_cast<uint8_t*>(mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    open_descriptors();
    bool is_root = seed % 2 == 0;
    for (unsigned made = 0; made < attempts; made++) {
        progress.attempts = made + 1;
        uint64_t number = random.one_in(50) ? random.next() : random.below(kHighestCall);
        uint64_t arguments[6];
        for (uint64_t& value : arguments) value = argument(random);
        if (random.one_in(2)) {
            const Kinds& known = kKinds[random.below(sizeof(kKinds) / sizeof(kKinds[0]))];
            number = known.number;
            // One argument in sixteen stays wild.
            for (unsigned i = 0; known.kinds[i]; i++) {
                if (!random.one_in(16)) arguments[i] = argument(random, known.kinds[i]);
            }
        }
        fill_buffer(random);
        bool skip = random.below(20) != 0;
        if (ends_or_waits(number) && skip) continue;
        if (is_root && reaches_others(number)) continue;
        long result = call(number, arguments);
        if (result == 0 && makes_process(number)) _exit(0);
        // Bytes of the kernel went out, or came in.
        bool transfers = number == SYS_write || number == SYS_pwrite64 || number == SYS_read || number == SYS_pread64;
        bool moved = transfers && result > 0 && arguments[1] >> 47 != 0;
        if (moved) progress.breaches = fuzz::kBreach;
    }
}

}  // namespace

int main(int argc, char** argv) {
    static const fuzz::Fuzzer fuzzer{"calls", 400, work};
    return fuzz::run(fuzzer, argc, argv);
}
