// Finds two facts in AML without interpreting it. Every step checks that its bytes are there.
#include <cstring>

#include "drivers/acpi/tables.h"

namespace drivers::acpi {
namespace {

// AML opcodes (ACPI 6.4, 20.3).
constexpr uint8_t kZeroOp = 0x00, kOneOp = 0x01, kNameOp = 0x08, kBytePrefix = 0x0a, kWordPrefix = 0x0b,
                  kDWordPrefix = 0x0c, kBufferOp = 0x11, kPackageOp = 0x12, kRootPrefix = 0x5c, kOnesOp = 0xff;

// Reads forward; after a read past the end `failed` stays set and zeros come.
struct Cursor {
    Bytes bytes;
    size_t at = 0;
    bool failed = false;

    uint8_t u8() {
        if (at >= bytes.size()) {
            failed = true;
            return 0;
        }
        return static_cast<uint8_t>(bytes[at++]);
    }
    uint32_t little_endian(unsigned count) {
        uint32_t value = 0;
        for (unsigned i = 0; i < count; i++) value |= static_cast<uint32_t>(u8()) << (8 * i);
        return value;
    }
    // PkgLength (20.2.4): the end of the package, counted from the length's own first byte.
    size_t package_end() {
        size_t start = at;
        uint8_t lead = u8();
        unsigned extra = lead >> 6;
        size_t length = extra == 0 ? lead & 0x3f : lead & 0x0f;
        for (unsigned i = 0; i < extra; i++) length |= static_cast<size_t>(u8()) << (4 + 8 * i);
        if (length > bytes.size() - start) failed = true;
        return start + length;
    }
    uint32_t integer() {
        switch (u8()) {
            case kZeroOp: return 0;
            case kOneOp: return 1;
            case kOnesOp: return ~0u;
            case kBytePrefix: return little_endian(1);
            case kWordPrefix: return little_endian(2);
            case kDWordPrefix: return little_endian(4);
        }
        failed = true;
        return 0;
    }
};

// Offset of the next `text` at or after `from`, or the size.
size_t find(Bytes bytes, size_t from, std::string_view text) {
    if (bytes.size() < text.size()) return bytes.size();
    size_t last = bytes.size() - text.size();
    while (from <= last) {
        const void* hit = std::memchr(bytes.data() + from, text[0], last - from + 1);
        if (!hit) break;
        from = static_cast<size_t>(static_cast<const std::byte*>(hit) - bytes.data());
        if (std::memcmp(hit, text.data(), text.size()) == 0) return from;
        from++;
    }
    return bytes.size();
}

uint8_t byte_at(Bytes bytes, size_t index) { return static_cast<uint8_t>(bytes[index]); }

// Resource descriptors of a _CRS buffer (6.4): one memory range and one interrupt make a slot.
std::optional<VirtioMmioSlot> parse_resources(Bytes resources) {
    constexpr uint8_t kMemory32Fixed = 0x86, kExtendedInterrupt = 0x89, kEndTag = 0x79;
    VirtioMmioSlot slot;
    bool memory = false, interrupt = false;
    Cursor cursor{resources};
    while (!cursor.failed && cursor.at < resources.size()) {
        uint8_t tag = cursor.u8();
        if (tag == kEndTag) break;
        size_t length = (tag & 0x80) ? cursor.little_endian(2) : tag & 7;
        if (cursor.failed || length > resources.size() - cursor.at) break;
        size_t next = cursor.at + length;
        if (tag == kMemory32Fixed && length >= 9) {  // 6.4.3.4
            cursor.u8();
            slot.address = PhysAddr(cursor.little_endian(4));
            slot.size = cursor.little_endian(4);
            memory = true;
        } else if (tag == kExtendedInterrupt && length >= 6) {  // 6.4.3.6
            uint8_t flags = cursor.u8();
            uint8_t count = cursor.u8();
            slot.trigger = (flags & 2) ? Trigger::kEdge : Trigger::kLevel;
            slot.polarity = (flags & 4) ? Polarity::kLow : Polarity::kHigh;
            slot.gsi = cursor.little_endian(4);
            interrupt = count >= 1;
        }
        cursor.at = next;
    }
    if (!memory || !interrupt || slot.size < 0x100) return std::nullopt;
    return slot;
}

}  // namespace

std::optional<SleepTypes> find_s5(Bytes aml) {
    constexpr std::string_view kName = "_S5_";
    for (size_t at = find(aml, 0, kName); at < aml.size(); at = find(aml, at + 1, kName)) {
        bool named = (at >= 1 && byte_at(aml, at - 1) == kNameOp) ||
                     (at >= 2 && byte_at(aml, at - 1) == kRootPrefix && byte_at(aml, at - 2) == kNameOp);
        if (!named) continue;
        Cursor cursor{aml, at + kName.size()};
        if (cursor.u8() != kPackageOp) continue;
        size_t end = cursor.package_end();
        uint8_t elements = cursor.u8();
        SleepTypes types;
        if (elements >= 1) types.a = static_cast<uint8_t>(cursor.integer());
        if (elements >= 2) types.b = static_cast<uint8_t>(cursor.integer());
        if (elements < 1 || cursor.failed || cursor.at > end || types.a > 7 || types.b > 7) continue;
        return types;
    }
    return std::nullopt;
}

void find_virtio_mmio(Bytes aml, VirtioMmioSlots& slots) {
    constexpr std::string_view kHardwareId{"LNRO0005\0", 9};
    constexpr std::string_view kResources = "_CRS";
    for (size_t at = find(aml, 0, kHardwareId); at < aml.size();) {
        size_t next_device = find(aml, at + 1, kHardwareId);
        // The _CRS of this device stands before the next device's _HID.
        size_t resources = find(aml.first(next_device), at, kResources);
        at = next_device;
        if (resources >= next_device) continue;
        Cursor cursor{aml.first(next_device), resources + kResources.size()};
        if (cursor.u8() != kBufferOp) continue;
        size_t end = cursor.package_end();
        uint32_t size = cursor.integer();
        if (cursor.failed || cursor.at > end || size > end - cursor.at) continue;
        if (auto slot = parse_resources(aml.subspan(cursor.at, size))) slots.add(*slot);
    }
}

}  // namespace drivers::acpi
