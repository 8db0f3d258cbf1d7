// 2 MiB pages: that they are given where a program wants them, and that nothing else shows whether they are.
#include <setjmp.h>
#include <sys/prctl.h>

#include "case.h"

static const size_t kPage = 4096, kHuge = 512 * kPage;

// `count` * 2 MiB, aligned, between pages of other mappings.
static char* map_huge(size_t count, int advice = MADV_HUGEPAGE) {
    char* area = (char*)MUST(mmap(nullptr, (count + 2) * kHuge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    char* memory = (char*)(((uintptr_t)area + kHuge - 1 + kPage) & ~(kHuge - 1));
    MUST(mmap(memory, count * kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    MUST(madvise(memory, count * kHuge, advice));
    return memory;
}

static uint64_t& word(char* memory, size_t page) { return *(uint64_t*)(memory + page * kPage + 8 * (page % 500)); }
static void fill(char* memory, size_t pages, uint64_t salt) {
    for (size_t page = 0; page < pages; page++) word(memory, page) = page * 0x9e3779b97f4a7c15 ^ salt;
}
static size_t count_right(char* memory, size_t first, size_t end, uint64_t salt) {
    size_t right = 0;
    for (size_t page = first; page < end; page++) right += word(memory, page) == (page * 0x9e3779b97f4a7c15 ^ salt);
    return right;
}
static size_t count_zero(char* memory, size_t first, size_t end) {
    size_t zero = 0;
    for (size_t page = first; page < end; page++) zero += word(memory, page) == 0;
    return zero;
}

static sigjmp_buf escape;
static const char* probe(volatile char* address, bool write) {
    struct sigaction action = {};
    action.sa_handler = [](int signal) { siglongjmp(escape, signal); };
    sigaction(SIGSEGV, &action, nullptr);
    int signal = sigsetjmp(escape, 1);
    if (signal) return signal_name(signal);
    char value = *address;
    if (write) *address = value;
    return "ok";
}

// AnonHugePages of the mappings that lie in the range, in kB.
static long huge_kilobytes(char* start, size_t size) {
    FILE* file = fopen("/proc/self/smaps", "r");
    if (!file) return -1;
    char line[512];
    long sum = 0, value;
    unsigned long from = 0, to = 0;
    while (fgets(line, sizeof line, file)) {
        unsigned long first, end;
        if (sscanf(line, "%lx-%lx ", &first, &end) == 2) {
            from = first, to = end;
            continue;
        }
        bool inside = from >= (uintptr_t)start && to <= (uintptr_t)start + size;
        if (inside && sscanf(line, "AnonHugePages: %ld", &value) == 1) sum += value;
    }
    fclose(file);
    return sum;
}

// Linux on a machine of less than 512 MiB gives none, and says so.
static bool gives_huge_pages() {
    char text[64] = {};
    int file = MUST(open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY));
    MUST(read(file, text, sizeof text - 1));
    close(file);
    return !strstr(text, "[never]");
}

// So many kB of huge pages, or none on a system without.
static void show_huge(const char* what, char* start, size_t size, long kilobytes) {
    long wanted = gives_huge_pages() ? kilobytes : 0, have = huge_kilobytes(start, size);
    if (have == wanted) print("%s: as wanted\n", what);
    else print("%s: %ld kB instead of %ld kB\n", what, have, wanted);
}

CASE(huge_pages_are_given_where_wanted) {
    COVERS(madvise);
    char* memory = map_huge(3);
    show_huge("before", memory, 3 * kHuge, 0);
    memory[5 * kPage] = 1;
    memory[kHuge + 9] = 1;
    show_huge("two of three touched", memory, 3 * kHuge, 4096);
    char* other = map_huge(2, MADV_NOHUGEPAGE);
    memset(other, 1, 2 * kHuge);
    show_huge("not wanted", other, 2 * kHuge, 0);
    SHOW(madvise(memory, kHuge, MADV_DONTNEED));
    show_huge("one given back", memory, 3 * kHuge, 2048);
    SHOW(munmap(memory + kHuge, 2 * kHuge));
    show_huge("all gone", memory, 3 * kHuge, 0);
    SHOW(madvise(memory + kHuge, kPage, MADV_HUGEPAGE));
}

HELPER(ask_thp) {
    print("after exec: %d\n", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    return 0;
}

CASE(a_process_does_without) {
    COVERS(prctl);
    SHOW(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    SHOW(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
    SHOW(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    char* memory = map_huge(1);
    memset(memory, 1, kHuge);
    show_huge("disabled", memory, kHuge, 0);
    show_child("child", [] { return prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0); });
    show_child("exec", [] { return execl(self_path(), self_path(), "--helper", "ask_thp", nullptr); });
    SHOW(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
    SHOW(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    MUST(madvise(memory, kHuge, MADV_DONTNEED));
    memory[0] = 1;
    show_huge("enabled", memory, kHuge, 2048);
    SHOW(prctl(PR_SET_THP_DISABLE, 1, 0, 1, 0));
    SHOW(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 1));
}

CASE(changes_of_a_part) {
    COVERS(munmap, mprotect, mremap, madvise, mincore);
    char* memory = map_huge(4);
    fill(memory, 4 * 512, 1);
    SHOW(munmap(memory + 100 * kPage, 50 * kPage));
    print("hole: %s, before: %s, after: %s\n", probe(memory + 100 * kPage, false), probe(memory + 99 * kPage, true),
          probe(memory + 150 * kPage, true));
    print("right: %zu\n", count_right(memory, 0, 100, 1) + count_right(memory, 150, 2048, 1));
    char* second = memory + kHuge;
    SHOW(mprotect(second + 10 * kPage, kPage, PROT_READ));
    print("read: %s, write: %s, beside: %s\n", probe(second + 10 * kPage, false), probe(second + 10 * kPage, true),
          probe(second + 11 * kPage, true));
    SHOW(mprotect(second, kHuge, PROT_NONE));
    print("none: %s\n", probe(second + 400 * kPage, false));
    SHOW(mprotect(second, kHuge, PROT_READ | PROT_WRITE));
    print("right: %zu\n", count_right(memory, 512, 1024, 1));
    char* third = memory + 2 * kHuge;
    SHOW(madvise(third + 500 * kPage, 20 * kPage, MADV_DONTNEED));
    print("zero: %zu, right: %zu\n", count_zero(memory, 1524, 1544),
          count_right(memory, 1024, 1524, 1) + count_right(memory, 1544, 2048, 1));
    unsigned char resident[4];
    SHOW(mincore(third + 498 * kPage, 4 * kPage, resident));
    print("in memory: %d %d\n", resident[0] & 1, resident[1] & 1);
    char* place = map_huge(2, MADV_NORMAL) + 3 * kPage;
    SHOW(mremap(third, 500 * kPage, 500 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
    size_t right = 0;
    for (size_t page = 1024; page < 1524; page++)
        right += *(uint64_t*)(place + (page - 1024) * kPage + 8 * (page % 500)) == (page * 0x9e3779b97f4a7c15 ^ 1);
    print("moved: %zu, left behind: %s\n", right, probe(third, false));
    SHOW(munmap(memory, 4 * kHuge));
}

CASE(fork_and_writes_from_both_sides) {
    COVERS(fork, madvise);
    char* memory = map_huge(4);
    fill(memory, 4 * 512, 2);
    SHOW(madvise(memory + 3 * kHuge + 10 * kPage, kPage, MADV_DONTFORK));
    SHOW(madvise(memory + 3 * kHuge + 20 * kPage, kPage, MADV_WIPEONFORK));
    Turn parent, child;
    pid_t pid = spawn([&] {
        print("child sees: %zu\n", count_right(memory, 0, 3 * 512, 2));
        print("not inherited: %s, wiped: %zu, kept: %zu\n", probe(memory + (1536 + 10) * kPage, false),
              count_zero(memory, 1556, 1557), count_right(memory, 1557, 2048, 2));
        parent.signal();
        child.wait();
        print("child still sees: %zu\n", count_right(memory, 0, 3 * 512, 2));
        fill(memory, 512, 3);
        for (size_t page = 512; page < 1024; page += 7) word(memory, page) = 5;
        show_child("grandchild", [&] {
            size_t right = count_right(memory, 0, 512, 3);
            fill(memory, 1024, 4);
            return right == 512 && count_right(memory, 0, 1024, 4) == 1024 ? 0 : 1;
        });
        print("child: %zu\n", count_right(memory, 0, 512, 3));
        parent.signal();
        child.wait();
        return count_right(memory, 1024, 1536, 2) == 512 ? 0 : 1;
    });
    parent.wait();
    for (size_t page = 0; page < 1024; page += 5) word(memory, page) = 6;
    child.signal();
    parent.wait();
    size_t sixes = 0;
    for (size_t page = 0; page < 1024; page += 5) sixes += word(memory, page) == 6;
    print("parent: %zu own, %zu old\n", sixes, count_right(memory, 0, 2048, 2));
    MUST(madvise(memory + 2 * kHuge, kHuge, MADV_DONTNEED));
    child.signal();
    print("child: %s\n", decode_status(wait_for(pid)));
    fill(memory, 2048, 7);
    print("right: %zu\n", count_right(memory, 0, 2048, 7));
}

CASE(the_kernel_reads_and_writes_them) {
    COVERS(read, write, pread64, pwrite64);
    char* memory = map_huge(2);
    fill(memory, 1024, 8);
    int pipes[2];
    MUST(pipe(pipes));
    // Across the boundary of two of them, and into one that nobody has touched.
    SHOW(write(pipes[1], memory + kHuge - 2000, 4000));
    char* target = map_huge(1);
    SHOW(read(pipes[0], target + 100, 4000));
    CHECK(memcmp(memory + kHuge - 2000, target + 100, 4000) == 0);
    int self = MUST(open("/proc/self/mem", O_RDWR));
    SHOW(pread(self, target + 10 * kPage, 2 * kPage, (off_t)(uintptr_t)(memory + kHuge - kPage)));
    CHECK(memcmp(memory + kHuge - kPage, target + 10 * kPage, 2 * kPage) == 0);
    SHOW(pwrite(self, "abc", 3, (off_t)(uintptr_t)(target + 300 * kPage)));
    CHECK(memcmp(target + 300 * kPage, "abc", 4) == 0);
    // A child writes into its parent's memory, which it shares.
    show_child("child", [&] {
        SHOW(pwrite(self, "xyz", 3, (off_t)(uintptr_t)(target + 300 * kPage)));
        return memcmp(target + 300 * kPage, "abc", 4);
    });
    CHECK(memcmp(target + 300 * kPage, "xyz", 4) == 0);
}
