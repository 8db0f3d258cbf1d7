// Device nodes: which open file a device number stands for.
#pragma once

#include <cstdint>

#include "core/memory.h"
#include "fs/file.h"
#include "fs/inode.h"

namespace fs {

// A device number as stat(2) shows it and mknod(2) takes it (st_rdev, Attributes::device_number).
constexpr uint64_t make_device(uint32_t major, uint32_t minor) {
    return (minor & 0xffu) | uint64_t{major & 0xfffu} << 8 | uint64_t{minor & ~0xffu} << 12;
}
constexpr uint32_t device_major(uint64_t device) { return device >> 8 & 0xfff; }
constexpr uint32_t device_minor(uint64_t device) { return (device & 0xff) | (device >> 12 & 0xfff00); }

// What stands behind character devices of one major number. Registered objects live for ever.
class CharacterDevice {
  public:
    // Opens minor number `minor` of it; `inode` is the node that was opened. ENXIO: no such minor.
    virtual Result<Ref<File>> open(Inode& inode, uint32_t minor, const OpenRequest& request) = 0;

  protected:
    ~CharacterDevice() = default;
};

// At boot, before programs run.
void register_character_device(uint32_t major, CharacterDevice& device);

// Opens the device that `inode` (a character or block special file of any file system) names. ENXIO if there is
// none. May sleep: no spinlock may be held.
Result<Ref<File>> open_device(Inode& inode, const OpenRequest& request);

// The file systems that the boot code mounts: /dev with its nodes and links, /dev/pts, /proc, /sys. ENOMEM.
Result<Ref<FileSystem>> create_device_file_system();
Result<Ref<FileSystem>> create_pts_file_system();
Result<Ref<FileSystem>> create_proc_file_system();
Result<Ref<FileSystem>> create_sys_file_system();

// Registers the character devices of fs/devices and fs/tty. Once, at boot.
void register_standard_devices();

}  // namespace fs
