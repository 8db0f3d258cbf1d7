// Directories in memory.
#pragma once

#include "core/intrusive.h"
#include "fs/tmpfs/node.h"

namespace fs::tmpfs {

// One name. Ordered by (hash, name) for look-ups and by `offset` for getdents64, which is unique in its
// directory and never changes, so that a listing stays right while names come and go.
struct Entry {
    core::TreeHook by_name, by_offset;
    uint64_t offset = 0;
    uint64_t inode_number = 0;
    uint32_t hash = 0;
    FileType type{};
    Ref<Node> node;  // null: not loaded yet (DirectoryContent)
    core::String name;

    static Result<std::unique_ptr<Entry>> create(std::string_view name);
};
struct EntryByName {
    bool operator()(const Entry& a, const Entry& b) const {
        return a.hash != b.hash ? a.hash < b.hash : a.name.view() < b.name.view();
    }
};
struct EntryByOffset {
    bool operator()(const Entry& a, const Entry& b) const { return a.offset < b.offset; }
};

// What a directory held before it was changed (the boot image). Its names are copied into the directory as a
// whole before the first change or listing; until then look-ups go straight through.
class DirectoryContent {
  public:
    virtual ~DirectoryContent() = default;
    virtual Result<Ref<Node>> lookup(std::string_view name) = 0;  // ENOENT, EIO, ENOMEM
    virtual Result<Ref<Node>> load(uint64_t inode_number) = 0;    // EIO, ENOMEM
    // "." and ".." left out.
    class Sink {
      public:
        virtual Result<void> entry(std::string_view name, uint64_t inode_number, FileType type) = 0;

      protected:
        ~Sink() = default;
    };
    virtual Result<void> list(Sink& sink) = 0;
};

class DirectoryNode final : public Node {
  public:
    DirectoryNode(TreeFileSystem& file_system, const NodeAttributes& attributes,
                  std::unique_ptr<DirectoryContent> content);
    ~DirectoryNode() override;

    Attributes attributes() override;
    Result<Ref<Inode>> lookup(std::string_view name) override;
    Result<Ref<Inode>> create(std::string_view name, FileType type, uint16_t permissions, uint32_t uid,
                              uint32_t gid, uint64_t device_number) override;
    Result<Ref<Inode>> create_symlink(std::string_view name, std::string_view target, uint32_t uid,
                                      uint32_t gid) override;
    Result<Ref<Inode>> create_unnamed(uint16_t permissions, uint32_t uid, uint32_t gid, Linkable linkable) override;
    Result<void> link(std::string_view name, Inode& target) override;
    Result<void> unlink(std::string_view name) override;
    Result<void> remove_directory(std::string_view name) override;
    Result<void> rename(std::string_view old_name, Inode& new_directory, std::string_view new_name,
                        unsigned rename_flags) override;
    Result<void> read_directory(uint64_t offset, DirectorySink& sink) override;
    Result<Ref<File>> open(const OpenRequest& request) override;

    // Drops all names (unmount). Does not recurse however deep the tree is.
    void clear();

  private:
    using Names = core::Tree<Entry, &Entry::by_name, EntryByName>;
    using Offsets = core::Tree<Entry, &Entry::by_offset, EntryByOffset>;

    // Copies the names of content_ into the tree, once. All or nothing.
    Result<void> populate();
    // The node of an existing name, loaded if need be. Populated directories only. ENOENT, ENOMEM, EIO.
    Result<Ref<Node>> load(std::string_view name);
    Result<Ref<Node>> insert_new(std::string_view name, Ref<Node> node);

    Entry* find_locked(std::string_view name);
    void insert_locked(std::unique_ptr<Entry> entry, Ref<Node> node);
    std::unique_ptr<Entry> take_locked(Entry& entry);

    // Guarded by the file system's tree lock.
    Names names_;
    Offsets offsets_;
    uint64_t next_offset_ = 3;  // 1 and 2 come after "." and ".."
    size_t count_ = 0;
    bool removed_ = false;      // rmdir has taken it: no name can be added
    bool populated_;            // names_ is complete
    const std::unique_ptr<DirectoryContent> content_;  // null: empty at first
};

}  // namespace fs::tmpfs
