// /proc as programs read it: only shapes and stable values are printed.
#include <dirent.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "case.h"

static bool read_all(const char* path, char* buffer, size_t size) {
    int fd = open(path, O_RDONLY);
    if (fd < 0) return false;
    size_t have = 0;
    ssize_t n;
    while (have < size - 1 && (n = read(fd, buffer + have, size - 1 - have)) > 0) have += n;
    buffer[have] = 0;
    close(fd);
    return true;
}

static long field(const char* text, const char* name) {
    const char* line = strstr(text, name);
    return line ? atol(line + strlen(name)) : -1;
}

static char text[65536];

CASE(self_links) {
    COVERS(readlink, openat);
    char link[256] = "", number[16];
    ssize_t n = readlink("/proc/self", link, sizeof link - 1);
    snprintf(number, sizeof number, "%d", getpid());
    CHECK(n > 0 && strcmp(link, number) == 0);
    n = readlink("/proc/self/exe", link, sizeof link - 1);
    link[n > 0 ? n : 0] = 0;
    CHECK(strcmp(link, self_path()) == 0);
    MUST(chdir("/tmp"));
    n = readlink("/proc/self/cwd", link, sizeof link - 1);
    link[n > 0 ? n : 0] = 0;
    print("cwd %s\n", link);
    n = readlink("/proc/self/root", link, sizeof link - 1);
    link[n > 0 ? n : 0] = 0;
    print("root %s\n", link);
}

CASE(descriptor_links) {
    enter_scratch_directory();
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0600)), pipes[2];
    MUST(pipe(pipes));
    MUST(write(fd, "content", 7));
    char path[64], link[256] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK(readlink(path, link, sizeof link) > 0 && strstr(link, "/file") != nullptr);
    int again = MUST(open(path, O_RDONLY));
    char buffer[16] = "";
    SHOW(read(again, buffer, 15));
    print("%s\n", buffer);
    MUST(unlink("file"));
    memset(link, 0, sizeof link);
    CHECK(readlink(path, link, sizeof link) > 0 && strstr(link, "/file (deleted)") != nullptr);
    SHOW_OK(open(path, O_RDONLY));
    snprintf(path, sizeof path, "/proc/self/fd/%d", pipes[0]);
    memset(link, 0, sizeof link);
    CHECK(readlink(path, link, sizeof link) > 0 && strncmp(link, "pipe:[", 6) == 0);
    SHOW(readlink("/proc/self/fd/999", link, sizeof link));
    int count = 0;
    DIR* directory = opendir("/proc/self/fd");
    while (dirent* entry = readdir(directory)) count += entry->d_name[0] != '.';
    closedir(directory);
    print("descriptors %d\n", count);
    snprintf(path, sizeof path, "/dev/fd/%d", fd);
    SHOW_OK(open(path, O_RDONLY));
}

CASE(stat_and_status) {
    MUST(prctl(PR_SET_NAME, "a name (x)"));
    CHECK(read_all("/proc/self/stat", text, sizeof text));
    int pid, parent, group, session;
    char state;
    const char* close = strrchr(text, ')');
    CHECK(sscanf(text, "%d (", &pid) == 1 && pid == getpid());
    CHECK(close && sscanf(close + 1, " %c %d %d %d", &state, &parent, &group, &session) == 4);
    CHECK(parent == getppid() && group == getpgrp() && session == getsid(0));
    print("state %c, name %.12s\n", state, strchr(text, '('));
    CHECK(read_all("/proc/self/status", text, sizeof text));
    CHECK(field(text, "\nPid:\t") == getpid());
    CHECK(field(text, "\nPPid:\t") == getppid());
    CHECK(field(text, "\nTgid:\t") == getpid());
    CHECK(field(text, "\nUid:\t") == 0);
    CHECK(field(text, "\nThreads:\t") == 1);
    CHECK(field(text, "VmRSS:") > 0);
    CHECK(field(text, "VmSize:") > 0);
    CHECK(read_all("/proc/self/statm", text, sizeof text));
    CHECK(atol(text) > 0);
    CHECK(read_all("/proc/self/comm", text, sizeof text));
    print("%s", text);
}

CASE(status_of_child_states) {
    pid_t pid = spawn([] {
        for (;;) pause();
        return 0;
    });
    auto state = [&] {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/stat", pid);
        if (!read_all(path, text, sizeof text)) return '-';
        const char* close = strrchr(text, ')');
        return close ? close[2] : '?';
    };
    sleep_ms(30);
    print("%c", state());
    kill(pid, SIGSTOP);
    waitpid(pid, nullptr, WUNTRACED);
    print("%c", state());
    kill(pid, SIGKILL);
    siginfo_t info;
    waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
    print("%c", state());
    wait_for(pid);
    print("%c\n", state());
}

CASE(command_line_and_environment) {
    show_child("exec", [] {
        char* environment[] = {(char*)"ONE=1", (char*)"TWO=2", nullptr};
        char* arguments[] = {(char*)self_path(), (char*)"--helper", (char*)"show_command_line", (char*)"last one",
                             nullptr};
        execve(self_path(), arguments, environment);
        return 99;
    });
}

HELPER(show_command_line) {
    int fd = MUST(open("/proc/self/cmdline", O_RDONLY));
    ssize_t n = read(fd, text, sizeof text);
    size_t skip = strlen(text) + 1;
    for (ssize_t i = skip; i < n; i++) print("%c", text[i] ? text[i] : '|');
    print("\n");
    fd = MUST(open("/proc/self/environ", O_RDONLY));
    n = read(fd, text, sizeof text);
    for (ssize_t i = 0; i < n; i++) print("%c", text[i] ? text[i] : '|');
    print("\n");
    return 0;
}

CASE(machine_files) {
    CHECK(read_all("/proc/meminfo", text, sizeof text));
    long total = field(text, "MemTotal:"), available = field(text, "MemAvailable:"), unused = field(text, "MemFree:");
    CHECK(total > 0 && unused > 0 && unused <= total && available > 0);
    CHECK(field(text, "\nCached:") >= 0 && field(text, "\nSwapTotal:") == 0);
    CHECK(read_all("/proc/cpuinfo", text, sizeof text));
    int processors = 0;
    for (const char* p = text; (p = strstr(p, "processor\t")); p++) processors++;
    print("processors %d\n", processors);
    CHECK(read_all("/proc/stat", text, sizeof text));
    CHECK(strncmp(text, "cpu ", 4) == 0 && strstr(text, "\ncpu1 ") && strstr(text, "\nbtime "));
    CHECK(read_all("/proc/uptime", text, sizeof text));
    CHECK(atof(text) > 0);
    CHECK(read_all("/proc/loadavg", text, sizeof text));
    CHECK(read_all("/proc/version", text, sizeof text));
    print("%.5s\n", text);
    CHECK(read_all("/proc/filesystems", text, sizeof text));
    CHECK(strstr(text, "tmpfs") && strstr(text, "proc"));
    CHECK(read_all("/proc/mounts", text, sizeof text));
    CHECK(strstr(text, " /proc ") && strstr(text, " /tmp "));
}

CASE(system_settings) {
    const char* files[] = {"/proc/sys/kernel/pid_max",        "/proc/sys/kernel/osrelease",
                           "/proc/sys/kernel/hostname",       "/proc/sys/vm/overcommit_memory",
                           "/proc/sys/fs/file-max",           "/proc/sys/fs/nr_open",
                           "/proc/sys/kernel/random/boot_id", "/proc/sys/net/core/somaxconn",
                           "/proc/sys/kernel/ngroups_max",    "/proc/sys/kernel/cap_last_cap"};
    for (const char* file : files) {
        bool there = read_all(file, text, sizeof text);
        print("%s: %s\n", file, there && text[0] ? "there" : "missing");
    }
    read_all("/proc/sys/vm/overcommit_memory", text, sizeof text);
    print("overcommit %s", text);
}

CASE(maps_follow_mappings) {
    if (sbrk(4096) == (void*)-1) print("no heap\n");
    char* memory = (char*)MUST(mmap(nullptr, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    MUST(mprotect(memory + 4096, 4096, PROT_READ));
    CHECK(read_all("/proc/self/maps", text, sizeof text));
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%lx-%lx r--p", (unsigned long)memory + 4096, (unsigned long)memory + 8192);
    CHECK(strstr(text, wanted) != nullptr);
    CHECK(strstr(text, "[stack]") && strstr(text, "[heap]") && strstr(text, "[vdso]"));
    CHECK(strstr(text, self_path()) != nullptr);
    CHECK(read_all("/proc/self/smaps", text, sizeof text) && strstr(text, "Rss:"));
}

CASE(process_list) {
    pid_t pid = spawn([] {
        for (;;) pause();
        return 0;
    });
    char number[16];
    snprintf(number, sizeof number, "%d", pid);
    bool child = false, init = false, self = false;
    DIR* directory = opendir("/proc");
    while (dirent* entry = readdir(directory)) {
        child |= strcmp(entry->d_name, number) == 0;
        init |= strcmp(entry->d_name, "1") == 0;
        self |= strcmp(entry->d_name, "self") == 0;
    }
    closedir(directory);
    print("child %d init %d self %d\n", child, init, self);
    kill(pid, SIGKILL);
    wait_for(pid);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    SHOW(open(path, O_RDONLY));
    SHOW(open("/proc/nothing", O_RDONLY));
    SHOW(mkdir("/proc/new", 0755));
    SHOW(open("/proc/new", O_RDWR | O_CREAT, 0600));
}

CASE(task_directory) {
    int count = 0;
    DIR* directory = opendir("/proc/self/task");
    CHECK(directory != nullptr);
    while (directory) {
        dirent* entry = readdir(directory);
        if (!entry) break;
        count += entry->d_name[0] != '.';
    }
    print("threads %d\n", count);
    CHECK(read_all("/proc/self/limits", text, sizeof text) && strstr(text, "Max open files"));
    CHECK(read_all("/proc/self/mountinfo", text, sizeof text) && strstr(text, " /tmp "));
    CHECK(read_all("/proc/thread-self/comm", text, sizeof text));
}

// As bash's `read` does it: a block is read, and the rest of it given back by lseek().
CASE(seek_moves_the_position) {
    COVERS(lseek);
    COVERS_ERROR(lseek);
    static const char* const kNames[] = {"/proc/self/status", "/proc/self/mem"};
    for (const char* name : kNames) {
        int fd = MUST(open(name, O_RDONLY));
        SHOW(lseek(fd, 100, SEEK_SET));
        SHOW(lseek(fd, -60, SEEK_CUR));
        SHOW(lseek(fd, 0, SEEK_CUR));
        SHOW(lseek(fd, 0, SEEK_END));
        close(fd);
    }
    int fd = MUST(open("/proc/self/status", O_RDONLY));
    SHOW(lseek(fd, -1, SEEK_SET));
    char block[64], again[64];
    CHECK(read(fd, block, sizeof block) == sizeof block);
    SHOW(lseek(fd, -50, SEEK_CUR));
    CHECK(read(fd, again, 50) == 50 && memcmp(again, block + 14, 50) == 0);
}

CASE(memory_of_own_process) {
    static char marker[] = "marker in memory";
    int fd = MUST(open("/proc/self/mem", O_RDWR));
    char buffer[17] = "";
    SHOW(pread(fd, buffer, 16, (off_t)marker));
    print("%s\n", buffer);
    SHOW(pwrite(fd, "M", 1, (off_t)marker));
    print("%s\n", marker);
    SHOW(pread(fd, buffer, 1, 0));
}

static long status_field(const char* name) { return read_all("/proc/self/status", text, sizeof text) ? field(text, name) : -1; }

HELPER(peaks) {
    CHECK(status_field("VmHWM:") < 32 << 10);
    CHECK(status_field("VmPeak:") < 64 << 10);
    return 0;
}

// The most that the program ever had, not what it has: once both showed the present size.
CASE(peaks_of_memory) {
    COVERS(getrusage);
    constexpr long kMib = 1 << 20;
    auto map = [](long size) {
        return (char*)MUST(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    };
    auto show = [](const char* what, long least) {
        print("%s: resident %s, peak %s\n", what, status_field("VmRSS:") >= least ? "all" : "less",
              status_field("VmHWM:") >= least ? "all" : "less");
    };
    char* memory = map(32 * kMib);
    memset(memory, 1, 32 * kMib);
    show("touched", 32 << 10);
    MUST(munmap(memory, 32 * kMib));
    show("unmapped", 32 << 10);
    CHECK(status_field("VmPeak:") >= status_field("VmSize:") + (31 << 10));
    rusage usage;
    MUST(getrusage(RUSAGE_SELF, &usage));
    CHECK(usage.ru_maxrss >= 32 << 10);
    memory = map(48 * kMib);
    memset(memory, 1, 48 * kMib);
    MUST(madvise(memory, 48 * kMib, MADV_DONTNEED));
    show("MADV_DONTNEED", 48 << 10);
    memset(memory, 1, 48 * kMib);
    for (long size = 48 * kMib; size > kMib; size -= kMib) MUST(munmap(memory + size - kMib, kMib));
    show("in pieces", 48 << 10);
    CHECK(status_field("VmHWM:") < 64 << 10);
    show_child("child", [] {
        char self[256];
        snprintf(self, sizeof self, "%s", self_path());
        execl(self, self, "--helper", "peaks", nullptr);
        return 9;
    });
}

static void show_file(const char* format, int number) {
    char path[128];
    snprintf(path, sizeof path, format, number);
    if (!read_all(path, text, sizeof text)) snprintf(text, sizeof text, "%s\n", errno_name(errno));
    print("%s: %s", path, text);
}

// Where C libraries and lscpu(1) count processors.
CASE(processor_directories) {
    COVERS(getdents64, openat);
    DIR* directory = opendir("/sys/devices/system/cpu");
    CHECK(directory != nullptr);
    int found[8] = {}, number, end;
    while (dirent* entry = directory ? readdir(directory) : nullptr) {
        if (sscanf(entry->d_name, "cpu%d%n", &number, &end) == 1 && !entry->d_name[end] && number < 8) {
            found[number] += entry->d_type == DT_DIR;
        }
    }
    for (int count : found) print("%d", count);
    print("\n");
    const char* machine[] = {"online", "possible", "present"};
    for (const char* name : machine) {
        char path[64];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/%s", name);
        show_file(path, 0);
    }
    const char* topology[] = {"core_id", "physical_package_id", "core_cpus", "core_cpus_list", "thread_siblings",
                              "thread_siblings_list", "package_cpus", "package_cpus_list", "core_siblings",
                              "core_siblings_list"};
    for (int cpu = 0; cpu < 3; cpu++) {
        for (const char* name : topology) {
            char path[96];
            snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%%d/topology/%s", name);
            show_file(path, cpu);
        }
    }
    print("%ld online, %ld configured\n", sysconf(_SC_NPROCESSORS_ONLN), sysconf(_SC_NPROCESSORS_CONF));
    struct stat info;
    SHOW(stat("/sys/devices/system/cpu/cpu0x", &info));
    SHOW(stat("/sys/devices/system/cpu/cpu00", &info));
}
