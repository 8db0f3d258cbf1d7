// Every road by which memory becomes executable, or executable memory becomes writable. Each road is taken by a child
// of its own, which says what it got and in which ring it runs afterwards. tests/isolation/run knows what each model
// must answer.
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr size_t kPage = 4096;
// mov $42, %eax; ret
constexpr unsigned char kAnswer[] = {0xb8, 42, 0, 0, 0, 0xc3};

unsigned ring() {
    uint16_t cs;
    asm("mov %%cs, %0" : "=r"(cs));
    return cs & 3;
}

const char* error_name() {
    switch (errno) {
        case EACCES: return "EACCES";
        case EIO: return "EIO";
        case EFAULT: return "EFAULT";
        case EINVAL: return "EINVAL";
        case ENOMEM: return "ENOMEM";
        case ENOSYS: return "ENOSYS";
        default: return strerror(errno);
    }
}

int call(void* code) { return reinterpret_cast<int (*)()>(code)(); }

void say(const char* what) { printf("%s, ring %u\n", what, ring()); }
void say_error() { say(error_name()); }

// A page of code that this program may change: in its own text, away from everything that runs.
__attribute__((aligned(4096), noinline, section(".text.victim"))) int victim() {
    asm volatile(".fill 64, 1, 0x90");
    return 7;
}
void* victim_page() { return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(&victim) & ~(kPage - 1)); }

void use(void* code) {
    if (code == MAP_FAILED) return say_error();
    memcpy(code, kAnswer, sizeof kAnswer);
    printf("returns %d, ", call(code));
    say("done");
}

void anonymous_rwx() {
    use(mmap(nullptr, kPage, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}
void anonymous_rx() {
    void* page = mmap(nullptr, kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return say_error();
    say("mapped");
}
void* written_page() {
    void* page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(page, kAnswer, sizeof kAnswer);
    return page;
}
void run_or_say(int result, void* code) {
    if (result != 0) return say_error();
    printf("returns %d, ", call(code));
    say("done");
}
void mprotect_rx() {
    void* page = written_page();
    run_or_say(mprotect(page, kPage, PROT_READ | PROT_EXEC), page);
}
void mprotect_x_only() {
    void* page = written_page();
    run_or_say(mprotect(page, kPage, PROT_EXEC), page);
}
void pkey_mprotect_rx() {
    void* page = written_page();
    run_or_say(static_cast<int>(syscall(SYS_pkey_mprotect, page, kPage, PROT_READ | PROT_EXEC, -1)), page);
}
void heap_rx() {
    void* old = sbrk(2 * static_cast<intptr_t>(kPage));
    auto page = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(old) + kPage - 1) & ~(kPage - 1));
    memcpy(page, kAnswer, sizeof kAnswer);
    run_or_say(mprotect(page, kPage, PROT_READ | PROT_WRITE | PROT_EXEC), page);
}
void stack_rwx() {
    alignas(4096) unsigned char code[kPage];
    memcpy(code, kAnswer, sizeof kAnswer);
    run_or_say(mprotect(code, kPage, PROT_READ | PROT_WRITE | PROT_EXEC | PROT_GROWSDOWN), code);
}
void shared_anonymous() {
    use(mmap(nullptr, kPage, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}
int code_memfd() {
    int fd = memfd_create("code", 0);
    if (ftruncate(fd, kPage) != 0 || pwrite(fd, kAnswer, sizeof kAnswer, 0) != sizeof kAnswer) _exit(9);
    return fd;
}
void memfd_alias() {
    int fd = code_memfd();
    void* writable = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    void* code = mmap(nullptr, kPage, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    if (code == MAP_FAILED) return say_error();
    static_cast<unsigned char*>(writable)[1] = 43;
    printf("returns %d, ", call(code));
    say("done");
}
void memfd_private() {
    void* code = mmap(nullptr, kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE, code_memfd(), 0);
    run_or_say(code == MAP_FAILED ? -1 : 0, code);
}
void shm_exec() {
    int id = shmget(IPC_PRIVATE, kPage, 0700);
    void* page = shmat(id, nullptr, SHM_EXEC);
    shmctl(id, IPC_RMID, nullptr);
    if (page == reinterpret_cast<void*>(-1)) return say_error();
    use(page);
}
void text_writable() {
    if (mprotect(victim_page(), kPage, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) return say_error();
    memcpy(reinterpret_cast<void*>(&victim), kAnswer, sizeof kAnswer);
    printf("returns %d, ", victim());
    say("done");
}
// Away from execution and back without a change: the same inspected text.
void text_there_and_back() {
    if (mprotect(victim_page(), kPage, PROT_READ | PROT_WRITE) != 0) return say_error();
    if (mprotect(victim_page(), kPage, PROT_READ | PROT_EXEC) != 0) return say_error();
    printf("returns %d, ", victim());
    say("done");
}
void text_modified_and_back() {
    if (mprotect(victim_page(), kPage, PROT_READ | PROT_WRITE) != 0) return say_error();
    memcpy(reinterpret_cast<void*>(&victim), kAnswer, sizeof kAnswer);
    if (mprotect(victim_page(), kPage, PROT_READ | PROT_EXEC) != 0) return say_error();
    printf("returns %d, ", victim());
    say("done");
}
void text_grown() {
    void* moved = mremap(victim_page(), kPage, 2 * kPage, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED) return say_error();
    say("grown");
}
void text_moved() {
    void* place = mmap(nullptr, kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    auto offset = reinterpret_cast<uintptr_t>(&victim) & (kPage - 1);
    void* moved = mremap(victim_page(), kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, place);
    if (moved == MAP_FAILED) return say_error();
    printf("returns %d, ", call(static_cast<char*>(moved) + offset));
    say("moved");
}
void through_proc_mem() {
    int fd = open("/proc/self/mem", O_RDWR);
    ssize_t done = pwrite(fd, kAnswer, sizeof kAnswer, static_cast<off_t>(reinterpret_cast<uintptr_t>(&victim)));
    if (done < 0) {
        printf("returns %d, ", victim());
        return say_error();
    }
    printf("returns %d, ", victim());
    say("written");
}
void through_process_vm_writev() {
    iovec from{const_cast<unsigned char*>(kAnswer), sizeof kAnswer};
    iovec to{reinterpret_cast<void*>(&victim), sizeof kAnswer};
    if (process_vm_writev(getpid(), &from, 1, &to, 1, 0) >= 0) return say("written");
    // EFAULT, as on Linux, or ENOSYS where there is no such call.
    printf("returns %d, ", victim());
    say("refused");
}

// A copy of this program in /tmp, and where in it victim() stands.
off_t copy_of_program(int& fd) {
    int from = open("/proc/self/exe", O_RDONLY);
    fd = open("/tmp/copy", O_RDWR | O_CREAT | O_TRUNC, 0755);
    char buffer[kPage];
    for (ssize_t n; (n = read(from, buffer, sizeof buffer)) > 0;) {
        if (write(fd, buffer, static_cast<size_t>(n)) != n) _exit(9);
    }
    Elf64_Ehdr header;
    if (pread(fd, &header, sizeof header, 0) != sizeof header) _exit(9);
    uintptr_t at = reinterpret_cast<uintptr_t>(&victim);
    for (int i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        if (pread(fd, &segment, sizeof segment, static_cast<off_t>(header.e_phoff) + i * 56) != sizeof segment) _exit(9);
        if (segment.p_type == PT_LOAD && at >= segment.p_vaddr && at < segment.p_vaddr + segment.p_filesz) {
            return static_cast<off_t>(at - segment.p_vaddr + segment.p_offset);
        }
    }
    _exit(9);
}
// A private mapping of a file that is written after it was mapped, through a descriptor and a shared mapping.
void file_changed_after_mapping() {
    int fd;
    off_t at = copy_of_program(fd), page = at & ~static_cast<off_t>(kPage - 1);
    void* code = mmap(nullptr, kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, page);
    if (code == MAP_FAILED) return say_error();
    void* entry = static_cast<char*>(code) + (at - page);
    int before = call(entry);
    if (pwrite(fd, kAnswer, sizeof kAnswer, at) != sizeof kAnswer) _exit(9);
    char* alias = static_cast<char*>(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, page));
    alias[(at - page) + 1] = 44;
    // In ring 3 a private mapping shows what the file holds, as on Linux.
    bool changed = call(entry) != before;
    printf("%s, ", before == 7 ? (changed ? "changed" : "kept") : "wrong from the start");
    // The next mapping is inspected anew.
    void* again = mmap(nullptr, kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, page);
    if (again == MAP_FAILED) return say_error();
    printf("then %d, ", call(static_cast<char*>(again) + (at - page)));
    say("done");
}
void file_shared_exec() {
    int fd;
    off_t at = copy_of_program(fd), page = at & ~static_cast<off_t>(kPage - 1);
    void* code = mmap(nullptr, kPage, PROT_READ | PROT_EXEC, MAP_SHARED, fd, page);
    if (code == MAP_FAILED) return say_error();
    printf("returns %d, ", call(static_cast<char*>(code) + (at - page)));
    say("done");
}
void file_headers_exec() {
    void* code = mmap(nullptr, kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE, open("/proc/self/exe", O_RDONLY), 0);
    if (code == MAP_FAILED) return say_error();
    say("mapped");
}
void file_read_then_exec() {
    int fd;
    off_t at = copy_of_program(fd), page = at & ~static_cast<off_t>(kPage - 1);
    char* code = static_cast<char*>(mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, fd, page));
    unsigned char first = static_cast<unsigned char>(code[at - page]);
    if (mprotect(code, kPage, PROT_READ | PROT_EXEC) != 0) return say_error();
    printf("%s, returns %d, ", first != 0 ? "read" : "empty", call(code + (at - page)));
    say("done");
}
// fork gives the child the model that the parent has by then; exec chooses again.
void fork_and_exec_after() {
    anonymous_rwx();
    fflush(stdout);
    if (fork() == 0) {
        say("child");
        _exit(fflush(stdout));
    }
    wait(nullptr);
    if (fork() == 0) {
        execl("/proc/self/exe", "roads", "ring", nullptr);
        _exit(9);
    }
    wait(nullptr);
}

struct Road {
    const char* name;
    void (*take)();
};
constexpr Road kRoads[] = {
    {"anonymous rwx", anonymous_rwx},
    {"anonymous rx", anonymous_rx},
    {"mprotect rx", mprotect_rx},
    {"mprotect x", mprotect_x_only},
    {"pkey_mprotect rx", pkey_mprotect_rx},
    {"heap rwx", heap_rx},
    {"stack rwx", stack_rwx},
    {"shared anonymous rwx", shared_anonymous},
    {"memfd, two mappings", memfd_alias},
    {"memfd, private", memfd_private},
    {"shmat SHM_EXEC", shm_exec},
    {"text made writable", text_writable},
    {"text there and back", text_there_and_back},
    {"text modified and back", text_modified_and_back},
    {"text grown", text_grown},
    {"text moved", text_moved},
    {"/proc/self/mem", through_proc_mem},
    {"process_vm_writev", through_process_vm_writev},
    {"file changed after mapping", file_changed_after_mapping},
    {"file, shared rx", file_shared_exec},
    {"file, pages that are no code", file_headers_exec},
    {"file, read then rx", file_read_then_exec},
    {"fork and exec after", fork_and_exec_after},
};

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1 && strcmp(argv[1], "ring") == 0) {
        say("executed");
        return 0;
    }
    for (const Road& road : kRoads) {
        printf("%s: ", road.name);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            road.take();
            fflush(stdout);
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        if (status != 0) printf("status %x\n", status);
    }
    // What the kernel says of this process, and whether it entered the kernel as anything but that.
    char line[256];
    FILE* file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file)) {
        unsigned long mpk, ring3, none;
        if (strncmp(line, "Isolation:", 10) == 0) fputs(line, stdout);
        if (sscanf(line, "Isolation-entries: mpk %lu ring3 %lu none %lu", &mpk, &ring3, &none) == 3) {
            printf("entered as%s%s%s\n", mpk > 20 ? " mpk" : "", ring3 > 20 ? " ring3" : "", none > 20 ? " none" : "");
            if ((mpk && mpk <= 20) || (ring3 && ring3 <= 20) || (none && none <= 20)) printf("some few: %s", line);
        }
    }
    fflush(stdout);
    if (fork() == 0) {
        execl("/bin/jit_threads", "jit_threads", nullptr);
        _exit(9);
    }
    wait(nullptr);
    return 0;
}
