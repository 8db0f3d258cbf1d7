#include "mpk/inspect/eh_frame.h"

namespace mpk::inspect {

namespace {

// DW_EH_PE_*: how a pointer is stored.
constexpr uint8_t kAbsolute = 0x00, kUdata2 = 0x02, kUdata4 = 0x03, kUdata8 = 0x04, kSdata2 = 0x0a, kSdata4 = 0x0b,
                  kSdata8 = 0x0c, kPcRelative = 0x10, kOmitted = 0xff;

// Reads a record that lies in memory; ok() is false once anything was missing.
class Cursor {
  public:
    Cursor(std::span<const std::byte> bytes, uint64_t address) : bytes_(bytes), address_(address) {}
    bool ok() const { return ok_; }
    uint64_t address() const { return address_ + at_; }

    template <typename T>
    T take() {
        T value{};
        if (sizeof value > bytes_.size() - at_) {
            ok_ = false;
        } else {
            std::memcpy(&value, bytes_.data() + at_, sizeof value);
            at_ += sizeof value;
        }
        return value;
    }
    uint64_t take_uleb() {
        uint64_t value = 0;
        for (unsigned shift = 0; ok_; shift += 7) {
            auto byte = take<uint8_t>();
            if (shift < 64) value |= uint64_t{byte & 0x7fu} << shift;
            if (!(byte & 0x80)) break;
        }
        return value;
    }
    std::span<const std::byte> rest() const { return bytes_.subspan(at_); }
    // A pointer of this encoding; `base` false: only its size and sign count.
    uint64_t take_pointer(uint8_t encoding, bool with_base) {
        uint64_t from = address(), value = 0;
        switch (encoding & 0x0f) {
            case kAbsolute:
            case kUdata8:
            case kSdata8: value = take<uint64_t>(); break;
            case kUdata4: value = take<uint32_t>(); break;
            case kSdata4: value = static_cast<uint64_t>(int64_t{take<int32_t>()}); break;
            case kUdata2: value = take<uint16_t>(); break;
            case kSdata2: value = static_cast<uint64_t>(int64_t{take<int16_t>()}); break;
            default: ok_ = false;
        }
        switch (encoding & 0xf0) {
            case 0: break;
            case kPcRelative: value += with_base ? from : 0; break;
            default: ok_ = false;  // relative to text or data, or indirect: no linker makes it for functions
        }
        return value;
    }

  private:
    std::span<const std::byte> bytes_;
    uint64_t address_;
    size_t at_ = 0;
    bool ok_ = true;
};

// The pointer encoding that a CIE's augmentation gives its FDEs; nothing if the CIE is broken.
std::optional<uint8_t> encoding_of_cie(Cursor cie) {
    const auto version = cie.take<uint8_t>();
    if (version != 1 && version != 3) return std::nullopt;
    char augmentation[8] = {};
    for (size_t i = 0;; i++) {
        char c = static_cast<char>(cie.take<uint8_t>());
        if (!cie.ok() || i == sizeof augmentation) return std::nullopt;
        if (c == '\0') break;
        augmentation[i] = c;
    }
    cie.take_uleb();  // code alignment
    cie.take_uleb();  // data alignment; a signed number has the same length
    if (version == 1) cie.take<uint8_t>();
    else cie.take_uleb();
    uint8_t encoding = kAbsolute;
    if (augmentation[0] == 'z') {
        cie.take_uleb();
        for (size_t i = 1; i < sizeof augmentation && augmentation[i]; i++) {
            switch (augmentation[i]) {
                case 'R': encoding = cie.take<uint8_t>(); break;
                case 'L': cie.take<uint8_t>(); break;
                case 'P': {
                    auto personality = cie.take<uint8_t>();
                    cie.take_pointer(personality & 0x7f, false);
                    break;
                }
                case 'S':
                case 'B': break;
                default: return std::nullopt;
            }
        }
    } else if (augmentation[0] != '\0') {
        return std::nullopt;
    }
    if (!cie.ok()) return std::nullopt;
    return encoding;
}

}  // namespace

namespace {

// The address of .eh_frame: as PT_GNU_EH_FRAME says, else the section's. 0: there is none.
Result<uint64_t> find_eh_frame(const Reader& file, const ElfImage& image, Refusal& refusal) {
    if (!image.eh_frame_header()) return image.eh_frame_section().value_or(0);
    const Segment table = *image.eh_frame_header();
    constexpr size_t kHeader = 12;  // as much as its first pointer can need
    if (table.size < kHeader) return refusal("its .eh_frame_hdr is cut off", table.offset);
    std::byte header[kHeader];
    TRY(file.read(table.offset, header));
    Cursor cursor(header, table.address);
    const auto version = cursor.take<uint8_t>(), encoding = cursor.take<uint8_t>();
    cursor.take<uint16_t>();  // encodings of its search table
    const uint64_t address = cursor.take_pointer(encoding, true);
    if (version != 1 || encoding == kOmitted || !cursor.ok())
        return refusal("its .eh_frame_hdr is broken", table.offset);
    return address;
}

}  // namespace

Result<void> read_eh_frame(const Reader& file, const ElfImage& image, core::Vector<FunctionRange>& functions,
                           Refusal& refusal) {
    const uint64_t address = TRY(find_eh_frame(file, image, refusal));
    if (address == 0) return {};
    const uint64_t place = image.eh_frame_header() ? image.eh_frame_header()->offset : 0;
    const Segment* home = nullptr;
    for (const Segment& segment : image.loaded())
        if (segment.contains_address(address)) home = &segment;
    if (!home) return refusal("its .eh_frame lies outside of the file", place);
    const uint64_t begin = home->offset_of(address), end = home->end_offset();
    core::Vector<std::byte> storage;
    std::span<const std::byte> bytes = file.view(begin, end - begin);
    if (bytes.empty()) {
        TRY(storage.resize(end - begin));
        TRY(file.read(begin, {storage.data(), storage.size()}));
        bytes = storage;
    }

    uint64_t last_cie = ~uint64_t{0};
    uint8_t last_encoding = 0;
    for (uint64_t at = 0; at + 4 <= bytes.size();) {
        uint32_t length;
        std::memcpy(&length, bytes.data() + at, sizeof length);
        if (length == 0) break;
        const uint64_t record = at + 4, offset = begin + at;
        if (length == 0xffff'ffff || length < 4 || length > bytes.size() - record)
            return refusal("its .eh_frame is broken", offset);
        uint32_t id;
        std::memcpy(&id, bytes.data() + record, sizeof id);
        at = record + length;
        if (id == 0) continue;
        if (id > record) return refusal("its .eh_frame is broken (a function without CIE)", offset);
        if (const uint64_t cie = record - id; cie != last_cie) {
            uint32_t cie_length = 0, cie_id = 1;
            if (cie + 8 <= bytes.size()) {
                std::memcpy(&cie_length, bytes.data() + cie, sizeof cie_length);
                std::memcpy(&cie_id, bytes.data() + cie + 4, sizeof cie_id);
            }
            if (cie_id != 0 || cie_length < 4 || cie_length > bytes.size() - cie - 4)
                return refusal("its .eh_frame is broken (a function without CIE)", offset);
            auto found = encoding_of_cie({bytes.subspan(cie + 8, cie_length - 4), 0});
            if (!found) return refusal("its .eh_frame is of an unknown kind", begin + cie);
            last_cie = cie;
            last_encoding = *found;
        }
        Cursor fde(bytes.subspan(record + 4, length - 4), address + record + 4);
        const uint64_t function = fde.take_pointer(last_encoding, true);
        const uint64_t size = fde.take_pointer(last_encoding & 0x0f, false);
        if (!fde.ok()) return refusal("its .eh_frame is broken", offset);
        const Segment* code = image.executable_at(function);
        if (!code || size == 0) continue;
        if (size > code->size - (function - code->address))
            return refusal("its .eh_frame describes a function that leaves its segment", offset);
        TRY(functions.push_back({function, function + size}));
    }
    return {};
}

}  // namespace mpk::inspect
