// Resource limits, scheduling parameters, system information.
#include <sched.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "case.h"

CASE(rlimit_get_and_set) {
    COVERS(getrlimit, setrlimit, prlimit64);
    COVERS_ERROR(getrlimit, setrlimit, prlimit64);
    rlimit limit;
    SHOW(syscall(SYS_getrlimit, RLIMIT_NOFILE, &limit));
    CHECK(limit.rlim_cur >= 1024 && limit.rlim_max >= limit.rlim_cur);
    SHOW(getrlimit(RLIMIT_STACK, &limit));
    print("stack %lu\n", (unsigned long)limit.rlim_cur);
    limit = {100, 200};
    SHOW(syscall(SYS_setrlimit, RLIMIT_NOFILE, &limit));
    SHOW(getrlimit(RLIMIT_NOFILE, &limit));
    print("%lu %lu\n", (unsigned long)limit.rlim_cur, (unsigned long)limit.rlim_max);
    limit = {300, 200};
    SHOW(setrlimit(RLIMIT_NOFILE, &limit));
    SHOW(getrlimit((__rlimit_resource)99, &limit));
    SHOW(syscall(SYS_getrlimit, 99, &limit));
    SHOW(syscall(SYS_setrlimit, 99, &limit));
    SHOW(syscall(SYS_getrlimit, RLIMIT_NOFILE, bad_address()));
    SHOW(syscall(SYS_prlimit64, 999999, RLIMIT_NOFILE, nullptr, &limit));
    SHOW(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, bad_address()));
    show_child("inherited", [] {
        rlimit own;
        getrlimit(RLIMIT_NOFILE, &own);
        return (int)own.rlim_cur;
    });
    show_child("without privilege", [] {
        MUST(setuid(1000));
        rlimit own = {100, 200};
        SHOW(setrlimit(RLIMIT_NOFILE, &own));
        own = {100, 300};
        SHOW(setrlimit(RLIMIT_NOFILE, &own));
        return 0;
    });
}

CASE(file_size_limit) {
    enter_scratch_directory();
    rlimit limit = {1000, 2000};
    MUST(setrlimit(RLIMIT_FSIZE, &limit));
    show_child("signal", [] {
        int fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
        char block[900];
        SHOW(write(fd, block, 900));
        SHOW(write(fd, block, 900));
        SHOW(write(fd, block, 900));
        return 0;
    });
    signal(SIGXFSZ, SIG_IGN);
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
    SHOW(pwrite(fd, "x", 1, 1000));
    SHOW(ftruncate(fd, 1001));
}

CASE(address_space_limit) {
    rlimit limit = {256ul << 20, 256ul << 20};
    MUST(setrlimit(RLIMIT_AS, &limit));
    void* memory = mmap(nullptr, 512ul << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    print("%s\n", memory == MAP_FAILED ? errno_name(errno) : "mapped");
    memory = mmap(nullptr, 16ul << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    print("%s\n", memory == MAP_FAILED ? errno_name(errno) : "mapped");
}

CASE(cpu_time_limit) {
    show_child("busy", [] {
        rlimit limit = {1, 2};
        MUST(setrlimit(RLIMIT_CPU, &limit));
        for (;;) {
        }
        return 0;
    });
}

CASE(nice_and_priorities) {
    COVERS(getpriority, setpriority);
    COVERS_ERROR(getpriority, setpriority);
    SHOW(getpriority(PRIO_PROCESS, 0));
    SHOW(setpriority(PRIO_PROCESS, 0, 5));
    SHOW(getpriority(PRIO_PROCESS, 0));
    SHOW(setpriority(PRIO_PROCESS, 0, 100));
    SHOW(getpriority(PRIO_PROCESS, 0));
    SHOW(setpriority(PRIO_PROCESS, 999999, 0));
    SHOW(setpriority((__priority_which)9, 0, 0));
    SHOW(syscall(SYS_getpriority, 9, 0));
    SHOW(syscall(SYS_getpriority, PRIO_PROCESS, 999999));
    show_child("user", [] {
        MUST(setuid(1000));
        SHOW(setpriority(PRIO_PROCESS, 0, -5));
        return 0;
    });
}

CASE(affinity) {
    COVERS(sched_setaffinity, sched_getaffinity, getcpu, sched_yield);
    COVERS_ERROR(sched_setaffinity, sched_getaffinity, getcpu);
    NO_ERROR_PATH(sched_yield);
    cpu_set_t set;
    SHOW(sched_getaffinity(0, sizeof set, &set));
    print("processors %d\n", CPU_COUNT(&set));
    for (int cpu = 0; cpu < 2; cpu++) {
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        SHOW(sched_setaffinity(0, sizeof set, &set));
        print("on %d\n", sched_getcpu());
        unsigned now = 99;
        SHOW(syscall(SYS_getcpu, &now, nullptr, nullptr));
        print("on %u\n", now);
    }
    show_child("inherited", [] {
        cpu_set_t own;
        sched_getaffinity(0, sizeof own, &own);
        return CPU_COUNT(&own);
    });
    CPU_ZERO(&set);
    SHOW(sched_setaffinity(0, sizeof set, &set));
    CPU_SET(500, &set);
    SHOW(sched_setaffinity(0, sizeof set, &set));
    SHOW(sched_setaffinity(999999, sizeof set, &set));
    SHOW(sched_getaffinity(999999, sizeof set, &set));
    SHOW(syscall(SYS_sched_getaffinity, 0, 1, &set));
    SHOW(syscall(SYS_sched_setaffinity, 0, 8, bad_address()));
    SHOW(syscall(SYS_getcpu, bad_address(), nullptr, nullptr));
    SHOW(sched_yield());
}

CASE(scheduling_policies) {
    COVERS(sched_getscheduler, sched_setscheduler, sched_getparam, sched_setparam);
    COVERS(sched_get_priority_max, sched_get_priority_min, sched_rr_get_interval);
    COVERS_ERROR(sched_getscheduler, sched_setscheduler, sched_getparam, sched_setparam);
    COVERS_ERROR(sched_get_priority_max, sched_get_priority_min, sched_rr_get_interval);
    sched_param parameter = {};
    SHOW(sched_getscheduler(0));
    SHOW(sched_getparam(0, &parameter));
    print("%d\n", parameter.sched_priority);
    SHOW(sched_setparam(0, &parameter));
    SHOW(sched_get_priority_max(SCHED_FIFO));
    SHOW(sched_get_priority_min(SCHED_FIFO));
    SHOW(sched_get_priority_max(SCHED_OTHER));
    SHOW(sched_get_priority_max(99));
    SHOW(sched_get_priority_min(99));
    SHOW(sched_setscheduler(0, SCHED_BATCH, &parameter));
    SHOW(sched_getscheduler(0));
    SHOW(sched_setscheduler(0, SCHED_OTHER, &parameter));
    parameter.sched_priority = 5;
    SHOW(sched_setscheduler(0, SCHED_OTHER, &parameter));
    SHOW(sched_setscheduler(0, 99, &parameter));
    SHOW(sched_setparam(0, &parameter));
    SHOW(sched_getscheduler(999999));
    SHOW(sched_getparam(999999, &parameter));
    timespec slice;
    SHOW(sched_rr_get_interval(0, &slice));
    SHOW(sched_rr_get_interval(999999, &slice));
}

CASE(busy_processes_share_processors) {
    // Six busy loops on one processor: each gets a fair share. How fast the processor is, and whether the host lets
    // it run steadily, must not matter: the shares are looked at until they are fair, for at most 15 s.
    auto* counts = (volatile unsigned long*)MUST(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    pid_t pids[6];
    for (int i = 0; i < 6; i++)
        pids[i] = spawn([&] {
            sched_setaffinity(0, sizeof first, &first);
            for (;;) counts[i * 8] = counts[i * 8] + 1;
            return 0;
        });
    unsigned long least = 0, most = 0;
    for (int tries = 0; tries < 30 && !(least > 0 && most / 8 < least); tries++) {
        sleep_ms(500);
        least = ~0ul, most = 0;
        for (int i = 0; i < 6; i++) {
            least = counts[i * 8] < least ? counts[i * 8] : least;
            most = counts[i * 8] > most ? counts[i * 8] : most;
        }
    }
    for (pid_t pid : pids) kill(pid, SIGKILL), wait_for(pid);
    CHECK(least > 0 && most / 8 < least);
}

CASE(system_information) {
    COVERS(uname, sysinfo, sethostname, setdomainname, personality, getrandom);
    COVERS_ERROR(uname, sysinfo, sethostname, setdomainname, getrandom);
    NO_ERROR_PATH(personality);
    utsname name;
    SHOW(uname(&name));
    print("%s %s\n", name.sysname, name.machine);
    SHOW(sethostname("guest", 5));
    MUST(uname(&name));
    print("%s\n", name.nodename);
    SHOW(syscall(SYS_sethostname, bad_address(), 4));
    SHOW(sethostname("x", 100));
    SHOW(sethostname("isounik", 7));
    SHOW(setdomainname("x", 100));
    SHOW(setdomainname("domain", 6));
    SHOW(syscall(SYS_uname, bad_address()));
    struct sysinfo info;
    SHOW(sysinfo(&info));
    CHECK(info.totalram > 0 && info.procs > 0);
    SHOW(syscall(SYS_sysinfo, bad_address()));
    SHOW(personality(0xffffffff));
    unsigned char first[16], second[16];
    SHOW(syscall(SYS_getrandom, first, 16, 0));
    SHOW(syscall(SYS_getrandom, second, 16, 1));
    CHECK(memcmp(first, second, 16) != 0);
    SHOW(syscall(SYS_getrandom, first, 16, 0x100));
    SHOW(syscall(SYS_getrandom, bad_address(), 16, 0));
}

CASE(unknown_system_calls) {
    SHOW(syscall(499));
    SHOW(syscall(100000));
    SHOW(syscall(-1));
    SHOW(syscall(180));
}
