// The kernel's count of entries is right at any moment, also for a thread that runs on another processor and has not
// left it since: that thread makes calls, and then waits without one for the first to look.
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

namespace {

constexpr unsigned kCalls = 20'000;
std::atomic<bool> done{false}, looked{false};

unsigned long entries() {
    char line[256];
    unsigned long mpk = 0, ring3 = 0, none = 0;
    FILE* file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "Isolation-entries: mpk %lu ring3 %lu none %lu", &mpk, &ring3, &none) == 3) break;
    }
    if (file) fclose(file);
    return mpk + ring3 + none;
}

void* calls(void*) {
    for (unsigned i = 0; i < kCalls; i++) syscall(SYS_getppid);
    done = true;
    while (!looked) {}
    return nullptr;
}

}  // namespace

int main() {
    unsigned long before = entries();
    pthread_t thread;
    pthread_create(&thread, nullptr, calls, nullptr);
    while (!done) {}
    unsigned long after = entries();
    looked = true;
    pthread_join(thread, nullptr);
    // What the two need to start, and interrupts.
    constexpr unsigned kMore = 2'000;
    bool right = after - before >= kCalls && after - before < kCalls + kMore;
    printf("entries of a running thread: %s\n", right ? "counted" : "wrong");
    if (!right) printf("%lu instead of %u\n", after - before, kCalls);
    return 0;
}
