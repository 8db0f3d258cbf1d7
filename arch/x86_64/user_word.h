// Single words of a program's memory, inline: for the shortest calls. Otherwise as arch/x86_64/user_copy.h.
#pragma once

#include "arch/x86_64/exception_fixup.h"
#include "arch/x86_64/pkru.h"
#include "arch/x86_64/user_copy.h"

namespace arch {

#ifdef ISOUNIK_HOST  // no fixups there
template <typename Word>
Result<Word> load_user_word(uint64_t address) { return copy_in(UserIn<Word>(address)); }
template <typename Word>
Result<void> store_user_word(uint64_t address, Word word) { return copy_out(UserOut<Word>(address), word); }
#else
// SAFETY (both): the address lies in the program's half, so only a page fault can happen, which continues at `bad`.
template <typename Word>
inline Result<Word> load_user_word(uint64_t address) {
    if (address > core::kUserEnd - sizeof(Word)) [[unlikely]] return fail(Errno::kFault);
    Word word;
    ProgramKeys keys;
    asm goto("1: mov (%[from]), %[word]\n" FIXUP(1b, %l[bad])
             : [word] "=r"(word) : [from] "r"(address) : "memory" : bad);
    return word;
bad:
    return fail(Errno::kFault);
}
template <typename Word>
inline Result<void> store_user_word(uint64_t address, Word word) {
    if (address > core::kUserEnd - sizeof(Word)) [[unlikely]] return fail(Errno::kFault);
    ProgramKeys keys;
    asm goto("1: mov %[word], (%[to])\n" FIXUP(1b, %l[bad])
             : : [to] "r"(address), [word] "r"(word) : "memory" : bad);
    return {};
bad:
    return fail(Errno::kFault);
}
#endif

}  // namespace arch
