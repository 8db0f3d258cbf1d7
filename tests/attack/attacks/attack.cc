#include "attack.h"

#include <poll.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <initializer_list>

namespace attack {

namespace {

Attack* attacks;

// Shared by keeper and attacker.
struct Report {
    const char* volatile breach;
    const char* volatile refused;
};
Report* report;

int to_victim[2], from_victim[2];
constexpr int kLimitS = 60;

[[noreturn]] void victim() {
    auto secret = static_cast<volatile uint64_t*>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (unsigned i = 0; i < kSecretWords; i++) secret[i] = secret_word(i);
    char byte = 'r';
    (void)!write(from_victim[1], &byte, 1);
    while (read(to_victim[0], &byte, 1) == 1) {
        bool whole = true;
        for (unsigned i = 0; i < kSecretWords; i++) whole = whole && secret[i] == secret_word(i);
        byte = whole ? 'y' : 'n';
        if (write(from_victim[1], &byte, 1) != 1) break;
    }
    _exit(0);
}

char ask_victim() {
    char byte = '?';
    if (write(to_victim[1], &byte, 1) != 1) return 's';
    pollfd answer{from_victim[0], POLLIN, 0};
    if (poll(&answer, 1, kLimitS * 1000) != 1 || read(from_victim[0], &byte, 1) != 1) return 's';
    return byte;
}

void pass_a_moment() {
    timespec moment{0, 2'000'000};
    nanosleep(&moment, nullptr);
}

void run(const Attack& attack) {
    report->breach = nullptr;
    report->refused = nullptr;
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        alarm(kLimitS);
        attack.run();
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    kill(-pid, SIGKILL);
    if (WIFSIGNALED(status)) printf("%s: attacker: killed by %s\n", attack.name, sigabbrev_np(WTERMSIG(status)));
    else printf("%s: attacker: exit %d\n", attack.name, WEXITSTATUS(status));
    if (report->refused) printf("%s: refused: %s\n", attack.name, report->refused);
    if (report->breach) printf("%s: breach: %s\n", attack.name, report->breach);
    else printf("%s: breach: none\n", attack.name);
    char answer = ask_victim();
    printf("%s: victim: %s\n", attack.name, answer == 'y' ? "whole" : answer == 'n' ? "damaged" : "silent");
    pass_a_moment();
    printf("%s: machine: alive\n", attack.name);
}

thread_local sigjmp_buf back;

void on_fault(int signal, siginfo_t* info, void* context) {
    auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    fault = {signal, info->si_code, reinterpret_cast<uint64_t>(info->si_addr),
             static_cast<uint64_t>(registers[REG_RIP]), static_cast<uint64_t>(registers[REG_EFL])};
    siglongjmp(back, 1);
}

}  // namespace

Attack::Attack(const char* attack, void (*body)()) : name(attack), run(body), next(attacks) { attacks = this; }

thread_local Fault fault;

void breach(const char* what) { report->breach = what; }
void refused(const char* how) { report->refused = how; }

int attempt(void (*body)(void* context), void* context) {
    thread_local bool ready = false;
    if (!ready) {
        ready = true;
        stack_t alternate{};
        alternate.ss_size = 64 << 10;
        alternate.ss_sp = mmap(nullptr, alternate.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        sigaltstack(&alternate, nullptr);
        struct sigaction action{};
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE}) sigaction(signal, &action, nullptr);
    }
    fault = {};
    if (sigsetjmp(back, 1) == 0) body(context);
    return fault.signal;
}

bool can_read(uint64_t address) {
    return attempt([&] { (void)*reinterpret_cast<volatile uint64_t*>(address); }) == 0;
}

void for_each_kernel_function(void (*visit)(uint64_t address, const char* name)) {
    FILE* file = fopen("/kernel.functions", "r");
    unsigned long long address;
    static char name[4096];
    while (file && fscanf(file, "%llx %4095s", &address, name) == 2) visit(address, name);
    if (file) fclose(file);
}

uint64_t kernel_function(const char* wanted) {
    static const char* looked_for;
    static uint64_t found;
    looked_for = wanted;
    found = 0;
    for_each_kernel_function([](uint64_t address, const char* name) {
        if (strcmp(name, looked_for) == 0) found = address;
    });
    return found;
}

}  // namespace attack

int main(int argc, char** argv) {
    using namespace attack;
    setvbuf(stdout, nullptr, _IOLBF, 0);
    report = static_cast<Report*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    if (pipe(to_victim) != 0 || pipe(from_victim) != 0) return 2;
    if (fork() == 0) victim();
    char ready;
    (void)!read(from_victim[0], &ready, 1);
    printf("ring %u\n", ring());
    for (int i = 1; i < argc; i++) {
        const Attack* found = nullptr;
        for (const Attack* known = attacks; known; known = known->next) {
            if (strcmp(known->name, argv[i]) == 0) found = known;
        }
        if (!found) {
            printf("%s: there is no such attack\n", argv[i]);
            return 2;
        }
        run(*found);
    }
    return 0;
}
