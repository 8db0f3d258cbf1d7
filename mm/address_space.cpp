// Life of an address space, its top-level tables, and access from outside.
#include "mm/address_space.h"

#include <algorithm>
#include <cstring>

#include "core/panic.h"
#include "core/weakness.h"
#include "mm/address_space_state.h"

namespace mm {

using State = AddressSpace::State;

namespace {

// What a processor has in CR3, and its spare top-level table for when memory is short. Touched by that processor
// only.
struct Processor {
    AddressSpace::State* loaded = nullptr;
    Model model{};  // of the loaded table
    Pfn spare;
};
Processor g_processors[arch::kMaxCpus];

void leave(State& state, unsigned cpu) {
    state.tlb.loaded_on.fetch_and(~(uint64_t{1} << cpu), std::memory_order_release);
    state.tables.forget_spare(cpu);
}

}  // namespace

void forget_processors() {
    for (Processor& processor : g_processors) processor = Processor();
}

AddressSpace::State::~State() {
    vmas.clear_and_dispose([](Vma* vma) {
        if (vma->object) vma->object->page_cache().remove_mapping(*vma);
        delete vma;
    });
}

AddressSpace::AddressSpace(std::unique_ptr<State> state, Model model) : state_(std::move(state)), model_(model) {}

AddressSpace::~AddressSpace() {
    deactivate();
    ASSERT(state_->tlb.loaded_on.load() == 0);
}

Result<core::Ref<AddressSpace>> AddressSpace::create(Model model) {
    auto state = TRY(core::make<State>());
    state->initialize_keys();
    AddressSpace* space = new (std::nothrow) AddressSpace(std::move(state), model);
    if (!space) return fail(Errno::kNoMem);
    return core::Ref<AddressSpace>::adopt(space);
}

void AddressSpace::activate() {
    unsigned cpu = arch::this_cpu();
    Processor& processor = g_processors[cpu];
    State& state = *state_;
    Model wanted = model();
    if (processor.loaded == &state && processor.model == wanted) return;
    if (processor.spare == Pfn()) {
        auto spare = allocate_table();
        if (!spare) PANIC("no memory for a processor's spare top-level table");
        processor.spare = *spare;
    }
    State* before = processor.loaded;
    // The spare is in CR3: the kernel's own table takes over while it is rewritten.
    if (before && before->tables.uses_spare(cpu)) {
        deactivate_loaded(cpu);
        before = nullptr;
    }
    Pfn top = state.tables.prepare_top(cpu, wanted, processor.spare);
    // From here on, changes of the tables are flushed on this processor too; earlier ones are in memory before
    // CR3 is loaded (flush() in mm/flush_batch.h does the reverse).
    state.tlb.loaded_on.fetch_or(uint64_t{1} << cpu, std::memory_order_seq_cst);
    arch::load_top_table(top.address(), wanted, state.tlb);
    processor.loaded = &state;
    processor.model = wanted;
    if (before && before != &state) leave(*before, cpu);
}

void AddressSpace::deactivate_loaded(unsigned cpu) {
    State* state = std::exchange(g_processors[cpu].loaded, nullptr);
    arch::load_kernel_table();
    leave(*state, cpu);
}

void AddressSpace::deactivate() {
    unsigned cpu = arch::this_cpu();
    if (g_processors[cpu].loaded == state_.get()) deactivate_loaded(cpu);
}

// --- access from outside -------------------------------------------------------------------------------------

namespace {

// Calls use(entry) if the entry of `address` grants the access.
template <typename Use>
bool use_entry(PageTables& tables, UserAddr address, AccessKind kind, Use use) {
    PageEntry table = tables.leaf_entry(address);
    if (!table.is_present()) return false;
    const PageTable& leaf = *PageTables::table_of(table);
    const unsigned index = arch::table_index(address.value(), arch::kLeafLevel);
    if (kind == AccessKind::kWrite) {
        PageEntry entry = leaf.get(index);
        if (!table.is_writable() || !entry.is_present() || !entry.is_writable()) return false;
        use(entry);
        return true;
    }
    // A page of a file may vanish from a shared table while only another of its spaces is locked.
    const bool shared = PageTables::is_shared(leaf);
    if (shared) PageTables::lock_of_shared(leaf).lock();
    PageEntry entry = leaf.get(index);
    if (entry.is_present()) use(entry);
    if (shared) PageTables::lock_of_shared(leaf).unlock();
    return entry.is_present();
}

}  // namespace

template <typename Access>
Result<void> AddressSpace::access_memory(UserAddr address, size_t size, AccessKind kind, bool force, Access access) {
    while (size > 0) {
        State::Replacement replacement;
        {
            SpaceGuard guard(*state_);
            while (size > 0) {
                if (address.value() >= core::kUserEnd) return fail(Errno::kFault);
                size_t part = std::min(size, kPageSize - address.page_offset());
                auto use = [&](PageEntry entry) {
                    access(static_cast<std::byte*>(to_pointer(entry.frame())) + address.page_offset(), part);
                };
                if (!use_entry(state_->tables, address, kind, use)) {
                    auto result = state_->fault_locked(address, kind, force ? State::Force::kYes : State::Force::kNo,
                                                       replacement);
                    if (replacement.object) break;
                    if (!result) return fail(Errno::kFault);
                    if (kind != AccessKind::kWrite) continue;
                    use(state_->tables.entry(address));  // may be read-only if forced, but it is ours
                }
                address += part;
                size -= part;
            }
        }
        if (replacement.object && !State::replace(replacement)) return fail(Errno::kFault);
    }
    return {};
}

Result<void> AddressSpace::read_memory(UserAddr source, std::span<std::byte> destination) {
    std::byte* to = destination.data();
    return access_memory(source, destination.size(), AccessKind::kRead, false, [&](std::byte* page, size_t size) {
        std::memcpy(to, page, size);
        to += size;
    });
}

Result<void> AddressSpace::write_memory(UserAddr destination, std::span<const std::byte> source, bool force) {
    if (force && model() == Model::kIsolated && !core::weakened(core::Weakness::kWriteXorExecute)) {
        // A debugger's breakpoint: the only write that no protection refuses.
        bool is_code;
        {
            SpaceGuard guard(*state_);
            is_code = state_->executable_in({destination, destination + source.size()});
        }
        if (is_code && !refuse_code(Reason("a write into executable memory through /proc/<pid>/mem"))) {
            return fail(Errno::kFault);
        }
    }
    const std::byte* from = source.data();
    return access_memory(destination, source.size(), AccessKind::kWrite, force, [&](std::byte* page, size_t size) {
        std::memcpy(page, from, size);
        from += size;
    });
}

Result<AddressSpace::FutexKey> AddressSpace::futex_key(UserAddr address, Sharing sharing) {
    if (sharing == Sharing::kPrivate) return FutexKey{this, address.value()};
    SpaceGuard guard(*state_);
    Vma* vma = state_->containing(address);
    if (!vma || !vma->accessible()) return fail(Errno::kFault);
    if (!vma->is_shared()) return FutexKey{this, address.value()};
    return FutexKey{&vma->object->page_cache(), (vma->index_of(address) << core::kPageShift) + address.page_offset()};
}

// --- statistics ----------------------------------------------------------------------------------------------

namespace {
MapLine line_of(const Vma& vma) {
    MapLine line{vma.range, vma.protection, vma.sharing, 0, 0, 0, vma.label, vma.key};
    if (vma.object) {
        line.offset = vma.first_index << core::kPageShift;
        line.device = vma.object->map_device();
        line.inode = vma.object->map_inode_number();
        if (line.name.empty()) line.name = vma.object->map_name();
    }
    return line;
}
}  // namespace

void AddressSpace::for_each_map(void (*visit)(void* context, const MapLine& line), void* context) {
    SpaceGuard guard(*state_);
    for (const Vma& vma : state_->vmas) visit(context, line_of(vma));
}

void AddressSpace::for_each_residency(void (*visit)(void* context, const MapLine& line, const Residency& residency),
                                      void* context) {
    SpaceGuard guard(*state_);
    for (const Vma& vma : state_->vmas) {
        Residency residency;
        state_->tables.for_each_leaf(vma.range, [&](PageTable& leaf, UserAddr, unsigned first, unsigned end) {
            const bool shared = PageTables::is_shared(leaf);
            if (PageTables::is_behind_large(leaf)) residency.huge_pages++;
            for (unsigned i = first; i < end; i++) {
                PageEntry entry = leaf.get(i);
                if (!entry.has_frame()) continue;
                const Frame& frame = frame_of(entry.frame());
                if (frame.state != Frame::State::kAnonymous) {
                    residency.file_pages++;
                    continue;
                }
                residency.anonymous_pages++;
                if (!shared && frame.references.load(std::memory_order_relaxed) == 1) residency.unshared_pages++;
            }
        });
        visit(context, line_of(vma), residency);
    }
}

AddressSpace::Sizes AddressSpace::sizes() {
    SpaceGuard guard(*state_);
    const State& state = *state_;
    PageTables::Resident resident = state.tables.resident();
    return {.total_pages = state.mapped,
            .resident_pages = resident.anonymous + resident.file,
            .shared_pages = resident.file,
            .text_pages = state.text,
            .data_pages = state.data,
            .stack_pages = state.stack,
            .locked_pages = state.locked};
}

uint64_t AddressSpace::mapped_pages() {
    SpaceGuard guard(*state_);
    return state_->mapped;
}

uint64_t AddressSpace::mapped_pages(UserRange range) {
    SpaceGuard guard(*state_);
    uint64_t pages = 0;
    for (Vma* vma = state_->find(range.start); vma && vma->range.start < range.end; vma = state_->next(*vma)) {
        UserAddr start = std::max(range.start, vma->range.start), end = std::min(range.end, vma->range.end);
        pages += (end - start) >> core::kPageShift;
    }
    return pages;
}

uint64_t AddressSpace::data_pages() {
    SpaceGuard guard(*state_);
    return state_->data;
}

}  // namespace mm
