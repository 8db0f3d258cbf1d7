// One block of an EROFS directory: entries, then their names, in ascending order of names.
#pragma once

#include <cstring>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "fs/erofs/format.h"
#include "fs/inode.h"

namespace fs::erofs {

class DirectoryBlock {
  public:
    // Checks what all entries depend on; the error says what is broken.
    static std::expected<DirectoryBlock, const char*> parse(std::span<const std::byte> bytes) {
        if (bytes.size() < sizeof(DirectoryEntry)) return std::unexpected("directory block is too short");
        DirectoryBlock block(bytes);
        unsigned names = block.entry(0).name_offset;
        if (names < sizeof(DirectoryEntry) || names % sizeof(DirectoryEntry) || names > bytes.size())
            return std::unexpected("directory block has a broken number of entries");
        block.count_ = names / sizeof(DirectoryEntry);
        return block;
    }

    unsigned count() const { return count_; }
    DirectoryEntry entry(unsigned index) const {
        DirectoryEntry entry;
        std::memcpy(&entry, bytes_.data() + index * sizeof entry, sizeof entry);
        return entry;
    }
    // Null if name(index) may be called, else what is broken.
    const char* check(unsigned index) const {
        unsigned start = entry(index).name_offset, end = end_of(index);
        if (start < count_ * sizeof(DirectoryEntry) || start >= end || end > bytes_.size())
            return "directory entry's name lies outside of its block";
        std::string_view text = name(index);
        if (text.empty() || text.size() > 255) return "directory entry has no proper name";
        if (text.find('/') != std::string_view::npos || text.find('\0') != std::string_view::npos)
            return "directory entry's name holds a slash or NUL";
        return nullptr;
    }
    std::string_view name(unsigned index) const {
        unsigned start = entry(index).name_offset, end = end_of(index);
        const char* text = reinterpret_cast<const char*>(bytes_.data()) + start;
        // The last name ends at a NUL or with the block.
        if (index + 1 == count_) return {text, strnlen(text, end - start)};
        return {text, end - start};
    }

  private:
    explicit DirectoryBlock(std::span<const std::byte> bytes) : bytes_(bytes) {}
    unsigned end_of(unsigned index) const {
        return index + 1 < count_ ? entry(index + 1).name_offset : static_cast<unsigned>(bytes_.size());
    }
    std::span<const std::byte> bytes_;
    unsigned count_ = 0;
};

inline std::optional<FileType> file_type(uint8_t code) {
    static constexpr FileType kTypes[] = {FileType::kRegular, FileType::kDirectory, FileType::kCharacter,
                                          FileType::kBlock,   FileType::kFifo,      FileType::kSocket,
                                          FileType::kSymlink};
    if (code < 1 || code > 7) return std::nullopt;
    return kTypes[code - 1];
}

}  // namespace fs::erofs
