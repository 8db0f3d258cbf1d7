// What an isolated space executes, and how a running one becomes confined.
//
// The rule, kept under the space's lock: a VMA of an isolated space is executable only if it is not writable and maps
// inspected text (or the kernel's own code), and inspected text is mapped only where it is executable. So bytes that
// inspection has replaced are never seen as data, and bytes that a program can write are never executed.
#include "arch/x86_64/tlb.h"
#include "core/log.h"
#include "core/weakness.h"
#include "mm/address_space_state.h"

namespace mm {

using State = AddressSpace::State;

namespace {

CodePolicy* g_policy = nullptr;

// Says in `reason` why an isolated program cannot execute such memory, whatever it holds. False: inspection decides.
bool is_refused(const Mappable* object, Sharing sharing, Protection protection, Reason& reason) {
    if (protection.write && !core::weakened(core::Weakness::kWriteXorExecute)) {
        if (object) reason.set("writable and executable memory of {}", object->map_name());
        else reason.set("memory that is writable and executable");
    } else if (core::weakened(core::Weakness::kInspection)) {
        return false;
    } else if (!object) {
        reason.set("code made at run time: anonymous executable memory");
    } else if (sharing == Sharing::kShared) {
        reason.set("a shared executable mapping of {}", object->map_name());
    } else if (!g_policy) {
        reason.set("inspection is not available");
    } else {
        return false;
    }
    return true;
}

}  // namespace

void set_code_policy(CodePolicy* policy) { g_policy = policy; }
CodePolicy* code_policy() { return g_policy; }

Vma* State::executable_in(UserRange range) {
    for (Vma* vma = find(range.start); vma && vma->range.start < range.end; vma = next(*vma)) {
        if (vma->protection.execute) return vma;
    }
    return nullptr;
}

bool State::has_private_copies(UserRange range) {
    bool found = false;
    tables.for_each_leaf(range, [&](PageTable& leaf, UserAddr, unsigned first, unsigned end) {
        for (unsigned i = first; i < end && !found; i++) {
            PageEntry entry = leaf.get(i);
            found = entry.has_frame() && frame_of(entry.frame()).state == Frame::State::kAnonymous;
        }
    });
    return found;
}

void State::exchange_object(Vma& vma, core::Ref<Mappable>& object, FlushBatch& batch) {
    zap_for_file(vma.range, Zap::kFilePagesOnly, batch);  // whoever shares a table faults in again what it maps
    vma.object->page_cache().remove_mapping(vma);
    std::swap(vma.object, object);
    vma.object->page_cache().add_mapping(vma);
}

void AddressSpace::set_isolation(Fallback fallback, const Reason& reason) {
    SpaceGuard guard(*state_);
    state_->fallback = fallback;
    state_->isolation_reason = reason;
}

Reason AddressSpace::isolation_reason() {
    SpaceGuard guard(*state_);
    return state_->isolation_reason;
}

void AddressSpace::confine(const Reason& reason) {
    {
        SpaceGuard guard(*state_);
        if (model() != Model::kIsolated) return;
        state_->isolation_reason = reason;
        if (state_->tlb.loaded_on != 0) was_confined_.store(true, std::memory_order_relaxed);  // else exec is making it
        model_.store(Model::kConfined, std::memory_order_seq_cst);
        // Every processor that runs a program of this space enters the kernel and finds the new model on its way out.
        // One that is in the kernel and answers while it spins is told to look by exit_work; one that is past that
        // look is interrupted as soon as it runs the program, and answers then.
        uint64_t cpus = state_->tlb.loaded_on.load(std::memory_order_seq_cst) & ~(uint64_t{1} << arch::this_cpu());
        if (cpus != 0 && !core::weakened(core::Weakness::kConfineOrder)) {
            arch::flush({.cpus = cpus, .start = 0, .end = 0, .everything = true,
                         .exit_work = arch::kExitWorkModel});
        }
    }
    if (code_policy()) code_policy()->confined();
    show_plain_files();
}

// Nobody executes in ring 0 any more: text becomes what the file holds. One VMA a round, because the text's reference
// is dropped without the lock.
void AddressSpace::show_plain_files() {
    // Weakened, the other processors must not be interrupted for this either.
    arch::TlbState here;
    here.loaded_on = uint64_t{1} << arch::this_cpu();
    arch::TlbState& tlb = core::weakened(core::Weakness::kConfineOrder) ? here : state_->tlb;
    for (;;) {
        core::Ref<Mappable> object;
        SpaceGuard guard(*state_);
        for (Vma& vma : state_->vmas) {
            if (!vma.object || !(object = vma.object->plain_form())) continue;
            FlushBatch batch(tlb);
            state_->exchange_object(vma, object, batch);
            break;
        }
        if (!object) state_->maps_text = false;
        guard.release();
        if (!object) return;
    }
}

// The space was asked for code that cannot run isolated. Success: it is confined now.
Result<void> AddressSpace::refuse_code(const Reason& reason) {
    if (model() != Model::kIsolated) return {};
    Fallback fallback;
    {
        SpaceGuard guard(*state_);
        fallback = state_->fallback;
    }
    if (fallback == Fallback::kRefuse) {
        klog::warn("isolation=mpk: refused: {}", reason.view());
        return fail(Errno::kAcces);
    }
    klog::info("a process becomes confined: {}", reason.view());
    confine(reason);
    return {};
}

// What is mapped for a request for executable memory.
Result<core::Ref<Mappable>> AddressSpace::text_of(const core::Ref<Mappable>& object, Sharing sharing,
                                                  Protection protection, uint64_t first_index, uint64_t end_index) {
    if (model() != Model::kIsolated) return object;
    Reason reason;
    if (!is_refused(object.get(), sharing, protection, reason)) {
        if (core::weakened(core::Weakness::kInspection)) return object;
        auto text = code_policy()->inspect(object, first_index, end_index, reason);
        if (text || text.error() != Errno::kAcces) return text;
    }
    TRY(refuse_code(reason));
    return object;
}

// Before mprotect(2): finds the texts of all VMAs in the range that are to become executable. Without the lock.
Result<void> AddressSpace::check_code_protection(UserRange range, Protection protection, core::Vector<Text>& texts) {
    UserAddr reached = range.start;
    while (model() == Model::kIsolated) {
        core::Ref<Mappable> object;
        Text text;
        Reason reason;
        bool writes = protection.write && !core::weakened(core::Weakness::kWriteXorExecute);
        {
            SpaceGuard guard(*state_);
            Vma* vma = state_->find(reached);
            while (vma && vma->range.start < range.end && vma->protection.execute && !writes) {
                vma = state_->next(*vma);
            }
            if (!vma || vma->range.start >= range.end || core::weakened(core::Weakness::kInspection)) return {};
            UserAddr start = std::max(vma->range.start, range.start), end = std::min(vma->range.end, range.end);
            reached = end;
            object = vma->object;
            text.file = object.get();
            text.first = vma->index_of(start);
            text.end = text.first + ((end - start) >> core::kPageShift);
            bool refused = is_refused(object.get(), vma->sharing, protection, reason);
            if (!refused && state_->has_private_copies({start, end})) {
                reason.set("modified code of {}", object->map_name());
            }
        }
        if (!reason.view().empty()) return refuse_code(reason);
        text.object = TRY(text_of(object, Sharing::kPrivate, protection, text.first, text.end));
        TRY(texts.push_back(std::move(text)));
    }
    return {};
}

AddressSpace::CodeLocation AddressSpace::code_at(UserAddr address) {
    SpaceGuard guard(*state_);
    Vma* vma = state_->containing(address);
    if (!vma || !vma->protection.execute || !vma->object) return {};
    return {vma->object, (vma->index_of(address) << core::kPageShift) + address.page_offset()};
}

}  // namespace mm
