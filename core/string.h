// An owned string whose creation can fail. Always NUL-terminated; may hold any byte but is used for names.
#pragma once

#include <cstring>
#include <string_view>

#include "core/result.h"
#include "core/vector.h"

namespace core {

class String {
  public:
    String() = default;
    static Result<String> create(std::string_view text) {
        if (text.size() > kLongest) return fail(Errno::kNoMem);
        String string;
        TRY(string.characters_.resize(text.size() + 1));
        std::memcpy(string.characters_.data(), text.data(), text.size());
        string.characters_[text.size()] = '\0';
        return string;
    }
    Result<String> clone() const { return create(view()); }
    Result<void> append(std::string_view text) {
        if (text.size() > kLongest) return fail(Errno::kNoMem);
        size_t length = size();
        TRY(characters_.resize(length + text.size() + 1));
        std::memcpy(characters_.data() + length, text.data(), text.size());
        characters_[length + text.size()] = '\0';
        return {};
    }
    std::string_view view() const { return {c_str(), size()}; }
    operator std::string_view() const { return view(); }
    const char* c_str() const { return characters_.empty() ? "" : characters_.data(); }
    size_t size() const { return characters_.empty() ? 0 : characters_.size() - 1; }
    bool empty() const { return size() == 0; }
    bool operator==(std::string_view other) const { return view() == other; }

  private:
    static constexpr size_t kLongest = size_t{1} << 30;
    Vector<char> characters_;
};

}  // namespace core
