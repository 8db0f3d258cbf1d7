#include "process/cpu_limit.h"

#include "process/usage.h"

namespace process {

namespace {

constexpr Nanoseconds kSecond = 1'000'000'000;
// Not more often: a process that sleeps does not come nearer to its limit.
constexpr Nanoseconds kShortestCheck = 10'000'000;

Nanoseconds in_ns(uint64_t seconds) {
    return seconds >= core::kNever / kSecond ? core::kNever : seconds * kSecond;
}

}  // namespace

void CpuLimit::arm_for(Nanoseconds remaining) {
    remaining /= sched::cpu_count();  // all threads may run at once
    if (remaining < kShortestCheck) remaining = kShortestCheck;
    arm(sched::monotonic_ns() + remaining);
}

void CpuLimit::update() {
    cancel();
    uint64_t soft = process_.limits[kLimitCpu].soft;
    if (soft == kUnlimited && process_.limits[kLimitCpu].hard == kUnlimited) return;
    next_warning_ = in_ns(soft == 0 ? 1 : soft);  // as Linux: 0 means at once, not never
    expire();
}

void CpuLimit::expire() {
    Nanoseconds used = cpu_time_of(process_), hard = in_ns(process_.limits[kLimitCpu].hard), warning = next_warning_;
    if (used >= hard) return send_signal(process_, simple_signal(kSigKill));
    if (used >= warning) {
        send_signal(process_, simple_signal(kSigXCpu));
        next_warning_ = warning = used + kSecond;
    }
    Nanoseconds next = warning < hard ? warning : hard;
    if (next != core::kNever) arm_for(next - used);
}

}  // namespace process
