// Processors with TLBs as large as the SDM allows: everything that the loaded tables grant is remembered, under the
// PCID that is loaded, until something makes the processor forget it (vol. 3, 4.10). What remembers too much finds
// what was not flushed.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "arch/x86_64/pcid.h"
#include "page_table_walker.h"

namespace test_support {

class TlbModel {
  public:
    static constexpr unsigned kCpus = 3;

    // What arch:: does on processor `cpu` (mm_host.cpp).
    void load(unsigned cpu, uint64_t top_table, arch::Model model, const arch::TlbState& space);
    void load_kernel_table(unsigned cpu);
    void flush(const arch::FlushRequest& request);
    void flush_page(unsigned cpu, uint64_t address);

    // All processors walk all that is loaded, as they may at any time.
    void remember_all();
    // The first thing that a processor would use and the loaded tables do not grant; empty if there is none.
    std::string first_stale() const;
    uint64_t kept_loads() const { return kept_loads_; }

  private:
    struct Upper {  // an entry of level 2 that leads to a leaf table
        uint64_t table = 0;
        bool writable = false;
        bool operator==(const Upper&) const = default;
    };
    struct Cached {
        std::map<uint64_t, walker::Page> pages;   // by address
        std::map<uint64_t, Upper> uppers;         // by address of the 2 MiB
    };
    struct Cpu {
        arch::Pcids pcids;
        unsigned pcid = 0;
        uint64_t top = 0;
        std::map<unsigned, Cached> cached;  // by PCID
    };
    static Upper upper_at(uint64_t top, uint64_t address);

    Cpu cpus_[kCpus];
    uint64_t kept_loads_ = 0;
};

// The machine has PCIDs from here on, and `model` as its processors; null: neither (as after reset_memory()).
void use_tlb_model(TlbModel* model);

}  // namespace test_support
