// Device numbers and what stands behind them; the nodes of /dev.
#include <iterator>

#include "core/log.h"
#include "fs/device.h"
#include "fs/devices/memory_devices.h"
#include "fs/tmpfs/tmpfs.h"
#include "fs/tty/tty_devices.h"

namespace fs {

namespace {

// Written at boot by one processor, read-only afterwards: no lock.
struct Registration {
    uint32_t major;
    CharacterDevice* device;
};
Registration registrations[16];
size_t registration_count = 0;

struct Node {
    const char* name;
    uint32_t major, minor;
    uint16_t permissions;
};
// Linux' Documentation/admin-guide/devices.txt.
constexpr Node kNodes[] = {
    {"null", 1, 3, 0666},    {"zero", 1, 5, 0666}, {"full", 1, 7, 0666},    {"random", 1, 8, 0666},
    {"urandom", 1, 9, 0666}, {"tty", 5, 0, 0666},  {"console", 5, 1, 0600}, {"ptmx", 5, 2, 0666},
};
struct Link {
    const char* name;
    const char* target;
};
constexpr Link kLinks[] = {
    {"fd", "/proc/self/fd"},
    {"stdin", "/proc/self/fd/0"},
    {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"},
};
// Mount points, usable as plain directories too.
constexpr const char* kDirectories[] = {"pts", "shm"};

}  // namespace

void register_character_device(uint32_t major, CharacterDevice& device) {
    ASSERT(registration_count < std::size(registrations));
    registrations[registration_count++] = {major, &device};
}

Result<Ref<File>> open_device(Inode& inode, const OpenRequest& request) {
    Attributes attributes = inode.attributes();
    if (attributes.type != FileType::kCharacter) return fail(Errno::kNxIo);
    for (size_t i = 0; i < registration_count; i++) {
        if (registrations[i].major != device_major(attributes.device_number)) continue;
        return registrations[i].device->open(inode, device_minor(attributes.device_number), request);
    }
    return fail(Errno::kNxIo);
}

void register_standard_devices() {
    register_memory_devices();
    tty::register_tty_devices();
}

Result<Ref<FileSystem>> create_device_file_system() {
    auto file_system = TRY(tmpfs::create("mode=755"));
    auto root = file_system->root();
    for (const Node& node : kNodes) {
        TRY(root->create(node.name, FileType::kCharacter, node.permissions, 0, 0, make_device(node.major, node.minor)));
    }
    for (const Link& link : kLinks) TRY(root->create_symlink(link.name, link.target, 0, 0));
    for (const char* name : kDirectories) {
        uint16_t permissions = std::string_view(name) == "shm" ? 01777 : 0755;
        TRY(root->create(name, FileType::kDirectory, permissions, 0, 0, 0));
    }
    return file_system;
}

}  // namespace fs
