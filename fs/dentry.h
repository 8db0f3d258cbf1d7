// The dentry cache: names that were looked up, positive and negative.
#pragma once

#include "core/memory.h"

namespace fs {

class Dentry : public core::RefCounted {};

}  // namespace fs
