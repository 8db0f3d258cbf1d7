#include <atomic>
#include <cstring>

#include "arch/x86_64/armed.h"
#include "arch/x86_64/registers.h"
#include "drivers/kvmclock.h"
#include "mm/frames.h"

namespace drivers {
namespace {

// CPUID leaves and MSRs (cpuid.rst, msr.rst).
constexpr uint32_t kSignatureLeaf = 0x4000'0000, kFeatureLeaf = 0x4000'0001, kTimingLeaf = 0x4000'0010;
constexpr uint32_t kFeatureClock2 = 1 << 3;
constexpr uint32_t kMsrWallClock = 0x4b56'4d00, kMsrSystemTime = 0x4b56'4d01;

struct WallClock {
    uint32_t version;
    uint32_t seconds;
    uint32_t nanoseconds;
};

// The hypervisor writes here; a frame of its own, so that nothing shares the cache lines.
struct Page {
    PvClock clock;
    WallClock wall;
};

// KVM's leaves, if its signature is there ("KVMKVMKVM\0\0\0"). The maximum leaf, or 0.
uint32_t kvm_maximum_leaf() {
    constexpr uint32_t kHypervisorPresent = 1u << 31;
    if (!(arch::cpuid(1).ecx & kHypervisorPresent)) return 0;
    auto leaf = arch::cpuid(kSignatureLeaf);
    char signature[12];
    std::memcpy(signature, &leaf.ebx, 4);
    std::memcpy(signature + 4, &leaf.ecx, 4);
    std::memcpy(signature + 8, &leaf.edx, 4);
    if (std::memcmp(signature, "KVMKVMKVM\0\0\0", 12) != 0) return 0;
    return leaf.eax == 0 ? kFeatureLeaf : leaf.eax;  // old hosts say 0
}

bool clock_offered() { return kvm_maximum_leaf() >= kFeatureLeaf && (arch::cpuid(kFeatureLeaf).eax & kFeatureClock2); }

// A consistent copy: the version is odd while the hypervisor writes (msr.rst).
template <typename T>
Result<T> read_stable(const volatile T& shared) {
    for (unsigned i = 0; i < 1'000'000; i++) {
        uint32_t before = shared.version;
        std::atomic_thread_fence(std::memory_order_acquire);
        T copy;
        std::memcpy(&copy, const_cast<const T*>(&shared), sizeof(T));
        std::atomic_thread_fence(std::memory_order_acquire);
        if (!(before & 1) && before == shared.version && before != 0) return copy;
    }
    return fail(Errno::kNoDev);
}

// Lets the hypervisor fill a page once and takes it back.
Result<Page> sample() {
    if (!clock_offered()) return fail(Errno::kNoDev);
    Pfn frame = TRY(mm::allocate_frame(mm::Fill::kZeroed, mm::Frame::State::kKernel));
    auto* page = static_cast<Page*>(mm::to_pointer(frame));
    arch::write_msr(kMsrSystemTime, frame.address().value() | 1);
    arch::write_msr(kMsrWallClock, frame.address().value() + offsetof(Page, wall));
    auto clock = read_stable(page->clock);
    auto wall = read_stable(page->wall);
    arch::write_msr(kMsrSystemTime, 0);
    mm::free_frame(frame);
    return Page{TRY(clock), TRY(wall)};
}

}  // namespace

Result<uint64_t> kvmclock_tsc_khz() {
    if (kvm_maximum_leaf() >= kTimingLeaf) {
        if (uint32_t khz = arch::cpuid(kTimingLeaf).eax) return khz;
    }
    return pvclock_tsc_khz(TRY(sample()).clock);
}

Result<Nanoseconds> kvmclock_wall_time() {
    Page page = TRY(sample());
    Nanoseconds since_boot = TRY(pvclock_to_ns(page.clock, arch::read_tsc()));
    return uint64_t{page.wall.seconds} * 1'000'000'000 + page.wall.nanoseconds + since_boot;
}

}  // namespace drivers
