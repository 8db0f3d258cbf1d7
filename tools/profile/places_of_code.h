// Which function a translation block belongs to: the kernel's by address, a program's by what its page holds.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "image/tree.h"
#include "profile/symbols.h"
#include "profile/trace.h"

namespace tool {

struct Function {
    std::string name;    // "[libc.so.6]" if the symbols do not tell
    std::string object;  // "kernel", or the file's name without folders, or "?"
    bool is_program = false;  // the object is an executable, no library
};

/// The address space that a block ran in is not known, and need not be: code pages are copies of file pages, so
/// the page's bytes tell the file and the place in it. Pages that differ in a few bytes (patched code) count too. Of
/// several files with the same page it is the one with the most pages that ran.
class CodePlaces {
  public:
    /// `root` is the tree that the guest ran from, `kernel` the kernel's ELF file.
    CodePlaces(const Tree& root, std::string_view kernel, const Trace& trace);

    /// Numbers of functions of `functions()`, one for each block of the trace.
    const std::vector<uint32_t>& of_blocks() const { return of_blocks_; }
    const std::vector<Function>& functions() const { return functions_; }

  private:
    struct File {
        std::string name;
        bool is_program = false;
        std::shared_ptr<SymbolTable> symbols;
        std::string content;
    };
    struct FilePage {
        uint32_t file;
        uint64_t offset;   // in the file
        uint64_t address;  // in the file's own numbering
    };

    void add_file(const std::string& path, std::string content);
    std::string page_of(const FilePage& page) const;
    std::vector<FilePage> find_pages(const std::string& bytes) const;
    std::vector<FilePage> find_similar(const std::string& bytes) const;
    uint32_t number_of(Function function);

    std::vector<File> files_;
    std::vector<FilePage> file_pages_;
    std::unordered_multimap<size_t, uint32_t> pages_by_hash_;
    std::map<std::pair<std::string, std::string>, uint32_t> numbers_;
    std::vector<Function> functions_;
    std::vector<uint32_t> of_blocks_;
};

}  // namespace tool
