// A hash table from 64-bit keys to 64-bit numbers, for tens of millions of look-ups a second.
#pragma once

#include <cstdint>
#include <vector>

/// Open addressing with linear probing, at most half full.
class CounterTable {
  public:
    CounterTable() : slots_(1 << 16) {}

    /// The number of a key, 0 if it is new. Stays valid until the next call.
    uint64_t& operator[](uint64_t key) {
        Slot* slot = find(slots_, key);
        if (slot->key == kFree) {
            if (++used_ * 2 > slots_.size()) {
                grow();
                slot = find(slots_, key);
            }
            slot->key = key;
        }
        return slot->number;
    }

    template <typename Visitor>
    void for_each(const Visitor& visit) const {
        for (const Slot& slot : slots_)
            if (slot.key != kFree) visit(slot.key, slot.number);
    }

  private:
    static constexpr uint64_t kFree = ~uint64_t{0};
    struct Slot {
        uint64_t key = kFree;
        uint64_t number = 0;
    };

    static Slot* find(std::vector<Slot>& slots, uint64_t key) {
        const uint64_t mask = slots.size() - 1;
        // Fibonacci hashing: the high bits of the product depend on all bits of the key.
        uint64_t at = key * 0x9e37'79b9'7f4a'7c15 >> 20;
        for (;; ++at) {
            Slot& slot = slots[at & mask];
            if (slot.key == key || slot.key == kFree) return &slot;
        }
    }

    void grow() {
        std::vector<Slot> larger(slots_.size() * 2);
        for (const Slot& slot : slots_)
            if (slot.key != kFree) *find(larger, slot.key) = slot;
        slots_ = std::move(larger);
    }

    std::vector<Slot> slots_;
    uint64_t used_ = 0;
};
