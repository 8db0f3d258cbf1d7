// pkey_alloc, pkey_free, pkey_mprotect, and what PKRU does to accesses, system calls, signals and new processes
// (pkeys(7)). Programs without a processor that has keys get ENOSPC; Linux prints these lines with -cpu max.
#include "../framework/case.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>

#include <atomic>

namespace {

constexpr size_t kPage = 4096;
constexpr unsigned kInitial = 0x55555554;

sigjmp_buf back;
siginfo_t seen;

void on_fault(int, siginfo_t* info, void*) {
    memcpy(&seen, info, sizeof(seen));
    siglongjmp(back, 1);
}

void catch_faults() {
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, nullptr);
}

unsigned read_pkru() {
    unsigned value, edx;
    asm volatile("rdpkru" : "=a"(value), "=d"(edx) : "c"(0));
    return value;
}

char* page() {
    return static_cast<char*>(
        MUST((long)mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) + (char*)nullptr);
}

// "read of it: ok" or "read of it: SEGV code 4 key 1 at the page". The handler is left by siglongjmp(), with the
// handler's keys: `pkru` is put back by hand.
template <typename Access>
void attempt(const char* what, const char* at, int key, int rights, Access access) {
    if (sigsetjmp(back, 1) == 0) {
        access();
        print("%s: ok\n", what);
        return;
    }
    pkey_set(key, rights);
    const char* where = seen.si_addr == at ? "there" : "elsewhere";
    if (seen.si_code == SEGV_PKUERR) print("%s: SEGV_PKUERR, key %u, %s\n", what, seen.si_pkey, where);
    else print("%s: SEGV code %d, %s\n", what, seen.si_code, where);
}

void try_both(const char* when, char* at, int key, int rights) {
    print("%s\n", when);
    attempt("  read", at, key, rights, [&] { (void)*(volatile char*)at; });
    attempt("  write", at, key, rights, [&] { *(volatile char*)at = 1; });
}

}  // namespace

CASE(keys_are_allocated_in_order) {
    COVERS(pkey_alloc, pkey_free);
    COVERS_ERROR(pkey_alloc, pkey_free);
    SHOW(pkey_alloc(0, 0));
    SHOW(pkey_alloc(0, PKEY_DISABLE_WRITE));
    SHOW(pkey_alloc(0, PKEY_DISABLE_ACCESS | PKEY_DISABLE_WRITE));
    SHOW(pkey_get(1));
    SHOW(pkey_get(2));
    SHOW(pkey_get(3));
    SHOW(pkey_get(4));
    SHOW(pkey_free(2));
    SHOW(pkey_free(2));
    SHOW(pkey_alloc(0, 0));
    SHOW(pkey_alloc(1, 0));
    SHOW(pkey_alloc(0, 4));
    SHOW(pkey_alloc(0, -1));
    SHOW(pkey_free(-1));
    SHOW(pkey_free(16));
    SHOW(pkey_free(15));
    SHOW(pkey_free(9));
}

CASE(keys_run_out) {
    COVERS_ERROR(pkey_alloc);
    int last = 0;
    for (int key; (key = pkey_alloc(0, 0)) >= 0; last = key) {}
    print("%s\n", errno_name(errno));
    CHECK(last >= 13);
    SHOW(pkey_free(5));
    SHOW(pkey_alloc(0, 0));
}

CASE(keys_of_mappings) {
    COVERS(pkey_mprotect);
    COVERS_ERROR(pkey_mprotect);
    catch_faults();
    char* at = page();
    at[0] = 7;
    SHOW(pkey_mprotect(at, kPage, PROT_READ | PROT_WRITE, 1));
    int key = MUST(pkey_alloc(0, PKEY_DISABLE_ACCESS));
    SHOW(pkey_mprotect(at, kPage, PROT_READ | PROT_WRITE, key));
    SHOW(pkey_mprotect(at + 1, kPage, PROT_READ, key));
    SHOW(pkey_mprotect(at, kPage, PROT_READ, 16));
    SHOW(pkey_mprotect(at, kPage, PROT_READ, -2));
    SHOW(pkey_mprotect(at, kPage, 0x100, key));
    SHOW(pkey_mprotect(at, 0, PROT_READ, 12));
    SHOW(pkey_mprotect((void*)0x10000, kPage, PROT_READ, key));
    try_both("no access", at, key, PKEY_DISABLE_ACCESS);
    pkey_set(key, PKEY_DISABLE_WRITE);
    try_both("no writing", at, key, PKEY_DISABLE_WRITE);
    pkey_set(key, 0);
    try_both("all open", at, key, 0);
    print("value %d\n", at[0]);
    pkey_set(key, PKEY_DISABLE_ACCESS);
    SHOW(pkey_mprotect(at, kPage, PROT_READ, 0));
    try_both("key 0, read-only", at, key, PKEY_DISABLE_ACCESS);
    SHOW(pkey_mprotect(at, kPage, PROT_READ | PROT_WRITE, key));
    SHOW(mprotect(at, kPage, PROT_READ));
    try_both("mprotect keeps the key", at, key, PKEY_DISABLE_ACCESS);
    SHOW(pkey_mprotect(at, kPage, PROT_READ | PROT_WRITE, -1));
    try_both("so does key -1", at, key, PKEY_DISABLE_ACCESS);
}

CASE(keys_of_pages_that_are_not_there_yet) {
    COVERS(pkey_mprotect);
    catch_faults();
    int key = MUST(pkey_alloc(0, PKEY_DISABLE_ACCESS));
    char* at = page();
    MUST(pkey_mprotect(at, kPage, PROT_READ | PROT_WRITE, key));
    try_both("fresh page", at, key, PKEY_DISABLE_ACCESS);
    pkey_set(key, 0);
    *at = 3;
    MUST(madvise(at, kPage, MADV_DONTNEED));
    pkey_set(key, PKEY_DISABLE_WRITE);
    try_both("dropped page", at, key, PKEY_DISABLE_WRITE);
    pkey_set(key, 0);
    char* moved = (char*)mremap(at, kPage, 2 * kPage, MREMAP_MAYMOVE);
    CHECK(moved != MAP_FAILED);
    pkey_set(key, PKEY_DISABLE_ACCESS);
    try_both("moved and grown", moved + kPage, key, PKEY_DISABLE_ACCESS);
}

CASE(system_calls_honour_keys) {
    COVERS_ERROR(read, write, futex);
    int key = MUST(pkey_alloc(0, 0));
    char* at = page();
    strcpy(at, "secret");
    MUST(pkey_mprotect(at, kPage, PROT_READ | PROT_WRITE, key));
    int fds[2];
    MUST(pipe(fds));
    SHOW(write(fds[1], at, 6));
    pkey_set(key, PKEY_DISABLE_ACCESS);
    SHOW(write(fds[1], at, 6));
    SHOW(read(fds[0], at, 6));
    SHOW(open(at, O_RDONLY));
    SHOW(syscall(SYS_futex, at, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 1, 1, at, 0));
    pkey_set(key, PKEY_DISABLE_WRITE);
    SHOW(write(fds[1], at, 6));
    SHOW(read(fds[0], at, 6));
    pkey_set(key, 0);
    SHOW(read(fds[0], at, 6));
}

static int handler_key;
static int rights_in_handler[2];

CASE(handlers_start_with_initial_keys) {
    COVERS(rt_sigaction, rt_sigreturn);
    handler_key = MUST(pkey_alloc(0, 0));
    struct sigaction action = {};
    action.sa_handler = [](int signal) {
        rights_in_handler[signal == SIGUSR2] = pkey_get(handler_key);
        pkey_set(handler_key, PKEY_DISABLE_WRITE);
        if (signal == SIGUSR1) raise(SIGUSR2);
        pkey_set(handler_key, pkey_get(handler_key));
    };
    sigaction(SIGUSR1, &action, nullptr);
    sigaction(SIGUSR2, &action, nullptr);
    SHOW(pkey_get(handler_key));
    raise(SIGUSR1);
    print("in the handlers: %d, %d\n", rights_in_handler[0], rights_in_handler[1]);
    SHOW(pkey_get(handler_key));
    pkey_set(handler_key, PKEY_DISABLE_WRITE);
    for (int i = 0; i < 3; i++) raise(SIGUSR1);
    SHOW(pkey_get(handler_key));
    // A handler that changes its keys changes only its own, also when its program had never changed any.
    unsigned before = read_pkru();
    pkey_set(handler_key, PKEY_DISABLE_ACCESS);
    CHECK(read_pkru() == kInitial);
    raise(SIGUSR2);
    CHECK(read_pkru() == kInitial);
    CHECK(before != kInitial);
}

CASE(handlers_that_are_left_by_longjmp) {
    COVERS(rt_sigaction);
    catch_faults();
    int key = MUST(pkey_alloc(0, PKEY_DISABLE_WRITE));
    char* at = page();
    MUST(pkey_mprotect(at, kPage, PROT_READ | PROT_WRITE, key));
    for (int i = 0; i < 20; i++) {
        if (sigsetjmp(back, 1) == 0) *(volatile char*)at = 1;
        pkey_set(key, PKEY_DISABLE_WRITE);
    }
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, nullptr);
    raise(SIGUSR1);
    SHOW(pkey_get(key));
}

CASE(children_inherit_keys) {
    COVERS(fork, pkey_alloc);
    catch_faults();
    int key = MUST(pkey_alloc(0, PKEY_DISABLE_WRITE));
    char* at = page();
    *at = 5;
    MUST(pkey_mprotect(at, kPage, PROT_READ | PROT_WRITE, key));
    show_child("child", [&] {
        SHOW(pkey_get(key));
        try_both("in the child", at, key, PKEY_DISABLE_WRITE);
        pkey_set(key, 0);
        *at = 6;
        print("value %d\n", *at);
        SHOW(pkey_alloc(0, 0));
        return 0;
    });
    print("value %d\n", *at);
    SHOW(pkey_get(key));
    SHOW(pkey_alloc(0, 0));
}

HELPER(show_keys) {
    CHECK(read_pkru() == kInitial);
    SHOW(pkey_alloc(0, 0));
    return 0;
}

CASE(exec_starts_with_initial_keys) {
    COVERS(execve);
    MUST(pkey_alloc(0, 0));
    MUST(pkey_alloc(0, 0));
    CHECK(read_pkru() == kInitial);
    show_child("helper", [] {
        char* arguments[] = {(char*)self_path(), (char*)"--helper", (char*)"show_keys", nullptr};
        execv(self_path(), arguments);
        return 1;
    });
}

// Threads have PKRUs of their own, also when they take turns on one processor.
CASE(threads_have_their_own_keys) {
    COVERS(clone, pkey_alloc);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof(one), &one);
    static int key;
    static std::atomic<int> turn{0}, wrong{0}, inherited{-1};
    key = MUST(pkey_alloc(0, PKEY_DISABLE_WRITE));
    static auto play = +[](int mine, int rights) {
        pkey_set(key, rights);
        for (int i = 0; i < 200; i++) {
            while (turn.load() % 2 != mine) sched_yield();
            if (pkey_get(key) != rights) wrong++;
            turn++;
        }
    };
    pthread_t thread;
    pthread_create(&thread, nullptr, [](void*) -> void* {
        inherited = pkey_get(key);
        play(1, PKEY_DISABLE_ACCESS);
        return nullptr;
    }, nullptr);
    play(0, 0);
    pthread_join(thread, nullptr);
    print("inherited %d, wrong %d, now %d\n", inherited.load(), wrong.load(), pkey_get(key));
}

CASE(code_that_can_only_be_executed) {
    COVERS(mprotect, pkey_free);
    COVERS_ERROR(pkey_free);
    catch_faults();
    char* at = page();
    const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};  // mov $42, %eax; ret
    memcpy(at, code, sizeof(code));
    SHOW(mprotect(at, kPage, PROT_EXEC));
    SHOW(((int (*)())at)());
    SHOW(pkey_get(1));
    attempt("read", at, 1, PKEY_DISABLE_ACCESS, [&] { (void)*(volatile char*)at; });
    int fds[2];
    MUST(pipe(fds));
    SHOW(write(fds[1], at, 1));
    SHOW(pkey_free(1));
    SHOW(pkey_alloc(0, 0));
    SHOW(mprotect(at, kPage, PROT_READ | PROT_EXEC));
    attempt("read", at, 1, PKEY_DISABLE_ACCESS, [&] { (void)*(volatile char*)at; });
    SHOW(((int (*)())at)());
    char* other = (char*)mmap(nullptr, kPage, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(other != MAP_FAILED);
    attempt("read of a new mapping", other, 1, PKEY_DISABLE_ACCESS, [&] { (void)*(volatile char*)other; });
}

CASE(smaps_shows_keys) {
    COVERS(pkey_mprotect);
    int key = MUST(pkey_alloc(0, 0));
    char* at = page();
    MUST(pkey_mprotect(at, kPage, PROT_READ, key));
    FILE* file = fopen("/proc/self/smaps", "r");
    char line[512], start[32];
    snprintf(start, sizeof(start), "%lx-", (unsigned long)at);
    bool in = false;
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, start, strlen(start)) == 0) in = true;
        if (in && strncmp(line, "ProtectionKey:", 14) == 0) {
            print("%s", line);
            break;
        }
    }
    fclose(file);
}
