// Process-context identifiers: what a processor has cached of several tables at once (SDM vol. 3, 4.10.1).
//
// A processor keeps the translations of the kPrograms tables that it loaded last, each under a PCID of its own, and of
// the kernel's own table under PCID 0. Loading one of them again keeps them, unless the tables have changed since: each
// space counts its flushes (TlbState::generation), and only processors that have it loaded then are asked to flush.
#pragma once

#include <atomic>
#include <cstdint>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/tlb.h"

namespace arch {

// What processors may have cached of one address space's tables.
struct TlbState {
    TlbState() : id(next_id.fetch_add(1, std::memory_order_relaxed)) {}
    const uint64_t id;                    // never used again
    std::atomic<uint64_t> loaded_on{0};   // bit n: CR3 of processor n points to a top table of this space
    // Counts flushes. A processor that sets its bit above reads it after that; one that changed the tables counts
    // before it reads the bits: either the one flushes when it loads them, or the other asks it to.
    std::atomic<uint64_t> generation{0};

  private:
    inline static constinit std::atomic<uint64_t> next_id{1};
};

// The PCIDs of one processor. Used by that processor only, with interrupts off.
class Pcids {
  public:
    static constexpr unsigned kPrograms = 7;
    struct Choice {
        unsigned pcid;
        bool keeps;  // all that is cached under it is right: CR3 may be loaded without a flush
    };

    // The tables of `space` for programs of `model`, as of `generation`, are about to be loaded.
    Choice load(uint64_t space, Model model, uint64_t generation) {
        const uint64_t key = space * kModelCount + static_cast<unsigned>(model);
        unsigned chosen = 1;
        for (unsigned i = 1; i <= kPrograms; i++) {
            if (slots_[i].key == key) {
                chosen = i;
                break;
            }
            if (slots_[i].last_use < slots_[chosen].last_use) chosen = i;
        }
        Slot& slot = slots_[chosen];
        const bool keeps = slot.key == key && slot.generation == generation;
        slot = {key, generation, ++uses_};
        loaded_ = chosen;
        return {chosen, keeps};
    }
    Choice load_kernel_table() {
        const bool keeps = slots_[0].key == kKernelTable;
        slots_[0].key = kKernelTable;
        loaded_ = 0;
        return {0, keeps};
    }
    // This request is carried out for the loaded table.
    void note(const FlushRequest& request) {
        Slot& loaded = slots_[loaded_];
        if (request.space != 0) {
            // If others overtook it, the next load flushes once more.
            const bool is_its = loaded_ != 0 && loaded.key / kModelCount == request.space;
            if (is_its && loaded.generation + 1 == request.generation) loaded.generation = request.generation;
        } else if (request.everything || request.pages() != 0) {  // without pages it is for the interrupt only
            for (Slot& slot : slots_) {
                if (&slot != &loaded) slot = {};
            }
        }
    }

  private:
    static constexpr uint64_t kKernelTable = 1;  // below the key of any space
    struct Slot {
        uint64_t key = 0;  // 0: nothing that could be kept
        uint64_t generation = 0;
        uint64_t last_use = 0;
    };
    static_assert(kKernelTable < kModelCount);  // ids begin at 1

    Slot slots_[kPrograms + 1];
    unsigned loaded_ = 0;
    uint64_t uses_ = 0;
};

// The processors have PCIDs, and INVPCID. Constant once the first program runs.
extern bool g_uses_pcids;
inline bool uses_pcids() { return g_uses_pcids; }
// On the first processor, before it or another sets CR4.
void initialize_pcids();

// The running processor's.
Pcids& pcids();

}  // namespace arch
