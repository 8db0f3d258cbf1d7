#include "mm/flush_batch.h"

namespace mm {

void flush_range(arch::TlbState& tlb, uint64_t start, uint64_t end, uint64_t cpus, uint64_t generation) {
    arch::flush({.cpus = cpus, .start = start, .end = end, .space = tlb.id, .generation = generation});
}

void flush_everything() { arch::flush({.cpus = ~uint64_t{0}, .everything = true}); }

}  // namespace mm
