#include "image/directory_source.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <functional>
#include <map>
#include <vector>

#include "support/failure.h"
#include "support/files.h"

namespace tool {

namespace {

using Visit = std::function<void(const fs::path& host, const std::string& inside, const struct stat& status)>;

void walk_directory(const fs::path& host, const std::string& inside, const Visit& visit) {
    struct stat status = {};
    if (::lstat(host.c_str(), &status) != 0) throw system_failure("cannot read " + host.string());
    visit(host, inside, status);
    if (!S_ISDIR(status.st_mode)) return;
    DIR* stream = ::opendir(host.c_str());
    if (!stream) throw system_failure("cannot read the directory " + host.string());
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(stream)) {
        std::string name = entry->d_name;
        if (name != "." && name != "..") names.push_back(std::move(name));
    }
    ::closedir(stream);
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) walk_directory(host / name, inside + '/' + name, visit);
}

void check_directory(const fs::path& directory) {
    if (!fs::is_directory(directory))
        throw Failure("no such directory: " + directory.string(), "--rootfs takes a directory that holds a root");
}

std::string read_link(const fs::path& path) {
    std::string target(PATH_MAX, '\0');
    ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
    if (length < 0) throw system_failure("cannot read the link " + path.string());
    target.resize(static_cast<size_t>(length));
    return target;
}

Metadata metadata_of(const struct stat& status) {
    Metadata meta = {.mode = status.st_mode & 07777,
                     .uid = status.st_uid,
                     .gid = status.st_gid,
                     .mtime = status.st_mtim.tv_sec,
                     .mtime_ns = static_cast<uint32_t>(status.st_mtim.tv_nsec)};
    if (::geteuid() != 0) {
        if (meta.uid == ::geteuid()) meta.uid = 0;
        if (meta.gid == ::getegid()) meta.gid = 0;
    }
    return meta;
}

std::shared_ptr<Node> node_of(const fs::path& host, const struct stat& status) {
    auto node = std::make_shared<Node>();
    node->meta = metadata_of(status);
    switch (status.st_mode & S_IFMT) {
        case S_IFDIR: node->type = NodeType::Directory; break;
        case S_IFLNK:
            node->type = NodeType::Symlink;
            node->data = read_link(host);
            break;
        case S_IFCHR: node->type = NodeType::CharDevice; break;
        case S_IFBLK: node->type = NodeType::BlockDevice; break;
        case S_IFIFO: node->type = NodeType::Fifo; break;
        case S_IFSOCK: node->type = NodeType::Socket; break;
        default:
            node->type = NodeType::Regular;
            node->host_file = host;
            node->host_size = static_cast<uint64_t>(status.st_size);
            if (::access(host.c_str(), R_OK) != 0) throw system_failure("cannot read " + host.string());
    }
    if (node->type == NodeType::CharDevice || node->type == NodeType::BlockDevice) {
        node->device_major = major(status.st_rdev);
        node->device_minor = minor(status.st_rdev);
    }
    return node;
}

}  // namespace

void add_directory(Tree& tree, const fs::path& directory) {
    check_directory(directory);
    std::map<std::pair<dev_t, ino_t>, std::shared_ptr<Node>> seen;  // hard links
    walk_directory(fs::canonical(directory), "",
                   [&](const fs::path& host, const std::string& inside, const struct stat& status) {
                       std::shared_ptr<Node> node;
                       if (!S_ISDIR(status.st_mode) && status.st_nlink > 1) {
                           std::shared_ptr<Node>& known = seen[{status.st_dev, status.st_ino}];
                           if (!known) known = node_of(host, status);
                           node = known;
                       } else {
                           node = node_of(host, status);
                       }
                       tree.add(inside.empty() ? "/" : inside, std::move(node));
                   });
}

void hash_directory(ContentHash& hash, const fs::path& directory) {
    check_directory(directory);
    fs::path start = fs::canonical(directory);
    hash.add(start.string());
    walk_directory(start, "", [&](const fs::path&, const std::string& inside, const struct stat& status) {
        hash.add(inside)
            .add_number(status.st_ino)
            .add_number(status.st_mode)
            .add_number(status.st_uid)
            .add_number(status.st_gid)
            .add_number(static_cast<uint64_t>(S_ISDIR(status.st_mode) ? 0 : status.st_size))
            .add_number(static_cast<uint64_t>(status.st_mtim.tv_sec))
            .add_number(static_cast<uint64_t>(status.st_mtim.tv_nsec))
            .add_number(static_cast<uint64_t>(status.st_ctim.tv_sec))
            .add_number(static_cast<uint64_t>(status.st_ctim.tv_nsec));
    });
}

}  // namespace tool
