// What CPUID leaf 0BH says about threads, cores and packages (SDM vol. 2).
#include "arch/x86_64/topology.h"

#include <gtest/gtest.h>

#include <vector>

namespace {

using arch::CpuidResult;

arch::Topology from(std::vector<CpuidResult> levels) {
    return arch::topology_from([&](unsigned level) {
        return level < levels.size() ? levels[level] : CpuidResult{0, 0, level, 0};
    });
}

TEST(Topology, ThreadsCoresAndPackages) {
    // Two threads a core, up to eight cores a package.
    auto topology = from({{1, 2, 1 << 8, 0}, {4, 16, 2 << 8 | 1, 0}});
    EXPECT_EQ(topology.core_of(0x13), 9u);
    EXPECT_EQ(topology.core_within_package(0x13), 1u);
    EXPECT_EQ(topology.package_of(0x13), 1u);
    EXPECT_EQ(topology.core_of(0x12), topology.core_of(0x13));
}

TEST(Topology, OneThreadACore) {
    auto topology = from({{0, 1, 1 << 8, 0}, {1, 2, 2 << 8 | 1, 0}});
    EXPECT_EQ(topology.core_within_package(1), 1u);
    EXPECT_EQ(topology.package_of(1), 0u);
    EXPECT_EQ(topology.package_of(2), 1u);
}

TEST(Topology, MachineThatDoesNotSay) {
    auto topology = from({});
    EXPECT_EQ(topology.core_within_package(5), 5u);
    EXPECT_EQ(topology.package_of(0xffffffff), 0u);
}

}  // namespace
