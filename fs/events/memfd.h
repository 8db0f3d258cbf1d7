// memfd_create(2): files in memory without a name in a directory.
#pragma once

#include <string_view>

#include "fs/file.h"

namespace fs {

inline constexpr size_t kMemfdNameMax = 249;
enum class Sealing : bool { kRefused, kAllowed };

// An empty file, open for reading and writing. ENOMEM.
Result<Ref<File>> create_memfd(std::string_view name, Sealing sealing, uint32_t uid, uint32_t gid);

}  // namespace fs
