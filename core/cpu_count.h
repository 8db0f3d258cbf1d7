// How many processors one machine may have: the width of a CpuMask.
#pragma once

namespace core {
inline constexpr unsigned kMaxCpus = 64;
}
