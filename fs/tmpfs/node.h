// Inodes in memory: attributes and the kinds without content of their own. tmpfs and the machine's root
// (fs/overlay/) are made of these.
#pragma once

#include <atomic>

#include "core/lock.h"
#include "core/string.h"
#include "fs/inode.h"

namespace fs::tmpfs {

class Node;

// A file system whose inodes are Nodes. Its tree lock guards the entries of all its directories and the
// structure above them; names change under it only. Taken before a node's own lock (same rank).
class TreeFileSystem : public FileSystem {
  public:
    TreeFileSystem(std::string_view type_name, uint64_t first_free_inode_number)
        : device_number_(allocate_device_number()), type_name_(type_name),
          next_inode_number_(first_free_inode_number) {}

    Ref<Inode> root() override;
    FileSystemStatistics statistics() override;
    std::string_view type_name() const override { return type_name_; }
    uint64_t device_number() const override { return device_number_; }
    void unmounted() override;

    uint64_t new_inode_number() { return next_inode_number_.fetch_add(1, std::memory_order_relaxed); }
    void set_root(Ref<Node> root) { root_ = std::move(root); }
    // The last name of a node is gone. No lock is held.
    virtual void node_unlinked(Node& node) { (void)node; }
    virtual uint64_t type_magic() const { return 0x0102'1994; }  // TMPFS_MAGIC
    // Of all regular files, in pages; 0: only memory limits.
    uint64_t size_limit_pages = 0;

    core::Spinlock tree_lock{core::Rank::kInode};  // before the nodes' own locks

  private:
    const uint64_t device_number_;
    const std::string_view type_name_;
    std::atomic<uint64_t> next_inode_number_;
    Ref<Node> root_;
};

Timespec current_time();

struct NodeAttributes {
    uint64_t inode_number;
    FileType type;
    uint16_t permissions;
    uint32_t uid, gid;
    uint32_t link_count = 1;
    Timespec modification{};  // access and change start as this one; zero: now
};

class Node : public Inode {
  public:
    FileSystem& file_system() final { return *file_system_; }
    TreeFileSystem& tree() const { return *file_system_; }
    Attributes attributes() override;
    Ownership ownership() final;
    // All types but regular files ignore set_size.
    Result<void> change_attributes(const AttributeChange& change) override;

    FileType type() const { return type_; }
    uint64_t inode_number() const { return inode_number_; }
    uint64_t map_inode_number() const override { return inode_number_; }
    uint64_t map_device() const override { return file_system_->device_number(); }

    uint32_t link_count() const { return link_count_.load(std::memory_order_relaxed); }
    // Changed under the tree lock; return the new count.
    uint32_t add_link() { return link_count_.fetch_add(1, std::memory_order_relaxed) + 1; }
    uint32_t remove_link() { return link_count_.fetch_sub(1, std::memory_order_relaxed) - 1; }
    void clear_links() { link_count_.store(0, std::memory_order_relaxed); }
    // Sets the change time, and the modification time too.
    void touch_change(Timespec now);
    void touch_modification(Timespec now);
    // relatime: after a read, if the access time is not newer than the last change (mount(2), MS_RELATIME).
    void touch_access() {
        if (access_is_stale_.load(std::memory_order_relaxed)) update_access_time();
    }
    // May get a first name by link(): made by O_TMPFILE without O_EXCL. Under the tree lock.
    bool linkable = false;

  protected:
    Node(TreeFileSystem& file_system, const NodeAttributes& attributes);
    void change_metadata(const AttributeChange& change);
    // For the set-id bits that a write clears.
    uint16_t permissions() const { return permissions_.load(std::memory_order_relaxed); }
    void clear_set_id_bits();

  private:
    void update_access_time();

    const Ref<TreeFileSystem> file_system_;
    const uint64_t inode_number_;
    const FileType type_;
    std::atomic<bool> access_is_stale_{true};
    std::atomic<uint16_t> permissions_;
    std::atomic<uint32_t> link_count_;
    core::Spinlock lock_{core::Rank::kInode};  // guards what follows; innermost of its rank
    uint32_t uid_, gid_;
    Timespec access_, modification_, change_;
};

class SymlinkNode final : public Node {
  public:
    // `copy` owns the target, or is empty if `target` outlives the node (boot image).
    SymlinkNode(TreeFileSystem& file_system, const NodeAttributes& attributes, std::string_view target,
                core::String copy)
        : Node(file_system, attributes), copy_(std::move(copy)),
          target_(copy_.empty() ? target : std::string_view(copy_)) {}
    Result<core::String> read_link() override { return core::String::create(target_); }
    std::string_view stored_link_target() override { return target_; }
    Attributes attributes() override {
        Attributes result = Node::attributes();
        result.size = target_.size();
        return result;
    }

  private:
    const core::String copy_;
    const std::string_view target_;
};

// Devices, FIFOs and bound sockets: a name for something elsewhere.
class SpecialNode final : public Node {
  public:
    SpecialNode(TreeFileSystem& file_system, const NodeAttributes& attributes, uint64_t device_number)
        : Node(file_system, attributes), device_number_(device_number) {}
    Result<Ref<File>> open(const OpenRequest& request) override;
    Attributes attributes() override {
        Attributes result = Node::attributes();
        result.device_number = device_number_;
        return result;
    }

  private:
    const uint64_t device_number_;
};

// A node of any type but kSymlink. ENOMEM.
Result<Ref<Node>> create_node(TreeFileSystem& file_system, const NodeAttributes& attributes,
                              uint64_t device_number);

}  // namespace fs::tmpfs
