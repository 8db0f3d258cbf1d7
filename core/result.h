// Result<T>: a value or a Linux errno. Every function that can fail returns one.
#pragma once

#include <expected>
#include <type_traits>
#include <utility>

#include "core/errno.h"

namespace core {

// std::expected is not [[nodiscard]] in gcc 12, so we derive a type that is.
template <typename T>
class [[nodiscard]] Result : public std::expected<T, Errno> {
  public:
    using std::expected<T, Errno>::expected;
};

using Error = std::unexpected<Errno>;

// `return fail(Errno::kInval);`
constexpr Error fail(Errno error) { return Error(error); }

namespace detail {
template <typename T>
constexpr T take(Result<T>&& result) {
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}
}  // namespace detail

}  // namespace core

// Evaluates to the value of `expression` (a Result), or returns its error from the enclosing function.
#define TRY(expression)                                                              \
    ({                                                                               \
        auto try_result = (expression);                                              \
        if (!try_result) [[unlikely]] return ::core::fail(try_result.error());       \
        ::core::detail::take(std::move(try_result));                                 \
    })

using core::Errno;
using core::fail;
using core::Result;
