#include <charconv>

#include "drivers/virtio/discovery.h"

namespace drivers::virtio {
namespace {

// A number in decimal or, after 0x, in hexadecimal; the rest of `text` stays.
bool take_number(std::string_view& text, uint64_t& value) {
    int base = 10;
    if (text.starts_with("0x") || text.starts_with("0X")) {
        base = 16;
        text.remove_prefix(2);
    }
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc{}) return false;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    return true;
}

bool take(std::string_view& text, char character) {
    if (!text.starts_with(character)) return false;
    text.remove_prefix(1);
    return true;
}

uint64_t take_unit(std::string_view& text) {
    if (take(text, 'K') || take(text, 'k')) return 1024;
    if (take(text, 'M') || take(text, 'm')) return 1024 * 1024;
    return 1;
}

}  // namespace

void parse_mmio_slots(std::string_view command_line, acpi::VirtioMmioSlots& slots) {
    constexpr std::string_view kKey = "virtio_mmio.device=";
    while (!command_line.empty()) {
        size_t space = command_line.find(' ');
        std::string_view word = command_line.substr(0, space);
        command_line = space == std::string_view::npos ? std::string_view{} : command_line.substr(space + 1);
        if (!word.starts_with(kKey)) continue;
        word.remove_prefix(kKey.size());
        uint64_t size = 0, address = 0, irq = 0, id = 0;
        if (!take_number(word, size)) continue;
        size *= take_unit(word);
        if (!take(word, '@') || !take_number(word, address) || !take(word, ':') || !take_number(word, irq)) continue;
        if (take(word, ':') && !take_number(word, id)) continue;
        if (!word.empty() || size < 0x100 || size > 0x10000 || irq > 255 || address % 4 != 0) continue;
        // The line is described as an ISA one but the device holds it until acknowledged: level.
        slots.add({PhysAddr(address), static_cast<uint32_t>(size), static_cast<uint32_t>(irq),
                   acpi::Trigger::kLevel, acpi::Polarity::kHigh});
    }
}

}  // namespace drivers::virtio
