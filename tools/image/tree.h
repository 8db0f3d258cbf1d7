// A file tree in memory: what goes into a boot image.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace tool {

enum class NodeType { Regular, Directory, Symlink, CharDevice, BlockDevice, Fifo, Socket };

struct Metadata {
    uint32_t mode = 0755;  // permission bits, set-user-ID and friends; not the type
    uint32_t uid = 0;
    uint32_t gid = 0;
    int64_t mtime = 0;
    uint32_t mtime_ns = 0;
};

/// One inode. Two names of the same Node are hard links.
struct Node {
    NodeType type = NodeType::Regular;
    Metadata meta;
    std::string data;                 // content of a regular file, or target of a symbolic link
    std::filesystem::path host_file;  // if not empty: the content of a regular file is read from here
    uint64_t host_offset = 0;         // ... from here on (a file within an image)
    uint64_t host_size = 0;
    uint32_t device_major = 0;
    uint32_t device_minor = 0;
    std::map<std::string, std::shared_ptr<Node>> children;  // of a directory, in byte order

    uint64_t size() const { return host_file.empty() ? data.size() : host_size; }
    /// The content of a regular file; throws Failure if the host's file cannot be read.
    std::string content() const;

    static std::shared_ptr<Node> directory(Metadata meta = {});
    static std::shared_ptr<Node> file(std::string data, Metadata meta = {.mode = 0644});
    static std::shared_ptr<Node> symlink(std::string target, Metadata meta = {.mode = 0777});
};

enum class FollowLast { No, Yes };

/// Paths are absolute within the tree; a leading `/` or `./` and doubled slashes do not matter. Symbolic links on
/// the way are followed within the tree, as a process with this root would.
class Tree {
  public:
    Tree() : root_(Node::directory()) {}

    Node& root() { return *root_; }
    const Node& root() const { return *root_; }
    std::shared_ptr<Node> root_pointer() const { return root_; }

    /// What a path leads to; nullptr if nothing, or if links go in circles.
    std::shared_ptr<Node> find(std::string_view path, FollowLast follow = FollowLast::Yes) const;
    /// The path without symbolic links; empty if it leads nowhere.
    std::string canonical(std::string_view path) const;

    /// Puts a node at a path and makes missing parents. A directory on a directory takes over the new metadata and
    /// keeps its children; a directory on a symbolic link to a directory changes nothing (as dpkg does); anything
    /// else replaces what was there. Throws Failure if a parent is not a directory.
    void add(std::string_view path, std::shared_ptr<Node> node);
    /// Like add, but only if nothing has this name yet.
    void add_if_missing(std::string_view path, std::shared_ptr<Node> node);
    /// Removes a name, with all below it. Nothing happens if there is none.
    void remove(std::string_view path);

    using Visitor = std::function<void(const std::string& path, const std::shared_ptr<Node>& node)>;
    /// Calls `visit` for the root ("/") and everything below, parents first, in byte order of the names.
    void walk(const Visitor& visit) const;

  private:
    struct Place {
        std::shared_ptr<Node> node;  // nullptr: the last name does not exist in `parent`
        std::shared_ptr<Node> parent;
        std::string name;
        std::string path;
    };
    enum class Missing { Fail, MakeDirectories };
    bool resolve(std::string_view path, FollowLast follow, Missing missing, Place& place) const;

    std::shared_ptr<Node> root_;
};

}  // namespace tool
