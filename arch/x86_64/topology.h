// How processors lie together: which bits of their local APIC's number name thread, core and package
// (SDM vol. 2, CPUID leaf 0BH; vol. 3, 9.9.3.1).
#pragma once

#include "arch/x86_64/registers.h"

namespace arch {

struct Topology {
    unsigned core_shift = 0, package_shift = 32;  // of a machine that does not say: cores in one package

    // Numbers of the core and the package, each alone in the machine; of the core among its package's.
    uint64_t core_of(uint64_t apic_id) const { return apic_id >> core_shift; }
    uint64_t package_of(uint64_t apic_id) const { return apic_id >> package_shift; }
    uint64_t core_within_package(uint64_t apic_id) const {
        return (apic_id & ((1ull << package_shift) - 1)) >> core_shift;
    }
};

// `leaf(n)` is CPUID leaf 0BH, subleaf n: ECX[15:8] is the level's type, EAX[4:0] the shift behind it; the last
// level but that of type 0 is below the package.
template <typename Leaf>
Topology topology_from(Leaf leaf) {
    constexpr unsigned kThreads = 1, kLevelsMax = 8;
    Topology topology;
    for (unsigned level = 0; level < kLevelsMax; level++) {
        CpuidResult found = leaf(level);
        unsigned type = found.ecx >> 8 & 0xff;
        if (type == 0) break;
        topology.package_shift = found.eax & 31;
        if (type == kThreads) topology.core_shift = topology.package_shift;
    }
    return topology;
}

// Of this machine.
inline Topology topology() {
    constexpr uint32_t kLeaf = 0xb;
    if (cpuid(0).eax < kLeaf) return {};
    return topology_from([](unsigned level) { return cpuid(kLeaf, level); });
}

}  // namespace arch
