#include "arch/x86_64/pcid.h"

#include "arch/x86_64/armed.h"
#include "arch/x86_64/processor.h"
#include "arch/x86_64/registers.h"

namespace arch {

bool g_uses_pcids = false;

namespace {

struct alignas(64) OnItsOwnLines : Pcids {};
OnItsOwnLines g_pcids[kMaxCpus];

}  // namespace

ISOUNIK_INIT void initialize_pcids() {
    // SDM vol. 2, CPUID: PCID is leaf 1, ECX bit 17; INVPCID leaf 7, EBX bit 10.
    g_uses_pcids = cpuid(0).eax >= 7 && (cpuid(1).ecx & 1 << 17) && (cpuid(7).ebx & 1 << 10);
}

Pcids& pcids() { return g_pcids[processor().number]; }

}  // namespace arch
