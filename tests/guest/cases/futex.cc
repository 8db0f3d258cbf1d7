// futex: private and shared, requeue, timeouts, robust lists, PI refusals.
#include <linux/futex.h>
#include <pthread.h>

#include "case.h"

static long futex(volatile int* word, int operation, int value, const timespec* timeout = nullptr,
                  volatile int* second = nullptr, int third = 0) {
    return syscall(SYS_futex, word, operation, value, timeout, second, third);
}

static volatile int* shared_words() {
    return (volatile int*)MUST(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

CASE(futex_wait_checks_value) {
    COVERS_ERROR(futex);
    COVERS(futex);
    volatile int word = 1;
    timespec soon = {0, 20000000}, wrong = {0, 1000000000};
    SHOW(futex(&word, FUTEX_WAIT, 0));
    SHOW(futex(&word, FUTEX_WAIT, 1, &soon));
    SHOW(futex(&word, FUTEX_WAIT_PRIVATE, 1, &soon));
    SHOW(futex(&word, FUTEX_WAIT, 1, &wrong));
    SHOW(futex(&word, FUTEX_WAKE, 1));
    SHOW(futex((int*)((char*)&word + 1), FUTEX_WAIT, 0));
    SHOW(futex((int*)bad_address(), FUTEX_WAIT, 0));
    SHOW(futex((int*)0xffff888000000000, FUTEX_WAIT, 0));
    SHOW(futex(&word, 99, 0));
    SHOW(futex(&word, FUTEX_WAIT_BITSET, 1, &soon, nullptr, 0));
    SHOW(futex(&word, FUTEX_WAKE_BITSET, 1, nullptr, nullptr, 0));
}

CASE(futex_shared_between_processes) {
    COVERS(futex);
    volatile int* words = shared_words();
    pid_t pid = spawn([&] {
        while (words[0] == 0)
            if (futex(words, FUTEX_WAIT, 0) < 0 && errno != EAGAIN && errno != EINTR) return 1;
        return words[0];
    });
    sleep_ms(30);
    words[0] = 9;
    SHOW(futex(words, FUTEX_WAKE, 10));
    print("%s\n", decode_status(wait_for(pid)));
}

CASE(futex_in_shared_file_at_two_addresses) {
    enter_scratch_directory();
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
    MUST(ftruncate(fd, 4096));
    auto* first = (volatile int*)MUST(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    pid_t pid = spawn([&] {
        auto* second = (volatile int*)MUST(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
        while (second[5] == 0)
            if (futex(second + 5, FUTEX_WAIT, 0) < 0 && errno != EAGAIN) return 1;
        return 0;
    });
    sleep_ms(30);
    first[5] = 1;
    SHOW(futex(first + 5, FUTEX_WAKE, 1));
    print("%s\n", decode_status(wait_for(pid)));
}

CASE(futex_private_is_not_shared) {
    // After fork the same address is another word.
    static volatile int word;
    Turn waiting;
    pid_t pid = spawn([&] {
        timespec limit = {0, 80000000};
        waiting.signal();
        return futex(&word, FUTEX_WAIT_PRIVATE, 0, &limit) < 0 && errno == ETIMEDOUT ? 5 : 6;
    });
    waiting.wait();
    sleep_ms(30);
    SHOW(futex(&word, FUTEX_WAKE_PRIVATE, 1));
    print("%s\n", decode_status(wait_for(pid)));
}

CASE(futex_requeue_moves_waiters) {
    COVERS(futex);
    COVERS_ERROR(futex);
    volatile int* words = shared_words();
    pid_t pids[4];
    for (pid_t& pid : pids)
        pid = spawn([&] {
            __atomic_add_fetch((int*)&words[20], 1, __ATOMIC_SEQ_CST);
            return (int)futex(words, FUTEX_WAIT, 0);
        });
    while (words[20] < 4) sleep_ms(5);
    sleep_ms(60);
    SHOW(futex(words, FUTEX_CMP_REQUEUE, 1, (timespec*)2, words + 10, 0));
    SHOW(futex(words, FUTEX_CMP_REQUEUE, 1, (timespec*)2, words + 10, 7));
    SHOW(futex(words, FUTEX_WAKE, 10));
    SHOW(futex(words + 10, FUTEX_WAKE, 10));
    int good = 0;
    for (pid_t pid : pids) good += wait_for(pid) == 0;
    print("woken %d\n", good);
}

CASE(futex_bitset_selects) {
    volatile int* words = shared_words();
    pid_t pids[2];
    for (int i = 0; i < 2; i++)
        pids[i] = spawn([&] { return (int)futex(words, FUTEX_WAIT_BITSET, 0, nullptr, nullptr, 1 << i); });
    sleep_ms(80);
    SHOW(futex(words, FUTEX_WAKE_BITSET, 10, nullptr, nullptr, 2));
    print("second %s\n", decode_status(wait_for(pids[1])));
    int status;
    SHOW(waitpid(pids[0], &status, WNOHANG));
    SHOW(futex(words, FUTEX_WAKE_BITSET, 10, nullptr, nullptr, ~0));
    print("first %s\n", decode_status(wait_for(pids[0])));
}

CASE(futex_absolute_timeout) {
    volatile int word = 0;
    timespec at = {0, 1};  // the machine may be younger than a second
    SHOW(futex(&word, FUTEX_WAIT_BITSET, 0, &at, nullptr, ~0));
    at = {-1, 0};
    SHOW(futex(&word, FUTEX_WAIT_BITSET, 0, &at, nullptr, ~0));
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_nsec += 20000000;
    if (at.tv_nsec >= 1000000000) at.tv_sec++, at.tv_nsec -= 1000000000;
    SHOW(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &at, nullptr, ~0));
}

CASE(futex_wake_op) {
    volatile int* words = shared_words();
    pid_t pid = spawn([&] { return (int)futex(words + 1, FUTEX_WAIT, 0); });
    sleep_ms(50);
    // words[1] = words[1] + 5; wake one on words[0]; one on words[1] if the old value was 0
    int operation = FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 0);
    SHOW(syscall(SYS_futex, words, FUTEX_WAKE_OP, 1, 1, words + 1, operation));
    print("word %d\n", words[1]);
    print("%s\n", decode_status(wait_for(pid)));
}

CASE(futex_wait_interrupted) {
    COVERS_ERROR(futex);
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, nullptr);
    pid_t parent = getpid();
    pid_t pid = spawn([=] {
        sleep_ms(40);
        return kill(parent, SIGUSR1);
    });
    volatile int word = 0;
    SHOW(futex(&word, FUTEX_WAIT, 0));
    wait_for(pid);
}

CASE(process_shared_mutex_and_condition) {
    struct Shared {
        pthread_mutex_t mutex;
        pthread_cond_t condition;
        int turn;
        long sum;
    };
    auto* shared =
        (Shared*)MUST(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pthread_mutexattr_t mutex_attributes;
    pthread_mutexattr_init(&mutex_attributes);
    pthread_mutexattr_setpshared(&mutex_attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&shared->mutex, &mutex_attributes);
    pthread_condattr_t condition_attributes;
    pthread_condattr_init(&condition_attributes);
    pthread_condattr_setpshared(&condition_attributes, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&shared->condition, &condition_attributes);
    pid_t pids[2];
    for (int me = 0; me < 2; me++)
        pids[me] = spawn([&] {
            for (int i = 0; i < 200; i++) {
                pthread_mutex_lock(&shared->mutex);
                while (shared->turn != me) pthread_cond_wait(&shared->condition, &shared->mutex);
                shared->sum += i;
                shared->turn = 1 - me;
                pthread_cond_signal(&shared->condition);
                pthread_mutex_unlock(&shared->mutex);
            }
            return 0;
        });
    for (pid_t pid : pids) print("%s\n", decode_status(wait_for(pid)));
    print("sum %ld\n", shared->sum);
}

CASE(robust_mutex_survives_owner) {
    COVERS(set_robust_list, get_robust_list);
    COVERS_ERROR(set_robust_list, get_robust_list);
    auto* mutex =
        (pthread_mutex_t*)MUST(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(mutex, &attributes);
    show_child("owner", [&] {
        pthread_mutex_lock(mutex);
        _exit(0);
        return 0;
    });
    print("%s\n", errno_name(pthread_mutex_lock(mutex)));
    print("%d\n", pthread_mutex_consistent(mutex));
    print("%d\n", pthread_mutex_unlock(mutex));
    void* head;
    size_t size = 0;
    SHOW(syscall(SYS_get_robust_list, 0, &head, &size));
    print("size %zu\n", size);
    SHOW(syscall(SYS_get_robust_list, 999999, &head, &size));
    SHOW(syscall(SYS_set_robust_list, head, 7));
    SHOW(syscall(SYS_set_robust_list, head, size));
}
