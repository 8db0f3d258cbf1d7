// See armed.h. The page's leaf entry belongs to the processor: others cannot execute it meanwhile, and programs do
// not run on this one, because the kernel has IF = 0 here.
#include "arch/x86_64/armed.h"

#include "arch/x86_64/page_table.h"
#include "arch/x86_64/processor.h"
#include "arch/x86_64/registers.h"
#include "core/weakness.h"

namespace arch {

namespace {

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
