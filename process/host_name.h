// The machine's names for uname(2), sethostname(2) and /proc/sys/kernel.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/result.h"

namespace process {

inline constexpr size_t kHostNameMax = 64;
inline constexpr std::string_view kSystemName = "Linux";  // the interface that programs ask for
inline constexpr std::string_view kSystemRelease = "6.1.0-isounik";
inline constexpr std::string_view kSystemVersion = "#1 SMP PREEMPT_DYNAMIC Iso-UniK";

// Copies the name with its NUL and returns its length.
size_t host_name(char (&buffer)[kHostNameMax + 1]);
size_t domain_name(char (&buffer)[kHostNameMax + 1]);
// EINVAL: longer than kHostNameMax.
Result<void> set_host_name(std::string_view name);
Result<void> set_domain_name(std::string_view name);

}  // namespace process
