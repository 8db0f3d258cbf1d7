#include "arch/x86_64/exception_fixup.h"

namespace arch {

namespace {
struct Fixup {
    uint64_t from, to;
};
extern "C" const Fixup fixup_table_start[];
extern "C" const Fixup fixup_table_end[];
}  // namespace

uint64_t fixup_of(uint64_t rip) {
    for (const Fixup* fixup = fixup_table_start; fixup != fixup_table_end; fixup++) {
        if (fixup->from == rip) return fixup->to;
    }
    return 0;
}

}  // namespace arch
