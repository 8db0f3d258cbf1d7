// Single words of a program's memory, inline: for the shortest calls. Otherwise as arch/x86_64/user_copy.h.
#pragma once

#include <utility>

#include "arch/x86_64/exception_fixup.h"
#include "arch/x86_64/pkru.h"
#include "arch/x86_64/user_copy.h"

namespace arch {

#ifdef ISOUNIK_HOST  // no fixups there
template <typename Word>
Result<Word> load_user_word(uint64_t address) { return copy_in(UserIn<Word>(address)); }
template <typename Word>
Result<void> store_user_word(uint64_t address, Word word) { return copy_out(UserOut<Word>(address), word); }
inline bool load_user_words(uint64_t address, uint64_t (&words)[4]) {
    return copy_in(words, UserAddr(address), sizeof(words)).has_value();
}
inline bool store_user_words(uint64_t address, const uint64_t (&words)[4]) {
    return copy_out(UserAddr(address), words, sizeof(words)).has_value();
}
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
// Four words in a row, for the shortest calls: only while ProgramKeys::in_use() is false. False: EFAULT, as above.
// SAFETY (both): as above, for each of the four.
inline bool load_user_words(uint64_t address, uint64_t (&words)[4]) {
    if (address > core::kUserEnd - sizeof(words)) [[unlikely]] return false;
    uint64_t a, b, c, d;
    asm goto("1: mov (%[from]), %[a]\n 2: mov 8(%[from]), %[b]\n 3: mov 16(%[from]), %[c]\n 4: mov 24(%[from]), %[d]\n"
             FIXUP(1b, %l[bad]) FIXUP(2b, %l[bad]) FIXUP(3b, %l[bad]) FIXUP(4b, %l[bad])
             : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d) : [from] "r"(address) : "memory" : bad);
    words[0] = a, words[1] = b, words[2] = c, words[3] = d;
    return true;
bad:
    return false;
}
inline bool store_user_words(uint64_t address, const uint64_t (&words)[4]) {
    if (address > core::kUserEnd - sizeof(words)) [[unlikely]] return false;
    asm goto("1: mov %[a], (%[to])\n 2: mov %[b], 8(%[to])\n 3: mov %[c], 16(%[to])\n 4: mov %[d], 24(%[to])\n"
             FIXUP(1b, %l[bad]) FIXUP(2b, %l[bad]) FIXUP(3b, %l[bad]) FIXUP(4b, %l[bad])
             : : [to] "r"(address), [a] "r"(words[0]), [b] "r"(words[1]), [c] "r"(words[2]), [d] "r"(words[3])
             : "memory" : bad);
    return true;
bad:
    return false;
}
#endif

// The words of one object in a program's memory: its range is checked, and the program's keys hold, once for all of
// them, so that each access is one instruction.
class UserWords {
  public:
    UserWords(UserAddr address, size_t size)
        : at_(address.value()), in_range_(size <= core::kUserEnd && at_ <= core::kUserEnd - size) {}

    // Words from the start of the object on, in order. False: a bad address; some may have been written.
    template <typename... Words>
    [[nodiscard, gnu::always_inline]] bool store(const Words&... words) const {
        size_t offset = 0;
        return in_range_ && (store_at(std::exchange(offset, offset + sizeof(Words)), words) && ...);
    }
    // Words of the object from `offset` on, in order. False: a bad address; some may have been read.
    template <typename... Words>
    [[nodiscard, gnu::always_inline]] bool load(size_t offset, Words&... words) const {
        return in_range_ && (load_at(std::exchange(offset, offset + sizeof(Words)), words) && ...);
    }

  private:
#ifdef ISOUNIK_HOST
    template <typename Word>
    bool store_at(size_t offset, Word word) const { return store_user_word(at_ + offset, word).has_value(); }
    template <typename Word>
    bool load_at(size_t offset, Word& word) const {
        auto loaded = load_user_word<Word>(at_ + offset);
        if (loaded) word = *loaded;
        return loaded.has_value();
    }
#else
    // SAFETY (both): the object lies in the program's half, so only a page fault can happen, which continues at `bad`.
    template <typename Word>
    [[gnu::always_inline]] bool store_at(size_t offset, Word word) const {
        asm goto("1: mov %[word], %[to]\n" FIXUP(1b, %l[bad])
                 : : [to] "m"(*reinterpret_cast<Word*>(at_ + offset)), [word] "r"(word) : "memory" : bad);
        return true;
    bad:
        return false;
    }
    template <typename Word>
    [[gnu::always_inline]] bool load_at(size_t offset, Word& word) const {
        Word loaded;
        asm volatile goto("1: mov %[from], %[word]\n" FIXUP(1b, %l[bad])
                 : [word] "=r"(loaded) : [from] "m"(*reinterpret_cast<const Word*>(at_ + offset)) : "memory" : bad);
        word = loaded;
        return true;
    bad:
        return false;
    }
#endif

    const uint64_t at_;
    const bool in_range_;
    const ProgramKeys keys_;
};

}  // namespace arch
