// Names of functions by address.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tool {

/// The functions of one ELF file, from .symtab, or from .dynsym if it is stripped.
class SymbolTable {
  public:
    /// An empty table if these bytes are no ELF file with symbols.
    explicit SymbolTable(std::string_view elf);

    /// The function that holds an address of the file's own numbering; C++ names are readable and have no parameters.
    /// Empty if none does: a symbol with a size holds only that many bytes, one without all up to the next.
    std::string_view find(uint64_t address) const;
    bool empty() const { return symbols_.empty(); }

  private:
    struct Symbol {
        uint64_t address;
        uint64_t size;
        std::string name;
    };
    std::vector<Symbol> symbols_;  // by address
};

}  // namespace tool
