// What isolated spaces may execute. mm/ keeps the rule: no page is writable and executable, and every executable one
// is inspected text. What inspected text is, mpk/ decides behind the interface here.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/log.h"
#include "core/memory.h"
#include "mm/page_cache.h"

namespace mm {

// Why a program or a mapping gets its model: one line for the log and /proc/<pid>/status. Longer ones are cut.
class Reason {
  public:
    Reason() {}
    explicit Reason(std::string_view text) { set(text); }
    Reason(const Reason& other) { *this = other; }
    Reason& operator=(const Reason& other) {
        size_ = other.size_;
        std::memcpy(text_, other.text_, size_);
        return *this;
    }
    void set(std::string_view text) {
        size_ = static_cast<uint8_t>(std::min(text.size(), sizeof(text_)));
        std::memcpy(text_, text.data(), size_);
    }
    template <typename... Args>
    void set(std::string_view format, const Args&... args) {
        size_ = static_cast<uint8_t>(klog::format(text_, sizeof(text_), format, args...).size());
    }
    std::string_view view() const { return {text_, size_}; }

  private:
    char text_[191];  // the first size_ bytes
    uint8_t size_ = 0;
};

class CodePolicy {
  public:
    // What is mapped for execution in place of the pages [first_index, end_index) of `file`: an object whose pages
    // never change and whose Mappable::plain_form() is `file`. EACCES: they cannot run isolated, and `reason` says
    // why; ENOMEM, EIO. May take long and passes poll points: no lock is held.
    virtual Result<core::Ref<Mappable>> inspect(const core::Ref<Mappable>& file, uint64_t first_index,
                                                uint64_t end_index, Reason& reason) = 0;
    // The running thread has just made a space confined, perhaps its own: it must look at that on its way out.
    virtual void confined() = 0;

  protected:
    ~CodePolicy() = default;
};

// Set once at boot; before that nothing is executable in an isolated space but what the kernel made.
void set_code_policy(CodePolicy* policy);
CodePolicy* code_policy();

}  // namespace mm
