#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <vector>

#include "drivers/pci/pci.h"
#include "drivers/virtio/discovery.h"

namespace {

using namespace drivers;
using pci::Address;

struct FakeConfig final : pci::ConfigSpace {
    std::map<std::array<uint8_t, 3>, std::array<uint8_t, 256>> functions;
    static std::array<uint8_t, 3> key(Address a) { return {a.bus, a.device, a.function}; }

    uint32_t read32(Address function, uint8_t offset) override {
        EXPECT_EQ(offset % 4, 0);
        auto it = functions.find(key(function));
        if (it == functions.end()) return ~0u;
        uint32_t value;
        std::memcpy(&value, it->second.data() + offset, 4);
        return value;
    }
    void write32(Address function, uint8_t offset, uint32_t value) override {
        std::memcpy(functions[key(function)].data() + offset, &value, 4);
    }
    void write16(Address function, uint8_t offset, uint16_t value) override {
        std::memcpy(functions[key(function)].data() + offset, &value, 2);
    }
    template <typename T>
    void set(Address function, uint8_t offset, T value) {
        std::memcpy(functions[key(function)].data() + offset, &value, sizeof(T));
    }
    void add(Address function, uint16_t vendor, uint16_t device, uint8_t header = 0) {
        set(function, 0, vendor);
        set(function, 2, device);
        set(function, 0x0e, header);
    }
    void capability(Address function, uint8_t at, uint8_t id, uint8_t next) {
        set<uint16_t>(function, 6, 0x10);
        set(function, at, id);
        set(function, static_cast<uint8_t>(at + 1), next);
    }
    void virtio_capability(Address function, uint8_t at, uint8_t next, uint8_t type, uint8_t bar, uint32_t offset,
                           uint32_t length) {
        capability(function, at, 9, next);
        set<uint8_t>(function, at + 2, type == 2 ? 20 : 16);
        set(function, static_cast<uint8_t>(at + 3), type);
        set(function, static_cast<uint8_t>(at + 4), bar);
        set(function, static_cast<uint8_t>(at + 8), offset);
        set(function, static_cast<uint8_t>(at + 12), length);
    }
};

std::vector<pci::Function> all(pci::ConfigSpace& config) {
    std::vector<pci::Function> found;
    pci::enumerate(config, [](void* list, const pci::Function& f) {
        static_cast<std::vector<pci::Function>*>(list)->push_back(f);
    }, &found);
    return found;
}

TEST(Pci, FunctionsAndBridges) {
    FakeConfig config;
    config.add({0, 0, 0}, 0x8086, 0x29c0);
    config.add({0, 1, 0}, 0x1af4, 0x1003);
    config.set<uint16_t>({0, 1, 0}, 0x2e, 3);
    config.add({0, 2, 0}, 0x1b36, 0x000c, 1);  // bridge to bus 5
    config.set<uint8_t>({0, 2, 0}, 0x19, 5);
    config.add({5, 0, 0}, 0x1af4, 0x1041);
    config.add({0, 31, 0}, 0x8086, 0x2918, 0x80);
    config.add({0, 31, 3}, 0x8086, 0x2930);
    config.add({0, 1, 1}, 0x1234, 1);  // hidden: function 0 is not multi-function
    auto found = all(config);
    ASSERT_EQ(found.size(), 5u);
    EXPECT_EQ(virtio::pci_device_type(found[1]), 3u);
    EXPECT_EQ(found[2].address, (Address{5, 0, 0}));
    EXPECT_EQ(virtio::pci_device_type(found[2]), 1u);
    EXPECT_EQ(virtio::pci_device_type(found[0]), 0u);
}

TEST(Pci, BridgesThatFormALoopEnd) {
    FakeConfig config;
    config.add({0, 0, 0}, 1, 1, 1);
    config.set<uint8_t>({0, 0, 0}, 0x19, 1);
    config.add({1, 0, 0}, 1, 1, 1);
    config.set<uint8_t>({1, 0, 0}, 0x19, 0);
    config.add({1, 1, 0}, 7, 7);
    EXPECT_EQ(all(config).size(), 1u);
}

TEST(Pci, Bars) {
    FakeConfig config;
    Address f{0, 1, 0};
    config.add(f, 1, 1);
    config.set<uint32_t>(f, 0x10, 0xc001);        // I/O
    config.set<uint32_t>(f, 0x14, 0xfebc0000);    // 32 bit
    config.set<uint32_t>(f, 0x20, 0x0000000c);    // 64 bit, prefetchable
    config.set<uint32_t>(f, 0x24, 0x00000008);
    EXPECT_FALSE(pci::memory_bar(config, f, 0));
    EXPECT_EQ(*pci::memory_bar(config, f, 1), PhysAddr(0xfebc0000));
    EXPECT_FALSE(pci::memory_bar(config, f, 2)) << "not assigned";
    EXPECT_EQ(*pci::memory_bar(config, f, 4), PhysAddr(0x8'0000'0000));
    EXPECT_FALSE(pci::memory_bar(config, f, 6));
    config.set<uint32_t>(f, 0x24, 0xffffffff);
    EXPECT_FALSE(pci::memory_bar(config, f, 4)) << "beyond 52 bits";
}

TEST(Pci, CapabilityListsThatLoopOrStrayEnd) {
    FakeConfig config;
    Address f{0, 1, 0};
    config.add(f, 1, 1);
    EXPECT_EQ(pci::find_capability(config, f, 9), 0);
    config.set<uint8_t>(f, 0x34, 0x40);
    EXPECT_EQ(pci::find_capability(config, f, 9), 0) << "the status says: no list";
    config.capability(f, 0x40, 5, 0x50);
    config.capability(f, 0x50, 7, 0x40);
    EXPECT_EQ(pci::find_capability(config, f, 9), 0);
    EXPECT_EQ(pci::find_capability(config, f, 7), 0x50);
    config.capability(f, 0x50, 9, 0x08);  // into the header
    EXPECT_EQ(pci::find_capability(config, f, 9), 0x50);
    EXPECT_EQ(pci::find_capability(config, f, 9, 0x50), 0);
}

struct VirtioPci : testing::Test {
    FakeConfig config;
    Address f{0, 1, 0};
    void SetUp() override {
        config.add(f, 0x1af4, 0x1041);
        config.set<uint8_t>(f, 0x34, 0x98);
        config.capability(f, 0x98, 0x11, 0x84);
        config.set<uint16_t>(f, 0x9a, 4);
        config.set<uint32_t>(f, 0x9c, 0x1001);
        config.virtio_capability(f, 0x84, 0x70, 5, 0, 0, 0);
        config.virtio_capability(f, 0x70, 0x60, 2, 4, 0x3000, 0x1000);
        config.set<uint32_t>(f, 0x80, 4);
        config.virtio_capability(f, 0x60, 0x50, 4, 4, 0x2000, 0x1000);
        config.virtio_capability(f, 0x50, 0x40, 3, 4, 0x1000, 0x1000);
        config.virtio_capability(f, 0x40, 0, 1, 4, 0, 0x1000);
    }
};

TEST_F(VirtioPci, LayoutAndMsiX) {
    auto layout = pci::find_virtio_layout(config, f);
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->common.bar, 4);
    EXPECT_EQ(layout->notify.offset, 0x3000u);
    EXPECT_EQ(layout->notify_multiplier, 4u);
    EXPECT_EQ(layout->device.offset, 0x2000u);
    auto msix = pci::find_msix(config, f);
    ASSERT_TRUE(msix);
    EXPECT_EQ(msix->vectors, 5);
    EXPECT_EQ(msix->table_bar, 1u);
    EXPECT_EQ(msix->table_offset, 0x1000u);
}

TEST_F(VirtioPci, MissingOrBrokenStructures) {
    config.set<uint8_t>(f, 0x43, 7);  // common becomes something else
    EXPECT_FALSE(pci::find_virtio_layout(config, f));
    config.set<uint8_t>(f, 0x43, 1);
    config.set<uint32_t>(f, 0x4c, 10);  // too short
    EXPECT_FALSE(pci::find_virtio_layout(config, f));
    config.set<uint32_t>(f, 0x4c, 0x1000);
    config.set<uint8_t>(f, 0x44, 6);  // no such BAR
    EXPECT_FALSE(pci::find_virtio_layout(config, f));
    config.set<uint8_t>(f, 0x44, 4);
    config.set<uint32_t>(f, 0x48, 0xffff'ff00);  // wraps
    EXPECT_FALSE(pci::find_virtio_layout(config, f));
    config.set<uint32_t>(f, 0x48, 0);
    EXPECT_TRUE(pci::find_virtio_layout(config, f));
}

TEST(CommandLine, VirtioMmioWords) {
    acpi::VirtioMmioSlots slots;
    virtio::parse_mmio_slots(
        "log=warn virtio_mmio.device=512@0xfeb00e00:12 x virtio_mmio.device=4K@0xd0000000:5:3 "
        "virtio_mmio.device= virtio_mmio.device=512 virtio_mmio.device=512@zz:1 virtio_mmio.device=512@1:1 "
        "virtio_mmio.device=16@0x1000:1 virtio_mmio.device=512@0x1000:300 virtio_mmio.device=512@0x1000:5x "
        "virtio_mmio.device=99999999999999999999@0x1000:5 virtio_mmio.device=512@0xfeb00c00:11",
        slots);
    ASSERT_EQ(slots.count, 3u);
    EXPECT_EQ(slots[0].address, PhysAddr(0xfeb00e00));
    EXPECT_EQ(slots[0].gsi, 12u);
    EXPECT_EQ(slots[1].size, 4096u);
    EXPECT_EQ(slots[1].gsi, 5u);
    EXPECT_EQ(slots[2].gsi, 11u);
}

}  // namespace
