// Calls that fit nowhere else.
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/timerfd.h>
#include <sys/xattr.h>

#include "case.h"

CASE(old_forms_report_errors) {
    COVERS_ERROR(eventfd, signalfd, futimesat);
    COVERS(munlockall);
    NO_ERROR_PATH(munlockall);
    sigset_t set;
    sigemptyset(&set);
    SHOW(syscall(SYS_signalfd, 0, &set, 8));
    SHOW(syscall(SYS_signalfd, -1, &set, 3));
    timeval times[2] = {{0, 2000000}, {0, 0}};
    SHOW(syscall(SYS_futimesat, AT_FDCWD, "/tmp", times));
    SHOW(syscall(SYS_futimesat, AT_FDCWD, "/nothing", nullptr));
    SHOW(munlockall());
}

CASE(restartable_sequences) {
    COVERS_ERROR(rseq);
    alignas(32) char area[32] = {};
    SHOW(syscall(SYS_rseq, area + 1, 32, 0, 0));
    SHOW(syscall(SYS_rseq, area, 32, 77, 0));
}

CASE(extended_attributes_of_tmpfs) {
    COVERS(listxattr, llistxattr, flistxattr);
    COVERS_ERROR(getxattr, lgetxattr, fgetxattr, setxattr, lsetxattr, fsetxattr, removexattr, lremovexattr);
    COVERS_ERROR(fremovexattr, listxattr, llistxattr, flistxattr);
    enter_scratch_directory();
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
    char value[64];
    SHOW(getxattr("file", "user.name", value, sizeof value));
    SHOW(lgetxattr("file", "user.name", value, sizeof value));
    SHOW(fgetxattr(fd, "user.name", value, sizeof value));
    SHOW(setxattr("file", "user.name", "x", 1, 0));
    SHOW(lsetxattr("file", "user.name", "x", 1, 0));
    SHOW(fsetxattr(fd, "user.name", "x", 1, 0));
    SHOW(removexattr("file", "user.name"));
    SHOW(lremovexattr("file", "user.name"));
    SHOW(fremovexattr(fd, "user.name"));
    SHOW(listxattr("file", value, sizeof value));
    SHOW(llistxattr("file", value, sizeof value));
    SHOW(flistxattr(fd, value, sizeof value));
    SHOW(getxattr("nothing", "user.name", value, sizeof value));
    SHOW(listxattr("nothing", value, sizeof value));
    SHOW(llistxattr("nothing", value, sizeof value));
    SHOW(flistxattr(-1, value, sizeof value));
}

CASE(memory_barriers_across_threads) {
    COVERS(membarrier);
    COVERS_ERROR(membarrier);
    long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    CHECK(commands & MEMBARRIER_CMD_GLOBAL);
    SHOW(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    SHOW(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
    SHOW(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    SHOW(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
    SHOW(syscall(SYS_membarrier, 1 << 20, 0, 0));
    SHOW(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 77, 0));
}

CASE(system_v_semaphores) {
    COVERS(semget, semop, semctl, semtimedop);
    COVERS_ERROR(semget, semop, semctl, semtimedop);
    int id = semget(IPC_PRIVATE, 3, IPC_CREAT | 0600);
    CHECK(id >= 0);
    if (id < 0) return;
    SHOW(semctl(id, 0, SETVAL, 2));
    SHOW(semctl(id, 0, GETVAL));
    sembuf take = {0, -1, IPC_NOWAIT}, give = {0, 1, 0}, wait_zero = {0, 0, 0};
    SHOW(semop(id, &take, 1));
    SHOW(semop(id, &take, 1));
    SHOW(semop(id, &take, 1));
    timespec soon = {0, 20000000};
    sembuf wait_take = {0, -1, 0};
    SHOW(semtimedop(id, &wait_take, 1, &soon));
    pid_t pid = spawn([&] { return semop(id, &wait_take, 1) == 0 ? 0 : 1; });
    sleep_ms(30);
    SHOW(semop(id, &give, 1));
    print("%s\n", decode_status(wait_for(pid)));
    SHOW(semop(id, &wait_zero, 1));
    sembuf undo = {1, 5, SEM_UNDO};
    show_child("undo", [&] { return semop(id, &undo, 1); });
    SHOW(semctl(id, 1, GETVAL));
    SHOW(semctl(id, 9, GETVAL));
    SHOW(semctl(id, 0, IPC_RMID));
    SHOW(semop(id, &give, 1));
    SHOW(semctl(id, 0, GETVAL));
    SHOW(semget(0x4711, 1, 0));
    SHOW(semtimedop(id, &give, 1, &soon));
}

CASE(queue_signal_to_thread) {
    COVERS(rt_tgsigqueueinfo);
    COVERS_ERROR(rt_tgsigqueueinfo);
    static volatile sig_atomic_t value;
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t* info, void*) { value = info->si_value.sival_int; };
    sigaction(SIGUSR1, &action, nullptr);
    siginfo_t info = {};
    info.si_signo = SIGUSR1;
    info.si_code = SI_QUEUE;
    info.si_value.sival_int = 12;
    SHOW(syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), SIGUSR1, &info));
    print("value %d\n", (int)value);
    SHOW(syscall(SYS_rt_tgsigqueueinfo, getpid(), 999999, SIGUSR1, &info));
    SHOW(syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), 99, &info));
    SHOW(syscall(SYS_rt_tgsigqueueinfo, getpid(), -1, SIGUSR1, &info));
}

CASE(scheduling_attributes) {
    COVERS(sched_getattr, sched_setattr);
    COVERS_ERROR(sched_getattr, sched_setattr);
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attributes = {};
    SHOW(syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0));
    print("policy %u nice %d\n", attributes.policy, attributes.nice);
    attributes.size = sizeof attributes;
    attributes.nice = 4;
    SHOW(syscall(SYS_sched_setattr, 0, &attributes, 0));
    SHOW(syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0));
    print("nice %d\n", attributes.nice);
    SHOW(syscall(SYS_sched_getattr, 999999, &attributes, sizeof attributes, 0));
    SHOW(syscall(SYS_sched_getattr, 0, &attributes, 8, 0));
    SHOW(syscall(SYS_sched_setattr, 0, &attributes, 5));
}

CASE(lock_with_flags) {
    COVERS(mlock2);
    COVERS_ERROR(mlock2);
    void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW(mlock2(page, 4096, 0));
    SHOW(mlock2(page, 4096, 1));
    SHOW(mlock2(page, 4096, 8));
}
