// What the kernel's containers, used by the inspection, need of a machine.
#include "core/panic.h"

#include <cstdio>
#include <cstdlib>

namespace core {

void panic(const char* file, int line, const char* message) {
    std::fprintf(stderr, "isounik: bug: %s (%s:%d)\n", message, file, line);
    std::abort();
}

}  // namespace core
