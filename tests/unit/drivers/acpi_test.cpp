#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <string>

#include "drivers/acpi/tables.h"

namespace {

using namespace drivers::acpi;

Bytes bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

template <typename T>
std::string little(T value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}
template <typename T>
void put(std::string& text, size_t offset, T value) {
    if (text.size() < offset + sizeof(T)) text.resize(offset + sizeof(T));
    std::memcpy(text.data() + offset, &value, sizeof(T));
}
void fix_checksum(std::string& text, size_t at, size_t size) {
    text[at] = 0;
    uint8_t sum = 0;
    for (size_t i = 0; i < size; i++) sum += static_cast<uint8_t>(text[i]);
    text[at] = static_cast<char>(-sum);
}
std::string table(const std::string& signature, const std::string& body) {
    std::string all = signature + little<uint32_t>(0) + std::string(28, '\0') + body;
    put<uint32_t>(all, 4, static_cast<uint32_t>(all.size()));
    fix_checksum(all, 9, all.size());
    return all;
}
std::string literal(std::initializer_list<int> values) {
    std::string text;
    for (int value : values) text += static_cast<char>(value);
    return text;
}

// QEMU's tables, in the essentials.
std::string madt_body() {
    return little<uint32_t>(0xfee00000) + little<uint32_t>(1) +
           literal({0, 8, 0, 0, 1, 0, 0, 0}) + literal({0, 8, 1, 1, 1, 0, 0, 0}) +
           literal({0, 8, 2, 2, 0, 0, 0, 0}) +                                      // not enabled
           literal({9, 16, 0, 0, 0x2c, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}) +           // x2APIC 300
           literal({1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0}) +
           literal({1, 12, 1, 0, 0, 0, 0xc1, 0xfe, 24, 0, 0, 0}) +
           literal({2, 10, 0, 0, 2, 0, 0, 0, 0, 0}) + literal({2, 10, 0, 9, 9, 0, 0, 0, 0x0f, 0}) +
           literal({4, 6, 0xff, 0, 0, 1});
}
std::string fadt(bool reduced) {
    std::string body(268 - kTableHeaderSize, '\0');
    std::string all = std::string(kTableHeaderSize, '\0') + body;
    put<uint32_t>(all, 40, 0x5000);
    put<uint32_t>(all, 112, reduced ? 1u << 20 | 1u << 10 : 1u << 10);
    if (reduced) {
        put<uint8_t>(all, 244, 0);
        put<uint64_t>(all, 248, 0xfea00200);
        put<uint8_t>(all, 116, 0);
        put<uint64_t>(all, 120, 0xfea00202);
        put<uint8_t>(all, 128, 0x42);
    } else {
        put<uint32_t>(all, 64, 0x604);
        put<uint32_t>(all, 76, 0x608);
        put<uint8_t>(all, 116, 1);
        put<uint64_t>(all, 120, 0xcf9);
        put<uint8_t>(all, 128, 0x0f);
    }
    return table("FACP", all.substr(kTableHeaderSize));
}
const std::string kS5Qemu = literal({0x08}) + "_S5_" + literal({0x12, 0x06, 0x04, 0, 0, 0, 0});
const std::string kS5Microvm = literal({0x08, 0x5c}) + "_S5_" + literal({0x12, 0x07, 0x04, 0x0a, 5, 0, 0, 0});

std::string virtio_device(uint32_t address, uint32_t gsi) {
    std::string resources = literal({0x86, 9, 0, 1}) + little(address) + little<uint32_t>(0x200) +
                            literal({0x89, 6, 0, 1, 1}) + little(gsi) + literal({0x79, 0});
    return literal({0x5b, 0x82, 0x42, 0x04}) + "VR23" + literal({0x08}) + "_HID" + literal({0x0d}) + "LNRO0005" +
           literal({0, 0x08}) + "_UID" + literal({0x0a, 0x17, 0x08}) + "_CRS" +
           literal({0x11, 0x1a, 0x0a, 0x17}) + resources;
}

TEST(AcpiRoot, RevisionsAndChecksums) {
    std::string old = "RSD PTR " + std::string(12, '\0');
    put<uint32_t>(old, 16, 0x1000);
    fix_checksum(old, 8, 20);
    ASSERT_TRUE(parse_rsdp(bytes_of(old)));
    EXPECT_EQ(parse_rsdp(bytes_of(old))->rsdt, PhysAddr(0x1000));
    EXPECT_TRUE(parse_rsdp(bytes_of(old))->xsdt.is_null());
    std::string modern = old;
    modern.resize(36);
    modern[15] = 2;
    put<uint64_t>(modern, 24, 0x2000);
    fix_checksum(modern, 8, 20);
    fix_checksum(modern, 32, 36);
    EXPECT_EQ(parse_rsdp(bytes_of(modern))->xsdt, PhysAddr(0x2000));
    modern[30] ^= 1;  // only the extended part is broken: the RSDT still counts
    EXPECT_TRUE(parse_rsdp(bytes_of(modern))->xsdt.is_null());
    old[16] ^= 1;
    EXPECT_FALSE(parse_rsdp(bytes_of(old)));
    EXPECT_FALSE(parse_rsdp(bytes_of(modern).first(19)));
    EXPECT_FALSE(parse_rsdp({}));
}

TEST(AcpiMadt, ProcessorsAndInterrupts) {
    std::string good = table("APIC", madt_body());
    auto madt = parse_madt(bytes_of(good));
    ASSERT_TRUE(madt);
    ASSERT_EQ(madt->processors.count, 3u);
    EXPECT_EQ(madt->processors[0], 0u);
    EXPECT_EQ(madt->processors[2], 300u);
    ASSERT_EQ(madt->io_apics.count, 2u);
    EXPECT_EQ(madt->io_apics[1].gsi_base, 24u);
    ASSERT_EQ(madt->overrides.count, 2u);
    EXPECT_EQ(madt->overrides[0].gsi, 2u);
    EXPECT_EQ(madt->overrides[1].trigger, Trigger::kLevel);
    EXPECT_EQ(madt->overrides[1].polarity, Polarity::kLow);
}

TEST(AcpiMadt, BrokenEntriesAreRefused) {
    std::string body = madt_body();
    EXPECT_FALSE(parse_madt(bytes_of(table("APIC", body + literal({0})))));
    EXPECT_FALSE(parse_madt(bytes_of(table("APIC", body + literal({0, 8, 0})))));
    EXPECT_FALSE(parse_madt(bytes_of(table("APIC", body + literal({0, 0})))));
    EXPECT_FALSE(parse_madt(bytes_of(table("APIC", "abc"))));
    // Short entries of a known type say nothing; long lists are cut.
    std::string many = little<uint32_t>(0) + little<uint32_t>(0) + literal({0, 2});
    for (int i = 0; i < 100; i++) many += literal({0, 8, i, i, 1, 0, 0, 0});
    auto madt = parse_madt(bytes_of(table("APIC", many)));
    ASSERT_TRUE(madt);
    EXPECT_EQ(madt->processors.count, 64u);
    EXPECT_EQ(madt->processors.dropped, 36u);
}

TEST(AcpiFadt, PortsOfPcAndRegistersOfMicrovm) {
    std::string pc = fadt(false), microvm = fadt(true);
    auto a = parse_fadt(bytes_of(pc));
    ASSERT_TRUE(a);
    EXPECT_EQ(a->pm1a_control, 0x604);
    EXPECT_EQ(a->pm_timer, 0x608);
    EXPECT_EQ(a->dsdt, PhysAddr(0x5000));
    EXPECT_FALSE(a->hardware_reduced);
    EXPECT_EQ(a->reset_register.space, GenericAddress::Space::kPort);
    EXPECT_EQ(a->reset_value, 0x0f);
    auto b = parse_fadt(bytes_of(microvm));
    ASSERT_TRUE(b);
    EXPECT_TRUE(b->hardware_reduced);
    EXPECT_EQ(b->sleep_control.address, 0xfea00200u);
    EXPECT_EQ(b->pm1a_control, 0);
    // ACPI 1.0 tables end at 116 bytes: neither reset register nor extended addresses.
    std::string old = table("FACP", pc.substr(kTableHeaderSize, 116 - kTableHeaderSize));
    auto c = parse_fadt(bytes_of(old));
    ASSERT_TRUE(c);
    EXPECT_EQ(c->pm1a_control, 0x604);
    EXPECT_FALSE(c->reset_register);
    EXPECT_FALSE(parse_fadt(bytes_of(table("FACP", "short"))));
}

TEST(AcpiTables, EveryTruncationAndEveryFlippedByteIsRefused) {
    for (const std::string& good : {table("APIC", madt_body()), fadt(false), fadt(true)}) {
        auto parse = [&](const std::string& text) {
            return good.starts_with("APIC") ? parse_madt(bytes_of(text)).has_value()
                                            : parse_fadt(bytes_of(text)).has_value();
        };
        ASSERT_TRUE(parse(good));
        for (size_t size = 0; size < good.size(); size++) EXPECT_FALSE(parse(good.substr(0, size)));
        for (size_t i = 0; i < good.size(); i++) {
            std::string bad = good;
            bad[i] = static_cast<char>(bad[i] + 1);
            EXPECT_FALSE(parse(bad)) << "byte " << i;
        }
    }
}

TEST(AcpiAml, SleepTypes) {
    auto s5 = find_s5(bytes_of("xxxx" + kS5Microvm + "yy"));
    ASSERT_TRUE(s5);
    EXPECT_EQ(s5->a, 5);
    EXPECT_EQ(s5->b, 0);
    ASSERT_TRUE(find_s5(bytes_of(kS5Qemu)));
    EXPECT_EQ(find_s5(bytes_of(kS5Qemu))->a, 0);
    // The name alone, another object of that name, values out of range.
    EXPECT_FALSE(find_s5(bytes_of("_S5_")));
    EXPECT_FALSE(find_s5(bytes_of(literal({8}) + "_S5_" + literal({0x0a, 5}))));
    EXPECT_FALSE(find_s5(bytes_of(literal({8}) + "_S5_" + literal({0x12, 6, 4, 0x0a, 9, 0, 0}))));
    EXPECT_FALSE(find_s5(bytes_of(literal({8}) + "_S5_" + literal({0x12, 0x7f, 4, 0, 0, 0, 0}))));
    for (size_t size = 0; size + 1 < kS5Microvm.size(); size++) (void)find_s5(bytes_of(kS5Microvm.substr(0, size)));
    // A second, good one is found after a bad one.
    EXPECT_TRUE(find_s5(bytes_of(literal({8}) + "_S5_" + literal({0x0a, 5}) + kS5Qemu)));
}

TEST(AcpiAml, VirtioSlots) {
    VirtioMmioSlots slots;
    find_virtio_mmio(bytes_of(virtio_device(0xfeb02e00, 47) + virtio_device(0xfeb02c00, 46)), slots);
    ASSERT_EQ(slots.count, 2u);
    EXPECT_EQ(slots[0].address, PhysAddr(0xfeb02e00));
    EXPECT_EQ(slots[0].gsi, 47u);
    EXPECT_EQ(slots[0].size, 0x200u);
    EXPECT_EQ(slots[0].trigger, Trigger::kLevel);
    EXPECT_EQ(slots[1].gsi, 46u);
    std::string one = virtio_device(0xfeb02e00, 47);
    for (size_t size = 0; size + 2 < one.size(); size++) {
        VirtioMmioSlots none;
        find_virtio_mmio(bytes_of(one.substr(0, size)), none);
        EXPECT_EQ(none.count, 0u) << size;
    }
    VirtioMmioSlots full;
    std::string many;
    for (uint32_t i = 0; i < 40; i++) many += virtio_device(0xfeb00000 + 0x200 * i, i);
    find_virtio_mmio(bytes_of(many), full);
    EXPECT_EQ(full.count, 32u);
    EXPECT_EQ(full.dropped, 8u);
}

TEST(AcpiAml, NoiseIsHarmless) {
    std::mt19937 random(1);
    std::string aml = virtio_device(0xfeb02e00, 47) + kS5Microvm;
    for (int i = 0; i < 20'000; i++) {
        std::string bad = aml;
        for (int n = 0; n < 3; n++) bad[random() % bad.size()] = static_cast<char>(random());
        (void)find_s5(bytes_of(bad));
        VirtioMmioSlots slots;
        find_virtio_mmio(bytes_of(bad), slots);
    }
}

// Physical memory with tables at chosen places.
struct Machine final : PhysicalMemory {
    std::map<uint64_t, std::string> areas;
    Bytes view(PhysAddr address, size_t size) const override {
        auto it = areas.upper_bound(address.value());
        if (it == areas.begin()) return {};
        --it;
        uint64_t offset = address.value() - it->first;
        if (offset > it->second.size() || size > it->second.size() - offset) return {};
        return bytes_of(it->second).subspan(offset, size);
    }
    void add_root(uint64_t at, uint32_t rsdt) {
        std::string rsdp = "RSD PTR " + std::string(28, '\0');
        put<uint32_t>(rsdp, 16, rsdt);
        fix_checksum(rsdp, 8, 20);
        areas[at] = rsdp;
    }
    static Machine pc() {
        Machine machine;
        machine.add_root(0xf59d0, 0x1000);
        machine.areas[0x1000] = table("RSDT", little<uint32_t>(0x2000) + little<uint32_t>(0x3000));
        machine.areas[0x2000] = fadt(false);
        machine.areas[0x3000] = table("APIC", madt_body());
        machine.areas[0x5000] = table("DSDT", "....." + kS5Qemu);
        return machine;
    }
};

TEST(AcpiPlatform, AllTablesAreFound) {
    Platform platform = read_platform(Machine::pc(), PhysAddr(0xf59d0));
    EXPECT_TRUE(platform.present);
    ASSERT_TRUE(platform.fadt && platform.madt && platform.s5);
    EXPECT_EQ(platform.madt->processors.count, 3u);
    EXPECT_FALSE(platform.mcfg || platform.hpet);
}

TEST(AcpiPlatform, TheRootIsLookedForInTheBiosArea) {
    Machine machine = Machine::pc();
    std::string bios(0x20000, '\0');
    bios.replace(0x100, 8, "RSD PTR ");  // a false one
    bios.replace(0x159d0, 36, machine.areas[0xf59d0]);
    machine.areas.erase(0xf59d0);
    machine.areas[0xe0000] = bios;
    EXPECT_TRUE(read_platform(machine, PhysAddr(0)).fadt);
    EXPECT_TRUE(read_platform(machine, PhysAddr(0x5000)).fadt) << "a wrong hint";
}

TEST(AcpiPlatform, BrokenTablesAreLeftOut) {
    Machine machine = Machine::pc();
    machine.areas[0x3000][50] ^= 1;
    Platform platform = read_platform(machine, PhysAddr(0xf59d0));
    EXPECT_FALSE(platform.madt);
    EXPECT_TRUE(platform.fadt && platform.s5);
    machine.areas.erase(0x5000);
    EXPECT_FALSE(read_platform(machine, PhysAddr(0xf59d0)).s5);
    put<uint32_t>(machine.areas[0x1000], 4, 0xffff'fff0);
    platform = read_platform(machine, PhysAddr(0xf59d0));
    EXPECT_TRUE(platform.present);
    EXPECT_FALSE(platform.fadt);
    EXPECT_FALSE(read_platform(Machine{}, PhysAddr(0)).present);
}

}  // namespace
