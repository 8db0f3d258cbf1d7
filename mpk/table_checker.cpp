#include "mpk/table_checker.h"

#include <iterator>

#include "arch/x86_64/asm_layout.h"
#include "arch/x86_64/layout.h"
#include "core/panic.h"

namespace mpk {

namespace {

using arch::PageEntry;
using arch::PageTable;

// What the entries above allow: U/S and R/W are ANDed over the levels, NX is ORed (SDM vol. 3, 4.6).
struct Rights {
    bool write = true, user = true, execute = true;

    Rights through(PageEntry entry) const {
        return {write && entry.is_writable(), user && entry.is_user(), execute && entry.is_executable()};
    }
};

class Checker {
  public:
    Checker(const CheckedTable& table, void (*report)(void*, const Finding&)) : table_(table), report_(report) {}

    unsigned run() {
        const PageTable* top = table_.read(table_.context, table_.top);
        if (!top) {
            found(Violation::kTableUnreadable, 0, arch::kTopLevel, PageEntry());
            return count_;
        }
        for (unsigned slot = 0; slot < arch::kTableEntries; slot++) {
            PageEntry entry = top->get(slot);
            uint64_t address = uint64_t{slot} << 39;
            if (slot >= arch::kFirstKernelSlot) address |= 0xffff'0000'0000'0000;
            if (!entry.is_present()) {
                if (slot == arch::kExposedSlot) missing_until(kSlotEnd);
                continue;
            }
            bool kernel_half = slot >= arch::kFirstKernelSlot;
            // The exposed slot is closed to keys and to ring 3 in every model; keys govern the rest of the kernel's
            // for isolated programs only.
            bool user = !kernel_half || (slot != arch::kExposedSlot && table_.model == arch::Model::kIsolated);
            if (entry.is_user() != user) {
                found(kernel_half ? Violation::kTopUserBit : Violation::kProgramSupervisor, address, arch::kTopLevel,
                      entry);
            }
            descend(entry, address, arch::kTopLevel, Rights().through(entry));
            if (slot == arch::kExposedSlot) missing_until(kSlotEnd);
        }
        return count_;
    }

  private:
    static constexpr uint64_t kSlotEnd = arch::entry_span(arch::kTopLevel);

    void found(Violation violation, uint64_t address, unsigned level, PageEntry entry) {
        count_++;
        report_(table_.context, {violation, address, level, entry});
    }

    static bool in_kernel_half(uint64_t address) { return address >> 63; }
    static bool in_exposed_slot(uint64_t address) {
        return address >= arch::kExposedBase && address < arch::kExposedBase + kSlotEnd;
    }

    // `entry`, of a table of `level`, leads to a lower table.
    void descend(PageEntry entry, uint64_t base, unsigned level, Rights rights) {
        if (entry.raw() & PageEntry::kGlobal) found(Violation::kGlobal, base, level, entry);
        const PageTable* table = table_.read(table_.context, entry.frame());
        if (!table) return found(Violation::kTableUnreadable, base, level, entry);
        level--;
        for (unsigned i = 0; i < arch::kTableEntries; i++) {
            PageEntry child = table->get(i);
            if (!child.is_present()) continue;
            uint64_t address = base + i * arch::entry_span(level);
            if (!child.is_user()) {
                found(in_kernel_half(base) ? Violation::kKernelUserBit : Violation::kProgramSupervisor, address, level,
                      child);
            }
            Rights below = rights.through(child);
            if (level > arch::kLeafLevel && !child.is_large()) descend(child, address, level, below);
            else if (in_exposed_slot(address)) exposed_leaf(child, address, level, below);
            else if (in_kernel_half(address)) kernel_leaf(child, address, level, below);
            else program_leaf(child, address, level, below);
        }
    }

    void leaf(PageEntry entry, uint64_t address, unsigned level) {
        if (entry.raw() & PageEntry::kGlobal) found(Violation::kGlobal, address, level, entry);
    }

    void kernel_leaf(PageEntry entry, uint64_t address, unsigned level, Rights rights) {
        leaf(entry, address, level);
        if (entry.key() != arch::kKernelKey) found(Violation::kKernelKeyMissing, address, level, entry);
        if (rights.write && rights.execute) found(Violation::kKernelWritableCode, address, level, entry);
        if (address == arch::kProcessorDataBase) processor_page_ = entry.frame();
    }

    // Slot 510 follows 509, so the Processor page is known.
    void exposed_leaf(PageEntry entry, uint64_t address, unsigned level, Rights rights) {
        leaf(entry, address, level);
        uint64_t offset = address - arch::kExposedBase;
        missing_until(offset);
        if (next_exposed_ == table_.exposed.size() || table_.exposed[next_exposed_].offset != offset ||
            level != arch::kLeafLevel) {
            return found(Violation::kExposedExtra, address, level, entry);
        }
        const ExposedPage& page = table_.exposed[next_exposed_++];
        if (rights.write != page.writable || rights.execute != page.executable) {
            found(Violation::kExposedRights, address, level, entry);
        }
        if (rights.write && entry.frame() == processor_page_) {
            found(Violation::kExposedProcessorPage, address, level, entry);
        }
    }

    // Pages of the list below `offset` that have not been met.
    void missing_until(uint64_t offset) {
        while (next_exposed_ < table_.exposed.size() && table_.exposed[next_exposed_].offset < offset) {
            uint64_t address = arch::kExposedBase + table_.exposed[next_exposed_++].offset;
            found(Violation::kExposedMissing, address, arch::kLeafLevel, PageEntry());
        }
    }

    void program_leaf(PageEntry entry, uint64_t address, unsigned level, Rights rights) {
        leaf(entry, address, level);
        if (entry.key() == arch::kKernelKey) found(Violation::kProgramKernelKey, address, level, entry);
        if (rights.write && rights.execute && table_.model == arch::Model::kIsolated) {
            found(Violation::kProgramWritableCode, address, level, entry);
        }
        if (address + arch::entry_span(level) > core::kUserEnd) {
            found(Violation::kLastPageMapped, address, level, entry);
        }
        if (!table_.is_program_frame) return;
        uint64_t frames = arch::entry_span(level) >> core::kPageShift;
        for (uint64_t i = 0; i < frames; i++) {
            if (table_.is_program_frame(table_.context, entry.frame() + i)) continue;
            found(Violation::kProgramForeignFrame, address + i * core::kPageSize, level, entry);
        }
    }

    const CheckedTable& table_;
    void (*report_)(void*, const Finding&);
    unsigned count_ = 0;
    size_t next_exposed_ = 0;
    core::Pfn processor_page_;
};

}  // namespace

std::string_view name_of(Violation violation) {
    switch (violation) {
        case Violation::kTableUnreadable: return "a table that is no memory";
        case Violation::kGlobal: return "a global entry";
        case Violation::kKernelKeyMissing: return "a kernel page without the kernel's key";
        case Violation::kKernelUserBit: return "a kernel entry with U/S = 0 below the top level";
        case Violation::kTopUserBit: return "U/S of a top-level entry does not match the model";
        case Violation::kKernelWritableCode: return "kernel memory that is writable and executable";
        case Violation::kExposedExtra: return "a page in the exposed slot that is not on its list";
        case Violation::kExposedMissing: return "a page of the exposed slot is missing";
        case Violation::kExposedRights: return "a page of the exposed slot with other rights than listed";
        case Violation::kExposedProcessorPage: return "the Processor page writable through the exposed slot";
        case Violation::kProgramKernelKey: return "a program's page with the kernel's key";
        case Violation::kProgramSupervisor: return "a program's entry with U/S = 0";
        case Violation::kProgramWritableCode: return "a page of an isolated program that is writable and executable";
        case Violation::kProgramForeignFrame: return "a program maps a frame that is not a program's";
        case Violation::kLastPageMapped: return "the last page below the canonical boundary is mapped";
    }
    return "?";
}

ExposedList::ExposedList(arch::Model model, uint64_t stub_pages) {
    add(EXPOSED_GATE, false, true);
    for (uint64_t i = 0; i < stub_pages; i++) add(EXPOSED_STUBS + i * core::kPageSize, false, true);
    add(EXPOSED_IDT, false, false);
    add(EXPOSED_GDT, false, false);
    add(EXPOSED_SCRATCH, true, false);
    for (uint64_t stack : {EXPOSED_IST1, EXPOSED_IST_NMI, EXPOSED_IST_DF, EXPOSED_IST_MC, EXPOSED_IST_DB}) {
        add(stack, true, false);
    }
    if (model == arch::Model::kIsolated) add(EXPOSED_STEP, false, true);
}

void ExposedList::add(uint64_t offset, bool writable, bool executable) {
    ASSERT(count_ < std::size(pages_));
    pages_[count_++] = {offset, writable, executable};
}

unsigned check_table(const CheckedTable& table, void (*report)(void* context, const Finding& finding)) {
    return Checker(table, report).run();
}

}  // namespace mpk
