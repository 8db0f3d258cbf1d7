// The PKRU values that a thread's signal handlers interrupted, in kernel memory: no frame that a program can write is
// asked for them.
#pragma once

#include <cstdint>

#include "arch/x86_64/pkru.h"

namespace process {

class InterruptedKeys {
  public:
    // A handler starts with its frame at `frame`. Most programs use no keys: only other values than the initial one
    // are kept. More than kMost nested ones: the outermost is forgotten, and gets the initial value.
    void entered(uint64_t frame, uint32_t pkru) {
        left(frame);  // one that was left by siglongjmp()
        if (pkru == arch::kInitialPkru) return;
        if (count_ == kMost) {
            for (unsigned i = 1; i < kMost; i++) entries_[i - 1] = entries_[i];
            count_--;
        }
        entries_[count_++] = {frame, pkru};
    }
    // sigreturn with the frame at `frame`: the value that it interrupted. Those that were entered later are over too.
    uint32_t left(uint64_t frame) {
        for (unsigned i = count_; i > 0; i--) {
            if (entries_[i - 1].frame != frame) continue;
            count_ = i - 1;
            return entries_[i - 1].pkru;
        }
        return arch::kInitialPkru;
    }
    void clear() { count_ = 0; }

  private:
    static constexpr unsigned kMost = 8;
    struct Entry {
        uint64_t frame;
        uint32_t pkru;
    };
    Entry entries_[kMost];
    unsigned count_ = 0;
};

}  // namespace process
