// Whole pages, by the processor's string instructions (the kernel uses no vector registers).
#pragma once

#include <cstddef>

#include "core/types.h"

namespace arch {

inline void zero_words(void* destination, size_t words) {
    // SAFETY: writes words * 8 bytes at `destination`; DF is 0 in the kernel.
    asm volatile("rep stosq" : "+D"(destination), "+c"(words) : "a"(0) : "memory");
}
inline void copy_words(void* destination, const void* source, size_t words) {
    // SAFETY: copies words * 8 bytes; DF is 0 in the kernel.
    asm volatile("rep movsq" : "+D"(destination), "+S"(source), "+c"(words) : : "memory");
}
inline void zero_page(void* page) { zero_words(page, core::kPageSize / 8); }
inline void copy_page(void* destination, const void* source) {
    copy_words(destination, source, core::kPageSize / 8);
}

}  // namespace arch
