// The walk from the root pointer to all tables. A broken table costs one line of log and is left out.
#include <cstring>

#include "core/log.h"
#include "drivers/acpi/tables.h"

namespace drivers::acpi {
namespace {

// No firmware makes larger tables; the limit keeps a broken length from costing a scan of all memory.
constexpr uint32_t kMaximumTableSize = 4u << 20;

Bytes whole_table(const PhysicalMemory& memory, PhysAddr address) {
    Bytes header = memory.view(address, kTableHeaderSize);
    if (header.size() < kTableHeaderSize) return {};
    uint32_t length;
    std::memcpy(&length, header.data() + 4, sizeof(length));
    if (length < kTableHeaderSize || length > kMaximumTableSize) return header;
    return memory.view(address, length);
}

Result<Rsdp> find_rsdp(const PhysicalMemory& memory, PhysAddr given) {
    auto try_at = [&](PhysAddr address) -> Result<Rsdp> {
        Bytes bytes = memory.view(address, 36);
        return parse_rsdp(bytes.empty() ? memory.view(address, 20) : bytes);
    };
    if (!given.is_null()) {
        if (auto rsdp = try_at(given)) return rsdp;
        klog::warn("acpi: no valid root pointer at {}, searching", given);
    }
    // ACPI 6.4, 5.2.5.1: the first KiB of the extended BIOS data area, then 0xe0000 to 0xfffff, in steps of 16.
    auto scan = [&](PhysAddr start, size_t size) -> Result<Rsdp> {
        Bytes area = memory.view(start, size);
        for (size_t offset = 0; offset + 20 <= area.size(); offset += 16) {
            if (std::memcmp(area.data() + offset, "RSD PTR ", 8) != 0) continue;
            Bytes rest = area.subspan(offset);
            if (auto rsdp = parse_rsdp(rest.first(rest.size() < 36 ? 20 : 36))) return rsdp;
        }
        return fail(Errno::kNoEnt);
    };
    if (Bytes pointer = memory.view(PhysAddr(0x40e), 2); pointer.size() == 2) {
        uint16_t segment;
        std::memcpy(&segment, pointer.data(), 2);
        if (segment >= 0x8000) {
            if (auto rsdp = scan(PhysAddr(uint64_t{segment} << 4), 1024)) return rsdp;
        }
    }
    return scan(PhysAddr(0xe0000), 0x20000);
}

template <typename T>
void store(std::optional<T>& slot, Result<T> parsed, PhysAddr address, std::string_view signature) {
    if (parsed) slot = *parsed;
    else klog::warn("acpi: table {} at {} is broken and ignored", signature, address);
}

void scan_aml(const PhysicalMemory& memory, PhysAddr address, std::string_view signature, Platform& platform) {
    auto table = check_table(whole_table(memory, address), signature);
    if (!table) {
        klog::warn("acpi: table {} at {} is broken and ignored", signature, address);
        return;
    }
    Bytes aml = table->subspan(kTableHeaderSize);
    if (!platform.s5) platform.s5 = find_s5(aml);
    find_virtio_mmio(aml, platform.virtio_mmio);
}

void read_table(const PhysicalMemory& memory, PhysAddr address, Platform& platform) {
    Bytes table = whole_table(memory, address);
    std::string_view signature = signature_of(table);
    if (signature == "FACP") store(platform.fadt, parse_fadt(table), address, signature);
    else if (signature == "APIC") store(platform.madt, parse_madt(table), address, signature);
    else if (signature == "MCFG") store(platform.mcfg, parse_mcfg(table), address, signature);
    else if (signature == "HPET") store(platform.hpet, parse_hpet(table), address, signature);
    else if (signature == "SSDT") scan_aml(memory, address, signature, platform);
    else if (signature.empty()) klog::warn("acpi: table address {} is no memory", address);
}

}  // namespace

Platform read_platform(const PhysicalMemory& memory, PhysAddr given) {
    Platform platform;
    auto rsdp = find_rsdp(memory, given);
    if (!rsdp) {
        klog::info("acpi: no tables");
        return platform;
    }
    platform.present = true;
    bool extended = !rsdp->xsdt.is_null();
    auto root = check_table(whole_table(memory, extended ? rsdp->xsdt : rsdp->rsdt), extended ? "XSDT" : "RSDT");
    if (!root && extended && !rsdp->rsdt.is_null()) {
        klog::warn("acpi: XSDT at {} is broken, using the RSDT", rsdp->xsdt);
        extended = false;
        root = check_table(whole_table(memory, rsdp->rsdt), "RSDT");
    }
    if (!root) {
        klog::warn("acpi: root table at {} is broken", extended ? rsdp->xsdt : rsdp->rsdt);
        return platform;
    }
    size_t width = extended ? 8 : 4;
    for (size_t offset = kTableHeaderSize; offset + width <= root->size(); offset += width) {
        uint64_t address = 0;
        std::memcpy(&address, root->data() + offset, width);
        read_table(memory, PhysAddr(address), platform);
    }
    if (platform.fadt && !platform.fadt->dsdt.is_null()) scan_aml(memory, platform.fadt->dsdt, "DSDT", platform);
    return platform;
}

}  // namespace drivers::acpi
