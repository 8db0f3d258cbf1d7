// See armed.h. The page's leaf entry belongs to the processor: others cannot execute it meanwhile, and programs do
// not run on this one, because the kernel has IF = 0 here.
#include "arch/x86_64/armed.h"

#include "arch/x86_64/page_table.h"
#include "arch/x86_64/processor.h"
#include "arch/x86_64/registers.h"
#include "core/weakness.h"

namespace arch {

namespace {

constexpr uint64_t kPcidMask = 0xfff;  // of CR3

extern "C" const struct {
    void (*write_cr3)(uint64_t value);
    uint64_t (*read_msr)(uint32_t msr);
    void (*write_msr)(uint32_t msr, uint64_t value);
    void (*load_idt)(const void* descriptor);
} armed_functions;

class Armed {
  public:
    Armed() : entry_(*processor().armed_entry) {
        entry_ = entry_ & ~PageEntry::kNoExecute;
        invalidate_page(ARMED_BASE);
    }
    ~Armed() {
        if (core::weakened(core::Weakness::kArmedPage)) return;
        entry_ = entry_ | PageEntry::kNoExecute;
        invalidate_page(ARMED_BASE);
    }
    Armed(const Armed&) = delete;

  private:
    volatile uint64_t& entry_;
};

}  // namespace

void write_cr3(uint64_t value) {
    Armed armed;
    armed_functions.write_cr3(value);
}

// INVLPG forgets the armed page under the loaded PCID only. Under the one that is loaded next it may be remembered as not
// executable; under the one that is left, as executable: no program may run there before that is forgotten too.
void write_cr3_of_another_pcid(uint64_t value) {
    const uint64_t left = read_cr3() & kPcidMask;
    {
        Armed armed;
        invalidate_page_of(value & kPcidMask, ARMED_BASE);
        armed_functions.write_cr3(value);
    }
    invalidate_page_of(left, ARMED_BASE);
}

uint64_t read_msr(uint32_t msr) {
    Armed armed;
    return armed_functions.read_msr(msr);
}

void write_msr(uint32_t msr, uint64_t value) {
    Armed armed;
    armed_functions.write_msr(msr, value);
}

void load_idt(const void* descriptor) {
    Armed armed;
    armed_functions.load_idt(descriptor);
}

}  // namespace arch
