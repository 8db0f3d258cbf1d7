#include "arch/x86_64/processor.h"

#include "arch/x86_64/top_table.h"
#include "core/cpu_count.h"

namespace arch {

namespace {
Processor* processors[core::kMaxCpus];
}

Processor* processor_of(unsigned cpu) { return cpu < core::kMaxCpus ? processors[cpu] : nullptr; }
void set_processor_of(unsigned cpu, Processor* processor) { processors[cpu] = processor; }

unsigned this_cpu() { return processor().number; }

}  // namespace arch
