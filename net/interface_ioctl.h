// netdevice(7): ioctls about interfaces, on any socket.
#pragma once

#include <cstdint>

#include "core/result.h"

namespace net {

// SIOCGIFCONF, SIOCGIFNAME, SIOCGIFINDEX, SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFNETMASK, SIOCGIFBRDADDR, SIOCGIFMTU,
// SIOCGIFHWADDR; setting anything is EPERM; others ENOTTY. ENODEV, EFAULT.
Result<uint64_t> interface_ioctl(uint32_t command, uint64_t argument);

}  // namespace net
