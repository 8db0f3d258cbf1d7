// The texts of /proc about the machine.
#pragma once

#include "fs/proc/node.h"

namespace fs::proc {

extern const std::span<const Entry> kSystemEntries;  // system_files.cpp: meminfo, cpuinfo, stat, ...
extern const Directory kSysctlDirectory;             // sysctl.cpp: /proc/sys
extern const Directory kNetDirectory;                // net_files.cpp: /proc/net

}  // namespace fs::proc
