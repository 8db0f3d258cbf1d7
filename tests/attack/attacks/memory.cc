// Attacks by loads and stores, and by system calls that load and store for the attacker.
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <initializer_list>

#include "attack.h"

namespace {

using namespace attack;

volatile uint64_t* words_at(uint64_t address) { return reinterpret_cast<volatile uint64_t*>(address); }

// Where the victim's page is in the direct map of a machine with 64 MiB; 0 if it cannot be found. Faults where the
// kernel's memory is closed.
uint64_t find_secret() {
    for (uint64_t at = kDirectMap + (1 << 20); at < kDirectMap + (64 << 20); at += 4096) {
        volatile uint64_t* words = words_at(at);
        if (words[1] == secret_word(1) && words[77] == secret_word(77) && words[511] == secret_word(511)) return at;
    }
    return 0;
}

}  // namespace

ATTACK(read_direct_map) {
    if (find_secret()) breach("the victim's secret was read");
}

ATTACK(write_direct_map) {
    if (uint64_t at = find_secret()) {
        words_at(at)[3] = 0;
        breach("the victim's secret was changed");
    }
}

ATTACK(write_processor_page) {
    uint64_t value = words_at(kProcessorPage)[0];
    words_at(kProcessorPage)[0] = value;
    breach("the kernel's data of this processor was written");
}

ATTACK(read_kernel_image) {
    // The image's text is read-only for everybody: reading is the breach.
    (void)words_at(kernel_function("isounik_interrupt"))[0];
    breach("the kernel's image was read");
}

// In ring 3 WRPKRU is allowed: what protects the kernel must not be its key.
ATTACK(open_keys_in_ring3) {
    if (ring() != 3) return refused("not in ring 3");
    asm volatile("wrpkru" : : "a"(0), "c"(0), "d"(0) : "memory");
    if (find_secret()) breach("the victim's secret was read");
}

ATTACK(write_kernel_memory_out_by_call) {
    static const uint64_t kAddresses[] = {kDirectMap + 0x100000, kProcessorPage, kStubs, kIst1,
                                          0x7ffffffff000, 0x800000000000, ~uint64_t{7}};
    int memory = static_cast<int>(syscall(SYS_memfd_create, "out", 0));
    for (uint64_t address : kAddresses) {
        if (syscall(SYS_write, memory, address, 8) > 0) breach("write(2) read the kernel's memory");
    }
    // A signal mask that is taken from there can be asked for.
    uint64_t mask = 0;
    for (uint64_t address : {kDirectMap + 0x100000, kProcessorPage}) {
        if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, address, nullptr, 8) != 0) continue;
        if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, nullptr, &mask, 8) == 0) {
            breach("rt_sigprocmask read the kernel's memory");
        }
    }
    refused("EFAULT");
}

ATTACK(overwrite_kernel_memory_by_call) {
    // A word of this processor's page that is written on every entry: no harm if it works.
    int zero = open("/dev/zero", O_RDONLY);
    uint64_t scratch = kProcessorPage + 8;
    if (syscall(SYS_read, zero, scratch, 8) > 0) breach("read(2) wrote to the kernel's memory");
    if (syscall(SYS_rt_sigprocmask, 0, nullptr, scratch, 8) == 0) breach("rt_sigprocmask wrote to the kernel's memory");
    refused("EFAULT");
}

ATTACK(read_closed_key_by_call) {
    auto page = static_cast<char*>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    strcpy(page, "closed");
    int key = pkey_alloc(0, 0);
    if (key < 0 || pkey_mprotect(page, 4096, PROT_READ | PROT_WRITE, key) != 0) return breach("there are no keys");
    pkey_set(key, PKEY_DISABLE_ACCESS);
    int memory = static_cast<int>(syscall(SYS_memfd_create, "out", 0));
    if (write(memory, page, 6) > 0) breach("write(2) read memory that the program had closed");
    refused("EFAULT");
}
