// What the inspection finds in one file, and the table of it that is appended to boot images (mpk/inspect/code_table.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "image/erofs_writer.h"
#include "mpk/inspect/code_map.h"

namespace tool {

/// A code map that owns its memory.
struct FileCode {
    mpk::inspect::Verdict verdict = mpk::inspect::Verdict::kNoCode;
    std::string reason;
    std::vector<mpk::inspect::PageRange> pages;
    std::vector<mpk::inspect::Site> sites;
    uint64_t residuals = 0;
};

bool looks_like_elf(std::string_view content);

/// Inspects a file's content. Throws Failure if memory is short.
FileCode inspect_content(std::string_view content);

struct TableFile {
    uint64_t inode = 0;
    uint64_t size = 0;
    FileCode code;
};

/// The serialised table of these files, in any order.
std::string code_table(std::vector<TableFile> files);

/// Appends the table of all ELF files of an image that write_erofs has just written. Results are kept in `cache` by the
/// files' content. Throws Failure if the image cannot be read or written.
void append_code_table(const std::filesystem::path& image, const std::vector<ImageFile>& files,
                       const std::filesystem::path& cache);

}  // namespace tool
