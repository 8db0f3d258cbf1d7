// What both fuzzers need: a keeper that starts workers, watches them, counts what they did, and looks after each one
// whether a process beside them still answers and its secret is what it was.
//
// A worker's attempts depend on its seed only, so that a failure repeats with `PROGRAM SEED 1`: the keeper prints
// each worker's seed before it starts. A worker that makes no progress is killed; that is no failure.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fuzz {

// xorshift64*: enough for test data.
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 0x1234567) {
        if (state_ == 0) state_ = 1;
    }
    uint64_t next() {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return state_ * 0x2545f4914f6cdd1d;
    }
    // 0 to limit - 1.
    uint64_t below(uint64_t limit) { return (next() >> 16) % limit; }
    bool one_in(uint64_t n) { return below(n) == 0; }

  private:
    uint64_t state_;
};

// Shared by the keeper and its worker; a worker may overwrite it, and then counts for no more than its share.
struct Progress {
    volatile uint64_t attempts;
    volatile uint64_t breaches;  // kBreach: something succeeded that must not
};

constexpr uint64_t kBreach = 0xb4eac4ed0b4eac4e;  // no worker writes it by chance

struct Fuzzer {
    const char* name;                  // of what is counted: "calls"
    unsigned attempts_per_worker;
    // In a process of its own: makes `attempts` attempts, counting each in `progress` before it is made.
    void (*work)(uint64_t seed, unsigned attempts, Progress& progress);
};

// main() of a fuzzer: PROGRAM SEED COUNT. Prints "survived" at the end; exit status 1 and a reason if something is
// wrong beside the workers.
int run(const Fuzzer& fuzzer, int argc, char** argv);

// An address that a kernel should refuse, or one that is wild in another way.
uint64_t wild_address(Random& random);

}  // namespace fuzz
