// Threads: creation, joining, thread-local data, signals, exit of the group, fork and exec from threads.
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/prctl.h>

#include "case.h"

static void* add_one(void* counter) {
    __atomic_add_fetch((int*)counter, 1, __ATOMIC_SEQ_CST);
    return (void*)5;
}

CASE(create_and_join) {
    COVERS(clone3, futex, set_robust_list, rseq);
    int counter = 0;
    pthread_t threads[20];
    for (pthread_t& thread : threads) pthread_create(&thread, nullptr, add_one, &counter);
    long sum = 0;
    for (pthread_t thread : threads) {
        void* result;
        pthread_join(thread, &result);
        sum += (long)result;
    }
    print("counter %d, results %ld\n", counter, sum);
}

CASE(thread_ids) {
    COVERS(gettid, getpid, tgkill);
    static pid_t pid_inside, tid_inside;
    pthread_t thread;
    pthread_create(&thread, nullptr, [](void*) -> void* {
        pid_inside = getpid();
        tid_inside = gettid();
        return nullptr;
    }, nullptr);
    pthread_join(thread, nullptr);
    CHECK(gettid() == getpid());
    CHECK(pid_inside == getpid());
    CHECK(tid_inside != getpid());
}

static thread_local int local_value = 7;

CASE(thread_local_data) {
    COVERS(arch_prctl);
    COVERS_ERROR(arch_prctl);
    local_value = 8;
    static int seen;
    pthread_t thread;
    pthread_create(&thread, nullptr, [](void*) -> void* {
        seen = local_value;
        local_value = 9;
        return nullptr;
    }, nullptr);
    pthread_join(thread, nullptr);
    print("new thread saw %d, first has %d\n", seen, local_value);
    show_child("child", [] { return local_value; });
    unsigned long base = 0;
    SHOW(syscall(SYS_arch_prctl, 0x1003, &base));
    unsigned long own;
    asm("mov %%fs:0, %0" : "=r"(own));
    CHECK(base == own);
    SHOW(syscall(SYS_arch_prctl, 0x1002, 0xffff800000000000));
    SHOW(syscall(SYS_arch_prctl, 0x9999, &base));
    SHOW(syscall(SYS_arch_prctl, 0x1003, bad_address()));
    SHOW(syscall(SYS_arch_prctl, 0x1001, 0x1234000));
    unsigned long gs = 0;
    SHOW(syscall(SYS_arch_prctl, 0x1004, &gs));
    print("gs %lx\n", gs);
}

CASE(mutex_contention) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static long counter;
    pthread_t threads[4];
    for (pthread_t& thread : threads)
        pthread_create(&thread, nullptr, [](void*) -> void* {
            for (int i = 0; i < 2000; i++) {
                pthread_mutex_lock(&mutex);
                counter++;
                pthread_mutex_unlock(&mutex);
            }
            return nullptr;
        }, nullptr);
    for (pthread_t thread : threads) pthread_join(thread, nullptr);
    print("counter %ld\n", counter);
}

CASE(condition_and_semaphore) {
    static sem_t ping, pong;
    sem_init(&ping, 0, 0);
    sem_init(&pong, 0, 0);
    pthread_t thread;
    pthread_create(&thread, nullptr, [](void*) -> void* {
        for (int i = 0; i < 500; i++) {
            sem_wait(&ping);
            sem_post(&pong);
        }
        return nullptr;
    }, nullptr);
    for (int i = 0; i < 500; i++) {
        sem_post(&ping);
        sem_wait(&pong);
    }
    pthread_join(thread, nullptr);
    timespec past = {1, 0};
    SHOW(sem_timedwait(&ping, &past));
}

CASE(exit_group_ends_all_threads) {
    COVERS(exit_group);
    show_child("process", [] {
        pthread_t thread;
        for (int i = 0; i < 4; i++)
            pthread_create(&thread, nullptr, [](void*) -> void* {
                for (;;) pause();
                return nullptr;
            }, nullptr);
        pthread_create(&thread, nullptr, [](void*) -> void* {
            for (;;) {
            }
            return nullptr;
        }, nullptr);
        sleep_ms(20);
        exit(4);
        return 0;
    });
}

CASE(exit_from_second_thread) {
    show_child("process", [] {
        pthread_t thread;
        pthread_create(&thread, nullptr, [](void*) -> void* {
            _exit(6);
            return nullptr;
        }, nullptr);
        for (;;) pause();
        return 0;
    });
}

CASE(leader_exits_first) {
    show_child("process", [] {
        pthread_t thread;
        pthread_create(&thread, nullptr, [](void*) -> void* {
            sleep_ms(50);
            print("still running\n");
            exit(8);
            return nullptr;
        }, nullptr);
        pthread_exit(nullptr);
        return 0;
    });
}

CASE(fatal_signal_ends_all_threads) {
    show_child("process", [] {
        pthread_t thread;
        pthread_create(&thread, nullptr, [](void*) -> void* {
            *(volatile char*)8 = 1;
            return nullptr;
        }, nullptr);
        for (;;) pause();
        return 0;
    });
}

CASE(fork_from_thread) {
    static int status;
    pthread_t thread, other;
    pthread_create(&other, nullptr, [](void*) -> void* {
        for (;;) pause();
        return nullptr;
    }, nullptr);
    pthread_create(&thread, nullptr, [](void*) -> void* {
        status = wait_for(spawn([] {
            CHECK(gettid() == getpid());
            int counter = 0;
            pthread_t inner;
            pthread_create(&inner, nullptr, add_one, &counter);
            pthread_join(inner, nullptr);
            return counter + 10;
        }));
        return nullptr;
    }, nullptr);
    pthread_join(thread, nullptr);
    print("%s\n", decode_status(status));
}

HELPER(report_thread) {
    CHECK(gettid() == getpid());
    return 3;
}

CASE(exec_from_thread) {
    COVERS(execve);
    show_child("process", [] {
        pthread_t thread;
        pthread_create(&thread, nullptr, [](void*) -> void* {
            execl(self_path(), self_path(), "--helper", "report_thread", nullptr);
            return nullptr;
        }, nullptr);
        for (;;) pause();
        return 0;
    });
}

static volatile sig_atomic_t handled_by_target;
static pthread_t target;

CASE(signal_to_thread) {
    COVERS(tgkill);
    struct sigaction action = {};
    action.sa_handler = [](int) { handled_by_target = pthread_equal(pthread_self(), target) ? 1 : 2; };
    sigaction(SIGUSR1, &action, nullptr);
    pthread_create(&target, nullptr, [](void*) -> void* {
        while (!handled_by_target) sleep_ms(1);
        return nullptr;
    }, nullptr);
    print("%d\n", pthread_kill(target, SIGUSR1));
    pthread_join(target, nullptr);
    print("handled by the right thread: %s\n", handled_by_target == 1 ? "yes" : "no");
}

CASE(process_signal_goes_to_unblocked_thread) {
    struct sigaction action = {};
    action.sa_handler = [](int) { handled_by_target = pthread_equal(pthread_self(), target) ? 1 : 2; };
    sigaction(SIGUSR1, &action, nullptr);
    handled_by_target = 0;
    pthread_create(&target, nullptr, [](void*) -> void* {
        while (!handled_by_target) sleep_ms(1);
        return nullptr;
    }, nullptr);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    kill(getpid(), SIGUSR1);
    pthread_join(target, nullptr);
    print("handled by the right thread: %s\n", handled_by_target == 1 ? "yes" : "no");
}

CASE(cancel_blocked_thread) {
    pthread_t thread;
    pthread_create(&thread, nullptr, [](void*) -> void* {
        for (;;) pause();
        return nullptr;
    }, nullptr);
    sleep_ms(20);
    print("%d\n", pthread_cancel(thread));
    void* result;
    pthread_join(thread, &result);
    CHECK(result == PTHREAD_CANCELED);
}

CASE(many_short_threads) {
    int counter = 0, failed = 0;
    for (int round = 0; round < 300; round++) {
        pthread_t thread;
        if (pthread_create(&thread, nullptr, add_one, &counter) != 0)
            failed++;
        else
            pthread_join(thread, nullptr);
    }
    print("counter %d failed %d\n", counter, failed);
}

CASE(threads_share_faults) {
    // Four threads touch the same fresh pages at the same time.
    static char* memory;
    memory = (char*)MUST(mmap(nullptr, 512 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    pthread_t threads[4];
    for (long i = 0; i < 4; i++)
        pthread_create(&threads[i], nullptr, [](void* index) -> void* {
            for (int page = 0; page < 512; page++) memory[page * 4096 + (long)index] = (char)((long)index + 1);
            return nullptr;
        }, (void*)i);
    for (pthread_t thread : threads) pthread_join(thread, nullptr);
    int right = 0;
    for (int page = 0; page < 512; page++) right += memcmp(memory + page * 4096, "\1\2\3\4", 4) == 0;
    print("right %d\n", right);
}

CASE(unmap_while_others_run) {
    static volatile bool stop;
    pthread_t thread;
    pthread_create(&thread, nullptr, [](void*) -> void* {
        while (!stop) {
        }
        return nullptr;
    }, nullptr);
    int faults = 0;
    for (int i = 0; i < 200; i++) {
        char* page = (char*)MUST(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        page[0] = 1;
        MUST(munmap(page, 4096));
        faults++;
    }
    stop = true;
    pthread_join(thread, nullptr);
    print("rounds %d\n", faults);
}
