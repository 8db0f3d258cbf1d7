#include "drivers/registers.h"
#include "drivers/serial.h"

namespace drivers {
namespace {

// 16550A registers (National Semiconductor PC16550D, table II).
constexpr uint16_t kBase = 0x3f8;
constexpr uint16_t kData = kBase, kInterruptEnable = kBase + 1, kFifoControl = kBase + 2, kLineControl = kBase + 3,
                   kModemControl = kBase + 4, kLineStatus = kBase + 5, kScratch = kBase + 7;
constexpr uint8_t kHoldingEmpty = 1 << 5, kTransmitterEmpty = 1 << 6;
constexpr unsigned kFifoDepth = 16;

constinit bool g_present = false;

// Bounded: a port that never gets ready must not hang the kernel.
void wait_for(uint8_t status) {
    for (unsigned i = 0; i < 100'000 && !(in8(kLineStatus) & status); i++) cpu_relax();
}

}  // namespace

void serial_initialize() {
    out8(kScratch, 0x5a);
    if (in8(kScratch) != 0x5a) return;
    out8(kInterruptEnable, 0);
    out8(kLineControl, 0x80);  // divisor latch
    out8(kData, 1);
    out8(kInterruptEnable, 0);
    out8(kLineControl, 0x03);
    out8(kFifoControl, 0x07);
    out8(kModemControl, 0x03);
    g_present = true;
}

void serial_write(std::string_view text) {
    if (!g_present) return;
    unsigned room = 0;
    auto put = [&room](char character) {
        if (room == 0) {
            wait_for(kHoldingEmpty);
            room = kFifoDepth;
        }
        out8(kData, static_cast<uint8_t>(character));
        room--;
    };
    for (char character : text) put(character);
}

void serial_drain() {
    if (g_present) wait_for(kTransmitterEmpty);
}

}  // namespace drivers
