// Text helpers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tool {

/// The parts of `text` between `separator`; an empty text has no parts, empty parts are kept otherwise.
std::vector<std::string> split(std::string_view text, char separator);

std::string join(const std::vector<std::string>& parts, std::string_view separator);

/// `text` without blanks and line ends at both ends.
std::string_view trim(std::string_view text);

/// Whether `path` matches `pattern`: `?` and `*` stay within a path component, `**` crosses components. A pattern
/// that names a folder does not match what is in it; end it with `/**` for that.
bool glob_match(std::string_view pattern, std::string_view path);

/// One shell word, quoted only if it has to be.
std::string shell_quote(std::string_view word);

/// "1 file", "2 files".
std::string count_of(size_t count, std::string_view noun);

/// A size as people write it: "17 B", "4.5 KiB", "12.0 MiB".
std::string human_size(unsigned long long bytes);

}  // namespace tool
