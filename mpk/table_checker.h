// A second, independent walker over one top-level page table, which says where it breaks the rules that isolation
// rests on (docs/architecture.md, "Memory" and "The exposed slot").
//
// Pure: reads tables through a function and knows nothing of the machine, so that host tests hand it constructed
// and captured tables. mpk/table_audit.h runs it over a live machine's tables in debug kernels.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "arch/x86_64/page_table.h"
#include "core/types.h"

namespace mpk {

enum class Violation : uint8_t {
    kTableUnreadable,        // an entry leads to a table that is no memory
    kGlobal,                 // G is set
    kKernelKeyMissing,       // a leaf of the kernel half without the kernel's key
    kKernelUserBit,          // a middle or leaf entry of the kernel half with U/S = 0
    kTopUserBit,             // U/S of a top-level entry does not match the model
    kKernelWritableCode,     // writable and executable in the kernel half
    kExposedExtra,           // the exposed slot holds a page that is not on its list
    kExposedMissing,         // a page of the list is not there
    kExposedRights,          // a page of the list is writable or executable against the list
    kExposedProcessorPage,   // the page of arch::Processor is writable where keys do not govern it
    kProgramKernelKey,       // a program's page with a key that is the kernel's
    kProgramSupervisor,      // a program's page or table with U/S = 0
    kProgramWritableCode,    // writable and executable in a space whose programs run in ring 0
    kProgramForeignFrame,    // a program's page is a page table, kernel memory, or free
    kLastPageMapped,         // the page below the canonical boundary
};
std::string_view name_of(Violation violation);

struct Finding {
    Violation violation;
    uint64_t address = 0;   // what the entry maps
    unsigned level = 0;     // 4 top-level to 1 leaf
    arch::PageEntry entry;
};

// What a page of the exposed slot may be used for.
struct ExposedPage {
    uint64_t offset;  // into the slot
    bool writable, executable;
};

// What slot 510 holds, said a second time: mpk/exposed_slot.cpp builds it.
class ExposedList {
  public:
    // `stub_pages`: the symbol stubs_page_count of the kernel (boot/kernel.ld).
    ExposedList(arch::Model model, uint64_t stub_pages);
    std::span<const ExposedPage> pages() const { return {pages_, count_}; }

  private:
    void add(uint64_t offset, bool writable, bool executable);
    ExposedPage pages_[32];
    size_t count_ = 0;
};

struct CheckedTable {
    core::Pfn top;
    arch::Model model = arch::Model::kConfined;
    // Exactly what slot 510 holds, in ascending order (ExposedList).
    std::span<const ExposedPage> exposed;
    // A page of 512 entries; null if the frame is no memory.
    const arch::PageTable* (*read)(void* context, core::Pfn frame) = nullptr;
    // May a program map this frame? Null: any.
    bool (*is_program_frame)(void* context, core::Pfn frame) = nullptr;
    void* context = nullptr;
};

// Calls `report` for each violation, in ascending order of addresses; returns how many there are. Allocates nothing.
// The tables must not be freed meanwhile; entries may change. Cost: one look at each entry of each table.
unsigned check_table(const CheckedTable& table, void (*report)(void* context, const Finding& finding));

}  // namespace mpk
