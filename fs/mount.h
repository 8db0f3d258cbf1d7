// Mounted file systems and where they hang.
#pragma once

#include "core/memory.h"

namespace fs {

class Mount : public core::RefCounted {};

}  // namespace fs
