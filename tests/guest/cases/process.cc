// fork, vfork, clone, exit: what a child gets, keeps and shares.
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>

#include "case.h"

CASE(fork_returns_twice) {
    COVERS(fork, clone, exit_group, wait4, write, getpid, getppid);
    NO_ERROR_PATH(getpid, getppid, exit_group, fork);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        print("child: parent is the forker: %s\n", getppid() == parent ? "yes" : "no");
        print("child: own pid differs: %s\n", getpid() != parent ? "yes" : "no");
        _exit(7);
    }
    int status = wait_for(pid);
    print("parent: child %s\n", decode_status(status));
}

CASE(fork_by_number) {
    COVERS(fork, exit);
    NO_ERROR_PATH(exit);
    pid_t pid = syscall(SYS_fork);
    if (pid == 0) syscall(SYS_exit, 12);
    print("%s\n", decode_status(wait_for(pid)));
}

static int global_value = 1;
CASE(fork_copies_memory) {
    int local_value = 1;
    int* heap_value = (int*)malloc(sizeof(int));
    *heap_value = 1;
    show_child("child", [&] {
        global_value = local_value = *heap_value = 2;
        print("child sees %d %d %d\n", global_value, local_value, *heap_value);
        return 0;
    });
    print("parent sees %d %d %d\n", global_value, local_value, *heap_value);
    global_value = 5;
    show_child("child", [&] {
        print("second child sees %d\n", global_value);
        return 0;
    });
}

CASE(fork_parent_writes_are_not_seen) {
    Turn written;
    global_value = 10;
    pid_t pid = spawn([&] {
        written.wait();
        print("child sees %d\n", global_value);
        return 0;
    });
    global_value = 11;
    written.signal();
    wait_for(pid);
    print("parent sees %d\n", global_value);
}

CASE(fork_shares_file_offsets) {
    COVERS(lseek, read, dup);
    enter_scratch_directory();
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
    MUST(write(fd, "abcdefgh", 8));
    SHOW(lseek(fd, 0, SEEK_SET));
    char byte = 0;
    show_child("child", [&] {
        read(fd, &byte, 1);
        print("child reads %c\n", byte);
        lseek(fd, 3, SEEK_CUR);
        return 0;
    });
    read(fd, &byte, 1);
    print("parent reads %c\n", byte);
}

CASE(fork_copies_descriptor_table) {
    int fds[2];
    MUST(pipe(fds));
    show_child("child", [&] {
        close(fds[0]);
        return 0;
    });
    SHOW(fcntl(fds[0], F_GETFD));
}

CASE(fork_deep_tree) {
    // Ten generations; each returns its child's status plus one.
    struct Generation {
        static int run(int depth) {
            if (depth == 0) return 0;
            int status = wait_for(spawn([=] { return run(depth - 1); }));
            return WEXITSTATUS(status) + 1;
        }
    };
    print("depth %d\n", Generation::run(10));
}

CASE(fork_many_children) {
    pid_t pids[50];
    for (int i = 0; i < 50; i++)
        pids[i] = spawn([=] { return i; });
    int right = 0;
    for (int i = 49; i >= 0; i--) right += WEXITSTATUS(wait_for(pids[i])) == i;
    print("right codes: %d\n", right);
}

CASE(vfork_shares_memory_and_suspends_parent) {
    COVERS(vfork);
    NO_ERROR_PATH(vfork);
    volatile int value = 1;
    pid_t pid = vfork();
    if (pid == 0) {
        value = 2;
        _exit(4);
    }
    print("value after vfork: %d\n", value);
    print("%s\n", decode_status(wait_for(pid)));
}

static char clone_stack[65536] __attribute__((aligned(16)));

static int set_global(void* value) {
    global_value = (int)(intptr_t)value;
    return 9;
}

CASE(clone_vm_shares_memory) {
    COVERS(clone);
    global_value = 1;
    pid_t pid = MUST(clone(set_global, clone_stack + sizeof clone_stack, CLONE_VM | CLONE_VFORK | SIGCHLD,
                           (void*)33));
    print("value %d, %s\n", global_value, decode_status(wait_for(pid)));
}

static int close_descriptor(void* fd) { return close((int)(intptr_t)fd); }

CASE(clone_files_shares_descriptors) {
    COVERS(clone);
    int fd = MUST(open("/dev/null", O_RDONLY));
    pid_t pid = MUST(clone(close_descriptor, clone_stack + sizeof clone_stack, CLONE_FILES | SIGCHLD,
                           (void*)(intptr_t)fd));
    print("%s\n", decode_status(wait_for(pid)));
    print("fcntl: %s\n", fcntl(fd, F_GETFD) < 0 ? errno_name(errno) : "still open");
}

static int change_directory(void*) { return chdir("/tmp"); }

CASE(clone_fs_shares_working_directory) {
    COVERS(clone, chdir, getcwd);
    MUST(chdir("/"));
    pid_t pid =
        MUST(clone(change_directory, clone_stack + sizeof clone_stack, CLONE_FS | SIGCHLD, nullptr));
    print("%s\n", decode_status(wait_for(pid)));
    char path[64];
    print("cwd %s\n", getcwd(path, sizeof path));
}

CASE(clone_bad_flags) {
    COVERS_ERROR(clone);
    SHOW(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0));
    SHOW(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0));
    SHOW(syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0));
    SHOW(syscall(SYS_clone, CLONE_NEWNS | CLONE_FS | SIGCHLD, 0, 0, 0, 0));
}

CASE(clone_settid) {
    COVERS(clone, set_tid_address, gettid);
    NO_ERROR_PATH(set_tid_address, gettid);
    pid_t in_parent = 0;
    pid_t* in_child =
        (pid_t*)mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = syscall(SYS_clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, 0, &in_parent, in_child, 0);
    if (pid == 0) _exit(*in_child == syscall(SYS_gettid) ? 0 : 1);
    print("%s\n", decode_status(wait_for(pid)));
    CHECK(in_parent == pid);
    CHECK(*in_child == pid);
    CHECK(syscall(SYS_set_tid_address, &in_parent) == syscall(SYS_gettid));
}

CASE(clone3_basic_and_errors) {
    COVERS(clone3);
    COVERS_ERROR(clone3);
    clone_args arguments = {};
    arguments.exit_signal = SIGCHLD;
    pid_t pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0) _exit(21);
    print("%s\n", decode_status(wait_for(pid)));
    SHOW(syscall(SYS_clone3, &arguments, 8));
    SHOW(syscall(SYS_clone3, bad_address(), sizeof arguments));
    arguments.exit_signal = 1000;
    SHOW(syscall(SYS_clone3, &arguments, sizeof arguments));
    arguments.exit_signal = 0;
    arguments.flags = CLONE_THREAD;
    SHOW(syscall(SYS_clone3, &arguments, sizeof arguments));
}

CASE(exit_code_is_masked) {
    COVERS(exit_group);
    show_child("exit 256+3", [] { return 256 + 3; });
    show_child("exit -1", [] { return -1; });
}

static void first_handler() { print("first handler\n"); }
static void second_handler() { print("second handler\n"); }

CASE(exit_runs_handlers_in_reverse) {
    pid_t pid = fork();
    if (pid == 0) {
        atexit(first_handler);
        atexit(second_handler);
        exit(3);
    }
    print("%s\n", decode_status(wait_for(pid)));
}

CASE(orphan_goes_to_init) {
    Turn parent_gone, reported;
    show_child("middle", [&] {
        spawn([&] {
            parent_gone.wait();
            print("orphan's parent is 1: %s\n", getppid() == 1 ? "yes" : "no");
            reported.signal();
            return 0;
        });
        return 0;
    });
    parent_gone.signal();
    reported.wait();
}

CASE(subreaper_adopts_orphans) {
    COVERS(prctl);
    MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
    int is_subreaper = 0;
    SHOW(prctl(PR_GET_CHILD_SUBREAPER, &is_subreaper));
    print("subreaper %d\n", is_subreaper);
    show_child("middle", [] {
        spawn([] {
            sleep_ms(50);
            return 5;
        });
        return 0;
    });
    int status = 0;
    CHECK(wait(&status) > 0);
    print("adopted: %s\n", decode_status(status));
}

CASE(parent_death_signal) {
    COVERS(prctl);
    Turn ready, parent_reaped, reported;
    show_child("middle", [&] {
        spawn([&] {
            sigset_t set;
            sigemptyset(&set);
            sigaddset(&set, SIGUSR1);
            sigprocmask(SIG_BLOCK, &set, nullptr);
            prctl(PR_SET_PDEATHSIG, SIGUSR1);
            ready.signal();
            int signal = 0;
            sigwait(&set, &signal);
            parent_reaped.wait();
            print("orphan got %s\n", signal_name(signal));
            reported.signal();
            return 0;
        });
        ready.wait();
        return 0;
    });
    parent_reaped.signal();
    reported.wait();
}

CASE(prctl_name_and_errors) {
    COVERS(prctl);
    COVERS_ERROR(prctl);
    char name[16] = "";
    SHOW(prctl(PR_SET_NAME, "a-long-name-that-is-cut"));
    SHOW(prctl(PR_GET_NAME, name));
    print("name %s\n", name);
    SHOW(prctl(PR_GET_NAME, bad_address()));
    SHOW(prctl(PR_SET_PDEATHSIG, 1000));
    SHOW(prctl(123456));
    SHOW(prctl(PR_GET_DUMPABLE));
    SHOW(prctl(PR_SET_DUMPABLE, 0));
    SHOW(prctl(PR_GET_DUMPABLE));
    SHOW(prctl(PR_SET_DUMPABLE, 7));
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}
