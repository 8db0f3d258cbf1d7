#include "arch/x86_64/clock.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/registers.h"

namespace arch {

namespace {

ClockScale scale;
uint64_t frequency_khz;

struct Sample {
    uint64_t tsc;
    uint32_t count;
};

// The counter between two TSC reads, the closest pair of several: an interruption of the virtual machine in
// between would spoil the measure.
Sample sample() {
    Sample best{};
    uint64_t best_gap = ~0ull;
    for (int i = 0; i < 8; i++) {
        uint64_t before = read_tsc();
        uint32_t count = timer_count();
        uint64_t after = read_tsc();
        if (after - before < best_gap) {
            best_gap = after - before;
            best = {before + (after - before) / 2, count};
        }
    }
    return best;
}

uint64_t measure_khz() {
    timer_start_counting();
    Sample start = sample();
    while (start.count - timer_count() < timer_hz() / 500) cpu_pause();  // 2 ms
    Sample end = sample();
    set_timer(core::kNever);
    return (end.tsc - start.tsc) * (timer_hz() / 1000) / (start.count - end.count);
}

}  // namespace

void initialize_clock(uint64_t khz) {
    frequency_khz = khz ? khz : measure_khz();
    // A given frequency means a counter that began at the reset (--icount): then so does the clock, and the log's
    // times are instructions since the reset.
    scale.tsc_base = khz ? 0 : read_tsc();
    scale.multiplier = (uint64_t{1'000'000} << 32) / frequency_khz;
}

Nanoseconds now_ns() {
    auto ticks = static_cast<unsigned __int128>(read_tsc() - scale.tsc_base);
    return static_cast<uint64_t>(ticks * scale.multiplier >> 32) + scale.offset_ns;
}

uint64_t tsc_khz() { return frequency_khz; }
ClockScale clock_scale() { return scale; }

}  // namespace arch
