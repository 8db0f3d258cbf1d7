// Random numbers of the processor: RDSEED and RDRAND (SDM vol. 1, 7.3.17).
#include "drivers/entropy_kernel.h"

#include <cstring>

#include "arch/x86_64/registers.h"

namespace drivers {
namespace {

// SAFETY: the callers have looked at CPUID; both instructions write their operand and CF only.
bool rdseed(uint64_t& value) {
    bool good;
    asm volatile("rdseed %0" : "=r"(value), "=@ccc"(good));
    return good;
}
bool rdrand(uint64_t& value) {
    bool good;
    asm volatile("rdrand %0" : "=r"(value), "=@ccc"(good));
    return good;
}

}  // namespace

bool processor_entropy(std::span<std::byte> destination) {
    bool has_seed = arch::cpuid(0).eax >= 7 && (arch::cpuid(7).ebx & (1u << 18));
    bool has_random = arch::cpuid(1).ecx & (1u << 30);
    if (!has_seed && !has_random) return false;
    for (size_t done = 0; done < destination.size();) {
        uint64_t value = 0;
        bool good = false;
        // The manual's advice: try ten times, then give up (SDM vol. 1, 7.3.17.1).
        for (unsigned i = 0; i < 10 && !good; i++) good = has_seed && rdseed(value);
        for (unsigned i = 0; i < 10 && !good; i++) good = has_random && rdrand(value);
        if (!good) return false;
        size_t part = destination.size() - done < sizeof(value) ? destination.size() - done : sizeof(value);
        std::memcpy(destination.data() + done, &value, part);
        done += part;
    }
    return true;
}

}  // namespace drivers
