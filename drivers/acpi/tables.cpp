#include "drivers/acpi/tables.h"

#include <cstring>

namespace drivers::acpi {
namespace {

// A little-endian field; the caller has checked that it lies within `bytes`.
template <typename T>
T load(Bytes bytes, size_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
    return value;
}

bool checksum_good(Bytes bytes) {
    uint8_t sum = 0;
    for (std::byte byte : bytes) sum += static_cast<uint8_t>(byte);
    return sum == 0;
}

bool starts_with(Bytes bytes, std::string_view text) {
    return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

GenericAddress load_generic_address(Bytes table, size_t offset) {
    if (table.size() < offset + 12) return {};
    GenericAddress result;
    auto space = load<uint8_t>(table, offset);
    if (space > 1) return {};  // neither memory nor ports: nothing that we can reach
    result.space = static_cast<GenericAddress::Space>(space);
    result.address = load<uint64_t>(table, offset + 4);
    return result;
}

// FADT offsets (5.2.9, table 5.9) and flag bits (table 5.10).
constexpr size_t kFadtDsdt = 40, kFadtPm1aControl = 64, kFadtPm1bControl = 68, kFadtPmTimer = 76,
                 kFadtFlags = 112, kFadtResetRegister = 116, kFadtResetValue = 128, kFadtXDsdt = 140,
                 kFadtXPm1aControl = 172, kFadtXPm1bControl = 184, kFadtXPmTimer = 208,
                 kFadtSleepControl = 244;
constexpr uint32_t kFadtTimer32 = 1u << 8, kFadtResetSupported = 1u << 10, kFadtHardwareReduced = 1u << 20;

uint16_t load_port(Bytes table, size_t offset, size_t extended_offset) {
    GenericAddress extended = load_generic_address(table, extended_offset);
    if (extended && extended.space == GenericAddress::Space::kPort && extended.address <= 0xffff) {
        return static_cast<uint16_t>(extended.address);
    }
    if (table.size() < offset + 4) return 0;
    auto port = load<uint32_t>(table, offset);
    return port <= 0xffff ? static_cast<uint16_t>(port) : 0;
}

}  // namespace

std::string_view signature_of(Bytes bytes) {
    if (bytes.size() < 4) return {};
    return {reinterpret_cast<const char*>(bytes.data()), 4};
}

Result<Rsdp> parse_rsdp(Bytes bytes) {
    if (bytes.size() < 20 || !starts_with(bytes, "RSD PTR ") || !checksum_good(bytes.first(20))) {
        return fail(Errno::kInval);
    }
    Rsdp result{PhysAddr(load<uint32_t>(bytes, 16)), PhysAddr(0)};
    if (load<uint8_t>(bytes, 15) >= 2 && bytes.size() >= 36 && checksum_good(bytes.first(36))) {
        result.xsdt = PhysAddr(load<uint64_t>(bytes, 24));
    }
    return result;
}

Result<Bytes> check_table(Bytes bytes, std::string_view signature) {
    if (bytes.size() < kTableHeaderSize || !starts_with(bytes, signature)) return fail(Errno::kInval);
    auto length = load<uint32_t>(bytes, 4);
    if (length < kTableHeaderSize || length > bytes.size()) return fail(Errno::kInval);
    if (!checksum_good(bytes.first(length))) return fail(Errno::kInval);
    return bytes.first(length);
}

Result<Fadt> parse_fadt(Bytes bytes) {
    Bytes table = TRY(check_table(bytes, "FACP"));
    if (table.size() < kFadtFlags + 4) return fail(Errno::kInval);
    Fadt fadt;
    auto flags = load<uint32_t>(table, kFadtFlags);
    fadt.hardware_reduced = (flags & kFadtHardwareReduced) != 0;
    fadt.dsdt = PhysAddr(load<uint32_t>(table, kFadtDsdt));
    if (table.size() >= kFadtXDsdt + 8) {
        if (auto extended = load<uint64_t>(table, kFadtXDsdt)) fadt.dsdt = PhysAddr(extended);
    }
    if (!fadt.hardware_reduced) {
        fadt.pm1a_control = load_port(table, kFadtPm1aControl, kFadtXPm1aControl);
        fadt.pm1b_control = load_port(table, kFadtPm1bControl, kFadtXPm1bControl);
        fadt.pm_timer = load_port(table, kFadtPmTimer, kFadtXPmTimer);
        fadt.pm_timer_32bit = (flags & kFadtTimer32) != 0;
    } else {
        fadt.sleep_control = load_generic_address(table, kFadtSleepControl);
    }
    if ((flags & kFadtResetSupported) && table.size() > kFadtResetValue) {
        fadt.reset_register = load_generic_address(table, kFadtResetRegister);
        fadt.reset_value = load<uint8_t>(table, kFadtResetValue);
    }
    return fadt;
}

Result<Madt> parse_madt(Bytes bytes) {
    Bytes table = TRY(check_table(bytes, "APIC"));
    if (table.size() < kTableHeaderSize + 8) return fail(Errno::kInval);
    Madt madt;
    madt.local_apic = PhysAddr(load<uint32_t>(table, kTableHeaderSize));
    for (Bytes rest = table.subspan(kTableHeaderSize + 8); !rest.empty();) {
        if (rest.size() < 2) return fail(Errno::kInval);
        auto type = load<uint8_t>(rest, 0);
        auto length = load<uint8_t>(rest, 1);
        if (length < 2 || length > rest.size()) return fail(Errno::kInval);
        Bytes entry = rest.first(length);
        rest = rest.subspan(length);
        constexpr uint32_t kEnabled = 1;
        if (type == 0 && length >= 8) {  // processor local APIC (5.2.12.2)
            if (load<uint32_t>(entry, 4) & kEnabled) madt.processors.add(load<uint8_t>(entry, 3));
        } else if (type == 1 && length >= 12) {  // I/O APIC (5.2.12.3)
            madt.io_apics.add({PhysAddr(load<uint32_t>(entry, 4)), load<uint32_t>(entry, 8)});
        } else if (type == 2 && length >= 10) {  // interrupt source override (5.2.12.5)
            auto flags = load<uint16_t>(entry, 8);  // 1: active high, edge; 3: active low, level; 0: as ISA
            madt.overrides.add({load<uint8_t>(entry, 3), load<uint32_t>(entry, 4),
                                ((flags >> 2) & 3) == 3 ? Trigger::kLevel : Trigger::kEdge,
                                (flags & 3) == 3 ? Polarity::kLow : Polarity::kHigh});
        } else if (type == 5 && length >= 12) {  // local APIC address override (5.2.12.8)
            madt.local_apic = PhysAddr(load<uint64_t>(entry, 4));
        } else if (type == 9 && length >= 16) {  // processor local x2APIC (5.2.12.12)
            if (load<uint32_t>(entry, 8) & kEnabled) madt.processors.add(load<uint32_t>(entry, 4));
        }
    }
    return madt;
}

Result<Mcfg> parse_mcfg(Bytes bytes) {
    Bytes table = TRY(check_table(bytes, "MCFG"));
    constexpr size_t kFirst = kTableHeaderSize + 8;
    if (table.size() < kFirst + 16) return fail(Errno::kInval);
    Mcfg mcfg{PhysAddr(load<uint64_t>(table, kFirst)), load<uint8_t>(table, kFirst + 10),
              load<uint8_t>(table, kFirst + 11)};
    if (mcfg.first_bus > mcfg.last_bus) return fail(Errno::kInval);
    return mcfg;
}

Result<PhysAddr> parse_hpet(Bytes bytes) {
    Bytes table = TRY(check_table(bytes, "HPET"));
    GenericAddress base = load_generic_address(table, 40);
    if (!base || base.space != GenericAddress::Space::kMemory) return fail(Errno::kInval);
    return PhysAddr(base.address);
}

}  // namespace drivers::acpi
