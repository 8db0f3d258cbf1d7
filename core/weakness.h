// Defences that a debug kernel can switch off one by one (`weaken=NAME[,NAME]` on its command line), so that a
// test of an attack can prove that it would notice: with the defence off the attack must succeed
// (tests/attack). In release kernels weakened() is constant false and the code behind it is gone.
//
// Each place that defends asks weakened() with its own name; assembly tests the same bit of the variable
// `isounik_weaknesses`, which is kernel memory, under `#if ISOUNIK_KERNEL_DEBUG`.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/result.h"
#include "core/weakness_bits.h"

namespace core {

enum class Weakness : uint8_t {
    kKernelKey = WEAKNESS_KERNEL_KEY,                    // isolated programs run with the kernel's key open
    kWrpkruCompare = WEAKNESS_WRPKRU_COMPARE,            // no look at the value after WRPKRU in the stubs
    kArmedPage = WEAKNESS_ARMED_PAGE,                    // powerful instructions executable while programs run
    kConfinedSupervisor = WEAKNESS_CONFINED_SUPERVISOR,  // top-level U/S = 1 for programs in ring 3
    kPrivateIst = WEAKNESS_PRIVATE_IST,                  // one set of IST pages for all processors
    kIstWipe = WEAKNESS_IST_WIPE,                        // frames stay on the IST page
    kWhoInterrupted = WEAKNESS_WHO_INTERRUPTED,          // the interrupted PKRU tells program from kernel
    kErrorCodeAlignment = WEAKNESS_ERROR_CODE_ALIGNMENT, // `int $14` is taken for a page fault
    kInServiceCheck = WEAKNESS_IN_SERVICE_CHECK,         // `int $timer` is taken for a tick
    kCanonicalReturn = WEAKNESS_CANONICAL_RETURN,        // programs' return addresses are not checked
    kFlagMask = WEAKNESS_FLAG_MASK,                      // `syscall` keeps the program's TF, DF, NT, AC
    kSignalFrame = WEAKNESS_SIGNAL_FRAME,                // sigreturn loads flags and selectors as they are
    kInspection = WEAKNESS_INSPECTION,                   // all code passes inspection
    kWriteXorExecute = WEAKNESS_WRITE_XOR_EXECUTE,       // isolated programs may write what they execute
    kTextSnapshot = WEAKNESS_TEXT_SNAPSHOT,              // executable pages are the file's own
    kUserRange = WEAKNESS_USER_RANGE,                    // user copies take any address
    kUserCopyKeys = WEAKNESS_USER_COPY_KEYS,             // user copies ignore the program's keys
    kConfineOrder = WEAKNESS_CONFINE_ORDER,              // confining waits for no other processor
};

#if defined(ISOUNIK_KERNEL_DEBUG)
extern "C" uint64_t isounik_weaknesses;
inline bool weakened(Weakness weakness) { return isounik_weaknesses >> static_cast<unsigned>(weakness) & 1; }
#else
constexpr bool weakened(Weakness) { return false; }
#endif

// Switches defences off: names separated by commas, as `kernel-key`. Once, before anything that they concern is
// built. EINVAL, with nothing changed and a line in the log: an unknown name, or a release kernel.
Result<void> weaken(std::string_view names);

}  // namespace core
