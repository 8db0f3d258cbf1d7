// Attacks that change code after it was inspected, or make code where none was inspected.
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

#include "attack.h"

namespace {

using namespace attack;

constexpr size_t kPage = 4096;
// mov %cr3, %rax; ret: works in ring 0 only. As numbers, so that this program holds no such bytes itself.
constexpr unsigned char kReadCr3[] = {0x0f, 0x20, 0xd8, 0xc3};

// A page of code that nobody else needs.
__attribute__((aligned(4096), noinline, section(".text.target"))) long target() {
    asm volatile(".fill 64, 1, 0x90");
    return 7;
}
char* target_page() { return reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(&target) & ~(kPage - 1)); }

using Code = long (*)();

// Calls what the attack has made; a breach if that read CR3.
void call(void* code, const char* what) {
    static volatile long result;
    int signal = attempt([&] { result = reinterpret_cast<Code>(code)(); });
    if (signal != 0) return refused("the instruction got a signal");
    if (result == 7) return refused("the code is what it was");
    breach(what);
}

// A copy of this program in /tmp; `offset`: of target() in it.
int copy_of_program(off_t& offset) {
    int from = open("/proc/self/exe", O_RDONLY), to = open("/tmp/copy", O_RDWR | O_CREAT | O_TRUNC, 0755);
    char buffer[kPage];
    for (ssize_t n; (n = read(from, buffer, sizeof buffer)) > 0;) {
        if (write(to, buffer, static_cast<size_t>(n)) != n) _exit(9);
    }
    close(from);
    Elf64_Ehdr header;
    if (pread(to, &header, sizeof header, 0) != sizeof header) _exit(9);
    auto address = reinterpret_cast<uintptr_t>(&target);
    for (int i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr part;
        off_t at = static_cast<off_t>(header.e_phoff + static_cast<unsigned>(i) * sizeof part);
        if (pread(to, &part, sizeof part, at) != sizeof part) _exit(9);
        if (part.p_type != PT_LOAD || address < part.p_vaddr || address >= part.p_vaddr + part.p_filesz) continue;
        offset = static_cast<off_t>(address - part.p_vaddr + part.p_offset);
        return to;
    }
    _exit(9);
}

}  // namespace

ATTACK(make_own_code_writable) {
    if (mprotect(target_page(), kPage, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) return refused("EACCES");
    memcpy(reinterpret_cast<void*>(&target), kReadCr3, sizeof kReadCr3);
    call(reinterpret_cast<void*>(&target), "code that was changed in place was executed in ring 0");
}

ATTACK(map_code_writable) {
    off_t at;
    int file = copy_of_program(at);
    off_t page = at & ~static_cast<off_t>(kPage - 1);
    void* code = mmap(nullptr, kPage, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, file, page);
    if (code == MAP_FAILED) return refused("EACCES");
    char* entry = static_cast<char*>(code) + (at - page);
    memcpy(entry, kReadCr3, sizeof kReadCr3);
    call(entry, "code that was changed in a writable mapping was executed in ring 0");
}

// The file of a mapping that was inspected is written through its descriptor, and through a shared mapping.
ATTACK(write_file_of_code) {
    off_t at;
    int file = copy_of_program(at);
    off_t page = at & ~static_cast<off_t>(kPage - 1);
    void* code = mmap(nullptr, kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, page);
    if (code == MAP_FAILED) return refused("EACCES");
    if (pwrite(file, kReadCr3, sizeof kReadCr3, at) != sizeof kReadCr3) return refused("the file is not written");
    call(static_cast<char*>(code) + (at - page), "code that was written to its file was executed in ring 0");
}

ATTACK(write_alias_of_code) {
    off_t at;
    int file = copy_of_program(at);
    off_t page = at & ~static_cast<off_t>(kPage - 1);
    void* alias = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, page);
    void* code = mmap(nullptr, kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, page);
    if (alias == MAP_FAILED || code == MAP_FAILED) return refused("EACCES");
    memcpy(static_cast<char*>(alias) + (at - page), kReadCr3, sizeof kReadCr3);
    call(static_cast<char*>(code) + (at - page), "code that was written through an alias was executed in ring 0");
}

ATTACK(write_code_by_proc_mem) {
    int memory = open("/proc/self/mem", O_RDWR);
    auto at = static_cast<off_t>(reinterpret_cast<uintptr_t>(&target));
    if (pwrite(memory, kReadCr3, sizeof kReadCr3, at) < 0) return refused("EIO");
    call(reinterpret_cast<void*>(&target), "code that was written by /proc/self/mem was executed in ring 0");
}

namespace {

std::atomic<Code> fresh_code{nullptr};
std::atomic<bool> waiting{false};

void* wait_for_code(void*) {
    int signal = attempt([] {
        waiting = true;
        while (!fresh_code.load(std::memory_order_relaxed)) {}
        fresh_code.load()();
    });
    if (signal == 0) breach("another processor executed code made at run time in ring 0");
    else refused("the thread was in ring 3 by then");
    return nullptr;
}

}  // namespace

// A thread that runs in ring 0 on another processor, when this one is given memory for code.
ATTACK(make_code_beside_a_running_thread) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, wait_for_code, nullptr) != 0) _exit(9);
    while (!waiting) {}
    void* page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return refused("EACCES");
    memcpy(page, kReadCr3, sizeof kReadCr3);
    fresh_code = reinterpret_cast<Code>(page);
    pthread_join(thread, nullptr);
}
