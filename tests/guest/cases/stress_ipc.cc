// Wake-ups between processors, and many processes on all kinds of communication at once: nothing gets lost.
//
// Short runs count rounds and bytes. With STRESS_LONG in the environment each pair goes on for a minute and the mix for
// ten (tests/guest/run with LONG=1).
#include <arpa/inet.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "case.h"

static bool is_long() { return getenv("STRESS_LONG") != nullptr; }
// Seconds that a case may take: `pairs` that go on for a minute each in a long run.
static unsigned pair_limit(unsigned pairs = 1) { return is_long() ? 60 + 120 * pairs : 60; }

template <typename T>
static T* shared(size_t count = 1) {
    return (T*)MUST(mmap(nullptr, sizeof(T) * count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

static long futex(volatile int* word, int operation, int value) {
    return syscall(SYS_futex, word, operation, value, nullptr, nullptr, 0);
}

struct Ends { int first, second; };

static Ends tcp_pair() {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    int listener = MUST(socket(AF_INET, SOCK_STREAM, 0)), client = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(bind(listener, (sockaddr*)&address, size));
    MUST(listen(listener, 4));
    MUST(getsockname(listener, (sockaddr*)&address, &size));
    MUST(connect(client, (sockaddr*)&address, size));
    int server = MUST(accept(listener, nullptr, nullptr));
    close(listener);
    return {client, server};
}

static Ends unix_pair() {
    int fds[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    return {fds[0], fds[1]};
}

// --- one pair on two processors -------------------------------------------------------------------------------------

static void pin_to(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    MUST(sched_setaffinity(0, sizeof set, &set));
}

// Two processes take turns: pass(0) hands over to the second, pass(1) to the first; take() waits for it.
template <typename Pass, typename Take>
static void take_turns(const char* what, Pass pass, Take take) {
    constexpr int kRounds = 400;
    int64_t end = is_long() ? monotonic_ms() + 60000 : 0;
    pid_t second = spawn([&] {
        pin_to(1);
        for (;;) {
            int value = take(1);
            pass(1, value);
            if (value == 2) return 0;
        }
    });
    pin_to(0);
    bool good = true;
    for (int round = 1; good; round++) {
        bool last = end ? monotonic_ms() >= end : round == kRounds;
        pass(0, last ? 2 : 1);
        good = take(0) == (last ? 2 : 1);
        if (last) break;
    }
    print("%s: %s, %s\n", what, good ? "all rounds" : "a wrong answer", decode_status(wait_for(second)));
}

// By descriptors: `to_second` is what the first writes to and the second reads from.
static void take_turns_on(const char* what, Ends to_second, Ends to_first, bool by_epoll = false) {
    int epoll[2] = {-1, -1};
    if (by_epoll) {
        int sources[2] = {to_first.second, to_second.second};
        for (int side = 0; side < 2; side++) {
            epoll[side] = MUST(epoll_create1(0));
            epoll_event event = {EPOLLIN | (side ? EPOLLET : 0u), {}};
            MUST(epoll_ctl(epoll[side], EPOLL_CTL_ADD, sources[side], &event));
            fcntl(sources[side], F_SETFL, O_NONBLOCK);
        }
    }
    take_turns(what,
        [&](int side, int value) {
            uint64_t word = value;
            MUST(write(side == 0 ? to_second.first : to_first.first, &word, 8));
        },
        [&](int side) {
            uint64_t word = 0;
            int fd = side == 0 ? to_first.second : to_second.second;
            epoll_event event;
            if (by_epoll) MUST(epoll_wait(epoll[side], &event, 1, -1));
            MUST(read(fd, &word, 8));
            return (int)word;
        });
}

CASE_WITH_LIMIT(pipe_across_processors, pair_limit()) {
    int there[2], back[2];
    MUST(pipe(there));
    MUST(pipe(back));
    take_turns_on("pipe", {there[1], there[0]}, {back[1], back[0]});
}

CASE_WITH_LIMIT(unix_socket_across_processors, pair_limit()) {
    Ends pair = unix_pair();
    take_turns_on("AF_UNIX", pair, {pair.second, pair.first});
}

CASE_WITH_LIMIT(tcp_across_processors, pair_limit()) {
    Ends pair = tcp_pair();
    take_turns_on("TCP", pair, {pair.second, pair.first});
}

CASE_WITH_LIMIT(epoll_across_processors, pair_limit(2)) {
    int there = MUST(eventfd(0, 0)), back = MUST(eventfd(0, 0));
    take_turns_on("epoll on eventfd", {there, there}, {back, back}, true);
    Ends pair = tcp_pair();
    take_turns_on("epoll on TCP", pair, {pair.second, pair.first}, true);
}

CASE_WITH_LIMIT(futex_across_processors, pair_limit()) {
    auto* words = shared<int>(2);
    take_turns("futex",
        [&](int side, int value) {
            __atomic_store_n(&words[side], value, __ATOMIC_SEQ_CST);
            futex(&words[side], FUTEX_WAKE, 1);
        },
        [&](int side) {
            int* word = &words[1 - side];
            int value;
            while ((value = __atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST)) == 0) futex(word, FUTEX_WAIT, 0);
            return value;
        });
}

CASE_WITH_LIMIT(signals_across_processors, pair_limit()) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    pid_t first = getpid();
    auto* second = shared<volatile pid_t>();
    take_turns("signals",
        [&](int side, int value) {
            while (side == 0 && *second == 0) sched_yield();
            sigval payload;
            payload.sival_int = value;
            MUST(sigqueue(side == 0 ? *second : first, SIGRTMIN, payload));
        },
        [&](int side) {
            if (side == 1) *second = getpid();
            siginfo_t info;
            MUST(sigwaitinfo(&set, &info));
            return info.si_value.sival_int;
        });
}

CASE_WITH_LIMIT(handlers_across_processors, pair_limit()) {
    static volatile int told;
    struct sigaction action = {};
    action.sa_handler = [](int signal) { told = signal == SIGUSR1 ? 1 : 2; };
    MUST(sigaction(SIGUSR1, &action, nullptr));
    MUST(sigaction(SIGUSR2, &action, nullptr));
    sigset_t blocked, none;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGUSR2);
    sigprocmask(SIG_BLOCK, &blocked, nullptr);
    pid_t first = getpid();
    auto* second = shared<volatile pid_t>();
    take_turns("handlers",
        [&](int side, int value) {
            while (side == 0 && *second == 0) sched_yield();
            MUST(kill(side == 0 ? *second : first, value == 1 ? SIGUSR1 : SIGUSR2));
        },
        [&](int side) {
            if (side == 1) *second = getpid();
            while (told == 0) sigsuspend(&none);
            int value = told;
            told = 0;
            return value;
        });
}

CASE_WITH_LIMIT(tcp_connects_across_processors, pair_limit()) {
    constexpr int kRounds = 100;
    int64_t end = is_long() ? monotonic_ms() + 60000 : 0;
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    int listener = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(bind(listener, (sockaddr*)&address, size));
    MUST(listen(listener, 4));
    MUST(getsockname(listener, (sockaddr*)&address, &size));
    pid_t server = spawn([&] {
        pin_to(1);
        for (;;) {
            int connection = MUST(accept(listener, nullptr, nullptr));
            char value = 0;
            MUST(read(connection, &value, 1));
            MUST(write(connection, &value, 1));
            close(connection);
            if (value == 2) return 0;
        }
    });
    pin_to(0);
    bool good = true;
    for (int round = 1; good; round++) {
        bool last = end ? monotonic_ms() >= end : round == kRounds;
        int client = MUST(socket(AF_INET, SOCK_STREAM, 0));
        MUST(connect(client, (sockaddr*)&address, size));
        char value = last ? 2 : 1, answer = 0;
        MUST(write(client, &value, 1));
        good = read(client, &answer, 1) == 1 && answer == value && read(client, &answer, 1) == 0;
        close(client);
        if (last) break;
    }
    print("connections: %s, %s\n", good ? "all answered" : "a wrong answer", decode_status(wait_for(server)));
}

// --- the mix --------------------------------------------------------------------------------------------------------

struct Account {
    uint64_t sent, received;
    int wrong;
};

static int64_t mix_end;          // 0: by amount
static const uint64_t kMixBytes = 200000, kMixSignals = 300;

static bool enough(uint64_t done, uint64_t amount) { return mix_end ? monotonic_ms() >= mix_end : done >= amount; }

static unsigned char byte_at(uint64_t position, unsigned seed) {
    return (unsigned char)((position * 2654435761u + seed) >> 11);
}

// Writes pieces of many sizes; a non-blocking descriptor is waited for.
static int write_stream(int fd, Account& account, unsigned seed) {
    unsigned char block[20000];
    unsigned random = seed;
    uint64_t sent = 0;
    while (!enough(sent, kMixBytes)) {
        random = random * 1664525 + 1013904223;
        size_t size = random >> 28 ? 1 + (random >> 12) % 300 : 1 + (random >> 8) % sizeof block;
        for (size_t i = 0; i < size; i++) block[i] = byte_at(sent + i, seed);
        for (size_t done = 0; done < size;) {
            ssize_t n = write(fd, block + done, size - done);
            if (n < 0 && errno == EAGAIN) {
                pollfd ready = {fd, POLLOUT, 0};
                poll(&ready, 1, -1);
                continue;
            }
            if (n <= 0) return 1;
            done += n;
        }
        sent += size;
        account.sent = sent;
    }
    return 0;
}

// What is there now; false at the end of the stream.
static bool check_some(int fd, Account& account, unsigned seed) {
    unsigned char block[7000];
    ssize_t n = read(fd, block, sizeof block);
    if (n < 0) return errno == EAGAIN;
    for (ssize_t i = 0; i < n; i++) {
        if (block[i] != byte_at(account.received + i, seed)) account.wrong++;
    }
    account.received += n;
    return n > 0;
}

static int read_stream(int fd, Account& account, unsigned seed) {
    while (check_some(fd, account, seed)) {
    }
    return 0;
}

static void stream_across_processors(const char* what, Ends ends) {
    auto* account = shared<Account>();
    mix_end = is_long() ? monotonic_ms() + 60000 : 0;
    pid_t writer = spawn([&] {
        pin_to(0);
        close(ends.second);
        return write_stream(ends.first, *account, 5);
    });
    pid_t reader = spawn([&] {
        pin_to(1);
        close(ends.first);
        return read_stream(ends.second, *account, 5);
    });
    close(ends.first);
    close(ends.second);
    bool well = wait_for(writer) == 0;
    well &= wait_for(reader) == 0;
    bool all = account->sent != 0 && account->sent == account->received && account->wrong == 0;
    print("%s: %s, %s\n", what, well ? "both ended well" : "one failed", all ? "every byte" : "bytes lost or wrong");
}

CASE_WITH_LIMIT(streams_across_processors, pair_limit(3)) {
    int fds[2];
    MUST(pipe(fds));
    stream_across_processors("pipe", {fds[1], fds[0]});
    stream_across_processors("AF_UNIX", unix_pair());
    stream_across_processors("TCP", tcp_pair());
}

// A ring of bytes in shared memory; each end sleeps on the other's counter, and is not told of every byte.
struct Ring {
    volatile int head, tail, finished;
    unsigned char bytes[1024];
};

static int fill_ring(Ring& ring, Account& account, unsigned seed) {
    for (uint64_t sent = 0;; sent++) {
        int head = (int)sent, tail;
        while (head - (tail = __atomic_load_n(&ring.tail, __ATOMIC_SEQ_CST)) == (int)sizeof ring.bytes)
            futex(&ring.tail, FUTEX_WAIT, tail);
        bool last = sent % 64 == 0 && enough(sent, kMixBytes / 10);
        ring.bytes[sent % sizeof ring.bytes] = byte_at(sent, seed);
        if (last) __atomic_store_n(&ring.finished, 1, __ATOMIC_SEQ_CST);
        else account.sent = sent + 1;
        __atomic_store_n(&ring.head, head + 1, __ATOMIC_SEQ_CST);
        if (sent % 7 == 0 || last) futex(&ring.head, FUTEX_WAKE, 1);
        if (last) return 0;
    }
}

static int drain_ring(Ring& ring, Account& account, unsigned seed) {
    for (uint64_t got = 0;; got++) {
        int head;
        while ((head = __atomic_load_n(&ring.head, __ATOMIC_SEQ_CST)) == (int)got) futex(&ring.head, FUTEX_WAIT, head);
        if (head == (int)got + 1 && __atomic_load_n(&ring.finished, __ATOMIC_SEQ_CST)) {
            if (__atomic_load_n(&ring.head, __ATOMIC_SEQ_CST) == head) return 0;  // that byte only ends the stream
        }
        if (ring.bytes[got % sizeof ring.bytes] != byte_at(got, seed)) account.wrong++;
        account.received = got + 1;
        __atomic_store_n(&ring.tail, (int)got + 1, __ATOMIC_SEQ_CST);
        if (got % 5 == 0 || head - (int)got == (int)sizeof ring.bytes) futex(&ring.tail, FUTEX_WAKE, 1);
    }
}

// Queued signals with numbers; an answer every eight keeps the queue short.
static int send_signals(pid_t receiver, Account& account, const sigset_t& answers) {
    for (uint64_t sent = 1;; sent++) {
        bool last = enough(sent, kMixSignals);
        sigval value;
        value.sival_int = last ? -1 : (int)sent;
        while (sigqueue(receiver, SIGRTMIN, value) < 0) {
            if (errno != EAGAIN) return 1;
            sched_yield();
        }
        if (last) return 0;
        account.sent = sent;
        siginfo_t info;
        if (sent % 8 == 0 && sigwaitinfo(&answers, &info) < 0) return 2;
    }
}

static int receive_signals(Account& account, const sigset_t& numbers) {
    for (;;) {
        siginfo_t info;
        if (sigwaitinfo(&numbers, &info) < 0) return 1;
        if (info.si_value.sival_int < 0) return 0;
        if (info.si_value.sival_int != (int)account.received + 1) account.wrong++;
        account.received++;
        if (account.received % 8 == 0 && kill(info.si_pid, SIGRTMIN + 1) < 0) return 2;
    }
}

// Fourteen processes: two each on a pipe, AF_UNIX, TCP, a futex ring, and signals; three writers on non-blocking
// descriptors of all kinds and a reader with epoll. The reader of each stream keeps no other end open.
static const int kProcessesInSet = 14, kAccountsInSet = 8;

static int start_set(Account* accounts, unsigned seed, pid_t* pids) {
    int count = 0;
    auto stream = [&](Ends ends, Account& account, unsigned own_seed) {
        pids[count++] = spawn([&] { close(ends.second); return write_stream(ends.first, account, own_seed); });
        pids[count++] = spawn([&] { close(ends.first); return read_stream(ends.second, account, own_seed); });
        close(ends.first);
        close(ends.second);
    };
    int fds[2];
    MUST(pipe(fds));
    stream({fds[1], fds[0]}, accounts[0], seed);
    stream(unix_pair(), accounts[1], seed + 1);
    stream(tcp_pair(), accounts[2], seed + 2);

    auto* ring = shared<Ring>();
    pids[count++] = spawn([&] { return fill_ring(*ring, accounts[3], seed + 3); });
    pids[count++] = spawn([&] { return drain_ring(*ring, accounts[3], seed + 3); });
    munmap(ring, sizeof *ring);

    sigset_t numbers, answers;
    sigemptyset(&numbers);
    sigaddset(&numbers, SIGRTMIN);
    sigemptyset(&answers);
    sigaddset(&answers, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &numbers, nullptr);
    sigprocmask(SIG_BLOCK, &answers, nullptr);
    pid_t receiver = pids[count++] = spawn([&] { return receive_signals(accounts[4], numbers); });
    pids[count++] = spawn([&] { return send_signals(receiver, accounts[4], answers); });

    MUST(pipe(fds));
    Ends ends[3] = {{fds[1], fds[0]}, unix_pair(), tcp_pair()};
    for (int i = 0; i < 3; i++) {
        pids[count++] = spawn([&] {
            for (int k = 0; k < 3; k++) {
                close(ends[k].second);
                if (k != i) close(ends[k].first);
            }
            fcntl(ends[i].first, F_SETFL, O_NONBLOCK);
            return write_stream(ends[i].first, accounts[5 + i], seed + 5 + i);
        });
    }
    pids[count++] = spawn([&] {
        int epoll = MUST(epoll_create1(0)), open = 3;
        for (int i = 0; i < 3; i++) {
            close(ends[i].first);
            fcntl(ends[i].second, F_SETFL, O_NONBLOCK);
            epoll_event event = {EPOLLIN, {.u64 = (uint64_t)i}};
            MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[i].second, &event));
        }
        while (open > 0) {
            epoll_event events[3];
            int ready = epoll_wait(epoll, events, 3, -1);
            for (int k = 0; k < ready; k++) {
                int i = (int)events[k].data.u64;
                if (check_some(ends[i].second, accounts[5 + i], seed + 5 + i)) continue;
                // The parent may hold it open still, and epoll would go on to report it.
                MUST(epoll_ctl(epoll, EPOLL_CTL_DEL, ends[i].second, nullptr));
                close(ends[i].second);
                open--;
            }
        }
        return 0;
    });
    for (Ends& pair : ends) {
        close(pair.first);
        close(pair.second);
    }
    return count;
}

CASE_WITH_LIMIT(mixed_traffic_accounts_for_every_byte, is_long() ? 900 : 120) {
    const int sets = is_long() ? 15 : 2;  // 210 processes, or 28
    mix_end = is_long() ? monotonic_ms() + 600000 : 0;
    auto* accounts = shared<Account>(sets * kAccountsInSet);
    static pid_t pids[16 * kProcessesInSet];
    int count = 0;
    for (int set = 0; set < sets; set++) count += start_set(accounts + set * kAccountsInSet, 1000 * set + 17, pids + count);
    int good = 0;
    for (int i = 0; i < count; i++) good += wait_for(pids[i]) == 0;
    print("all processes ended well: %s\n", good == count && count == sets * kProcessesInSet ? "yes" : "no");
    int lost = 0, wrong = 0, silent = 0;
    for (int i = 0; i < sets * kAccountsInSet; i++) {
        lost += accounts[i].sent != accounts[i].received;
        wrong += accounts[i].wrong != 0;
        silent += accounts[i].sent == 0;
    }
    print("streams with lost bytes %d, with wrong bytes %d, without any %d\n", lost, wrong, silent);
}
