#include "debian/deb_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <memory>

#include "support/failure.h"
#include "support/strings.h"

namespace tool {

namespace {

using ArchivePointer = std::unique_ptr<archive, int (*)(archive*)>;

ArchivePointer new_reader() {
    ArchivePointer reader(::archive_read_new(), ::archive_read_free);
    ::archive_read_support_filter_all(reader.get());
    return reader;
}

std::string read_entry(archive* reader, const std::string& what) {
    std::string data;
    char buffer[65536];
    for (;;) {
        la_ssize_t length = ::archive_read_data(reader, buffer, sizeof buffer);
        if (length == 0) return data;
        if (length < 0) throw Failure("cannot read " + what + ": " + ::archive_error_string(reader));
        data.append(buffer, static_cast<size_t>(length));
    }
}

/// The member data.tar.* of the package, still compressed (deb(5)).
std::string data_member(const std::filesystem::path& deb) {
    ArchivePointer reader = new_reader();
    ::archive_read_support_format_ar(reader.get());
    if (::archive_read_open_filename(reader.get(), deb.c_str(), 65536) != ARCHIVE_OK)
        throw Failure("cannot open " + deb.string() + ": " + ::archive_error_string(reader.get()));
    archive_entry* entry = nullptr;
    while (::archive_read_next_header(reader.get(), &entry) == ARCHIVE_OK) {
        if (std::string(::archive_entry_pathname(entry)).starts_with("data.tar"))
            return read_entry(reader.get(), deb.string());
    }
    throw Failure(deb.string() + " is not a Debian package", "delete it, and it will be fetched again");
}

/// "./usr/bin/x" and "usr/bin/x/" as "/usr/bin/x"; "./" as "/".
std::string absolute(std::string_view path) {
    std::string clean;
    for (const std::string& part : split(path, '/'))
        if (!part.empty() && part != ".") clean += '/' + part;
    return clean.empty() ? "/" : clean;
}

std::shared_ptr<Node> node_of(archive* reader, archive_entry* entry, const std::string& path) {
    auto node = std::make_shared<Node>();
    node->meta = {.mode = static_cast<uint32_t>(::archive_entry_perm(entry)) & 07777,
                  .uid = static_cast<uint32_t>(::archive_entry_uid(entry)),
                  .gid = static_cast<uint32_t>(::archive_entry_gid(entry)),
                  .mtime = ::archive_entry_mtime(entry),
                  .mtime_ns = static_cast<uint32_t>(::archive_entry_mtime_nsec(entry))};
    switch (::archive_entry_filetype(entry)) {
        case AE_IFDIR: node->type = NodeType::Directory; break;
        case AE_IFLNK:
            node->type = NodeType::Symlink;
            node->data = ::archive_entry_symlink(entry);
            break;
        case AE_IFREG: node->data = read_entry(reader, path); break;
        case AE_IFIFO: node->type = NodeType::Fifo; break;
        case AE_IFCHR: node->type = NodeType::CharDevice; break;
        case AE_IFBLK: node->type = NodeType::BlockDevice; break;
        default: throw Failure("unknown kind of file in a package: " + path);
    }
    if (node->type == NodeType::CharDevice || node->type == NodeType::BlockDevice) {
        node->device_major = static_cast<uint32_t>(::archive_entry_rdevmajor(entry));
        node->device_minor = static_cast<uint32_t>(::archive_entry_rdevminor(entry));
    }
    return node;
}

}  // namespace

Tree merged_usr_root() {
    Tree tree;
    tree.add("/usr", Node::directory());
    for (const char* name : {"bin", "sbin", "lib", "lib64"}) {
        tree.add(std::string("/usr/") + name, Node::directory());
        tree.add(std::string("/") + name, Node::symlink(std::string("usr/") + name));
    }
    return tree;
}

void add_deb(Tree& tree, const std::filesystem::path& deb, const std::vector<std::string>& exclude) {
    const std::string data = data_member(deb);
    ArchivePointer reader = new_reader();
    ::archive_read_support_format_tar(reader.get());
    if (::archive_read_open_memory(reader.get(), data.data(), data.size()) != ARCHIVE_OK)
        throw Failure("cannot unpack " + deb.string() + ": " + ::archive_error_string(reader.get()));
    archive_entry* entry = nullptr;
    for (;;) {
        int status = ::archive_read_next_header(reader.get(), &entry);
        if (status == ARCHIVE_EOF) return;
        if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
            throw Failure("cannot unpack " + deb.string() + ": " + ::archive_error_string(reader.get()));
        const std::string path = absolute(::archive_entry_pathname(entry));
        if (std::any_of(exclude.begin(), exclude.end(),
                        [&](const std::string& pattern) { return glob_match(pattern, path); }))
            continue;
        if (const char* target = ::archive_entry_hardlink(entry)) {
            std::shared_ptr<Node> node = tree.find(absolute(target), FollowLast::No);
            if (!node) throw Failure(deb.string() + " has a hard link to what it does not have: " + target);
            tree.add(path, node);
            continue;
        }
        tree.add(path, node_of(reader.get(), entry, path));
    }
}

}  // namespace tool
