// Small ELF files for tests of the inspection: one executable segment, unwind information, whatever is to be broken.
#pragma once

#include <elf.h>

#include <cstring>
#include <functional>
#include <initializer_list>
#include <utility>
#include <vector>

namespace testing_elf {

// Page 0: headers. Page 1 and on: the code. Behind it, on a page of its own: .eh_frame_hdr and .eh_frame.
class ElfBuilder {
  public:
    static constexpr uint64_t kBase = 0x400000, kCode = 0x1000;
    uint16_t type = ET_EXEC;
    uint32_t code_flags = PF_R | PF_X;
    uint32_t stack_flags = PF_R | PF_W;
    uint64_t entry = 0;
    bool with_eh_frame = true;
    std::vector<std::pair<int64_t, int64_t>> dynamic;
    std::vector<uint8_t> code;
    std::function<void(std::vector<uint8_t>&)> change_eh_frame = [](auto&) {};

    // Appends bytes; returns their offset in the file.
    uint64_t bytes(std::initializer_list<int> list) {
        uint64_t at = kCode + code.size();
        for (int byte : list) code.push_back(static_cast<uint8_t>(byte));
        return at;
    }
    // The same, described as a function by .eh_frame.
    uint64_t function(std::initializer_list<int> list) {
        uint64_t at = bytes(list);
        functions_.push_back({kBase + at, list.size()});
        return at;
    }
    void describe(uint64_t offset, uint64_t size) { functions_.push_back({kBase + offset, size}); }
    void pad_to(uint64_t offset, uint8_t byte) { code.resize(offset - kCode, byte); }

    std::vector<std::byte> build() const {
        const uint64_t tables = (kCode + code.size() + 0xfff) & ~uint64_t{0xfff};
        std::vector<uint8_t> frame = eh_frame(kBase + tables + 12);
        change_eh_frame(frame);
        std::vector<uint8_t> header = {1, 0x1b, 0xff, 0xff};  // sdata4, relative to its place; no search table
        append(header, int32_t{12 - 4});
        header.resize(12);
        std::vector<Elf64_Phdr> headers = {
            segment(PT_LOAD, PF_R, 0, 0x1000),
            segment(PT_LOAD, code_flags, kCode, code.size()),
            segment(PT_LOAD, PF_R, tables, 12 + frame.size()),
            segment(PT_GNU_STACK, stack_flags, 0, 0),
        };
        if (with_eh_frame) headers.push_back(segment(PT_GNU_EH_FRAME, PF_R, tables, 12));
        if (!dynamic.empty()) headers.push_back(segment(PT_DYNAMIC, PF_R, 0x800, (dynamic.size() + 1) * 16));
        Elf64_Ehdr elf = {};
        std::memcpy(elf.e_ident, ELFMAG, SELFMAG);
        elf.e_ident[EI_CLASS] = ELFCLASS64;
        elf.e_ident[EI_DATA] = ELFDATA2LSB;
        elf.e_type = type;
        elf.e_machine = EM_X86_64;
        elf.e_entry = entry ? kBase + entry : 0;
        elf.e_phoff = sizeof elf;
        elf.e_phentsize = sizeof(Elf64_Phdr);
        elf.e_phnum = static_cast<uint16_t>(headers.size());

        std::vector<std::byte> file(tables + 12 + frame.size());
        std::memcpy(file.data(), &elf, sizeof elf);
        std::memcpy(file.data() + sizeof elf, headers.data(), headers.size() * sizeof(Elf64_Phdr));
        if (!dynamic.empty()) std::memcpy(file.data() + 0x800, dynamic.data(), dynamic.size() * 16);
        std::memcpy(file.data() + kCode, code.data(), code.size());
        std::memcpy(file.data() + tables, header.data(), header.size());
        std::memcpy(file.data() + tables + 12, frame.data(), frame.size());
        return file;
    }

  private:
    struct Function { uint64_t address, size; };

    template <typename T>
    static void append(std::vector<uint8_t>& to, T value) {
        for (size_t i = 0; i < sizeof value; i++) to.push_back(static_cast<uint8_t>(static_cast<uint64_t>(value) >> 8 * i));
    }
    static Elf64_Phdr segment(uint32_t type, uint32_t flags, uint64_t offset, uint64_t size) {
        return {type, flags, offset, kBase + offset, kBase + offset, size, size, 0x1000};
    }
    std::vector<uint8_t> eh_frame(uint64_t address) const {
        std::vector<uint8_t> out;
        append(out, uint32_t{20});
        append(out, uint32_t{0});
        for (int byte : {1, int{'z'}, int{'R'}, 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1, 0, 0})
            out.push_back(static_cast<uint8_t>(byte));
        for (const Function& f : functions_) {
            append(out, uint32_t{16});
            append(out, static_cast<uint32_t>(out.size()));  // back to the CIE at 0
            append(out, static_cast<int32_t>(f.address - (address + out.size())));
            append(out, static_cast<int32_t>(f.size));
            append(out, uint32_t{0});
        }
        append(out, uint32_t{0});
        return out;
    }
    std::vector<Function> functions_;
};

}  // namespace testing_elf
