#include "fs/overlay/overlay.h"

#include <algorithm>

#include "fs/erofs/image.h"
#include "fs/path.h"
#include "fs/tmpfs/directory.h"
#include "fs/tmpfs/regular.h"
#include "mm/frames.h"

namespace fs::overlay {

namespace {

using tmpfs::DirectoryNode;
using tmpfs::Node;
using tmpfs::NodeAttributes;
using tmpfs::RegularNode;

// The first content of a file: pages of the image in place, an incomplete or unaligned one as a copy.
class ImageContent final : public tmpfs::ContentSource {
  public:
    ImageContent(std::span<const std::byte> body, std::span<const std::byte> tail)
        : ContentSource(body.size() + tail.size()), body_(body), tail_(tail), size_(end()) {}

    Result<Pfn> frame_in_place(uint64_t index) override {
        uint64_t start = index << core::kPageShift;
        if (start >= body_.size()) return fail(Errno::kNoData);
        const std::byte* page = body_.data() + start;
        // A whole page that still is as it was. What follows the end of a file in its last block is zero in
        // the image, unless the file was cut.
        uint64_t kept = end();
        bool whole = start + kPageSize <= kept || (kept == size_ && start < kept);
        if (!whole || !core::is_aligned(reinterpret_cast<uintptr_t>(page), kPageSize)) return fail(Errno::kNoData);
        return Pfn(mm::to_physical(page));
    }

    Result<void> fill(uint64_t index, Pfn frame) override {
        auto* page = static_cast<std::byte*>(mm::to_pointer(frame));
        uint64_t start = index << core::kPageShift;
        uint64_t count = start < end() ? std::min<uint64_t>(end() - start, kPageSize) : 0;
        uint64_t from_body = start < body_.size() ? std::min<uint64_t>(count, body_.size() - start) : 0;
        if (from_body > 0) std::memcpy(page, body_.data() + start, from_body);
        if (count > from_body)
            std::memcpy(page + from_body, tail_.data() + (start + from_body - body_.size()), count - from_body);
        std::memset(page + count, 0, kPageSize - count);
        return {};
    }

  private:
    const std::span<const std::byte> body_, tail_;
    const uint64_t size_;
};

struct LoadedNode {
    core::TreeHook hook;
    uint64_t nid;
    Ref<Node> node;
};
struct ByNid {
    bool operator()(const LoadedNode& a, const LoadedNode& b) const { return a.nid < b.nid; }
    bool operator()(uint64_t a, const LoadedNode& b) const { return a < b.nid; }
    bool operator()(const LoadedNode& a, uint64_t b) const { return a.nid < b; }
};

class OverlayFileSystem final : public tmpfs::TreeFileSystem {
  public:
    explicit OverlayFileSystem(const erofs::Image& image)
        : TreeFileSystem("overlay", image.first_free_nid()), image_(image) {}
    ~OverlayFileSystem() override { forget_all(); }

    const erofs::Image& image() const { return image_; }
    uint64_t type_magic() const override { return 0x794c'7630; }  // OVERLAYFS_SUPER_MAGIC
    // The node of an image's inode: always the same one. EIO, ENOMEM.
    Result<Ref<Node>> load(uint64_t nid);
    void node_unlinked(Node& node) override;
    void unmounted() override {
        TreeFileSystem::unmounted();
        forget_all();
    }

  private:
    using Loaded = core::Tree<LoadedNode, &LoadedNode::hook, ByNid>;
    Result<Ref<Node>> make_node(const erofs::ImageInode& inode);
    void forget_all();

    const erofs::Image image_;
    core::Spinlock lock_{core::Rank::kInode};  // guards loaded_; never with the tree lock
    Loaded loaded_;
};

class ImageDirectory final : public tmpfs::DirectoryContent {
  public:
    ImageDirectory(OverlayFileSystem& file_system, const erofs::ImageInode& inode)
        : file_system_(file_system), inode_(inode) {}

    Result<Ref<Node>> lookup(std::string_view name) override {
        return file_system_.load(TRY(file_system_.image().lookup(inode_, name)));
    }
    Result<Ref<Node>> load(uint64_t inode_number) override { return file_system_.load(inode_number); }
    Result<void> list(Sink& sink) override {
        struct Filter final : erofs::Image::Sink {
            explicit Filter(DirectoryContent::Sink& sink) : sink(sink) {}
            Result<void> entry(std::string_view name, uint64_t nid, FileType type) override {
                if (name == "." || name == "..") return {};
                return sink.entry(name, nid, type);
            }
            DirectoryContent::Sink& sink;
        } filter(sink);
        return file_system_.image().list(inode_, filter);
    }

  private:
    OverlayFileSystem& file_system_;  // owns the node that owns this
    const erofs::ImageInode inode_;
};

Result<Ref<Node>> OverlayFileSystem::make_node(const erofs::ImageInode& inode) {
    NodeAttributes attributes{inode.nid, inode.type, inode.permissions, inode.uid, inode.gid,
                              inode.link_count, inode.modification};
    switch (inode.type) {
        case FileType::kRegular: {
            std::unique_ptr<tmpfs::ContentSource> content =
                TRY(core::make<ImageContent>(inode.body, inode.tail));
            return core::make_ref<RegularNode>(*this, attributes, inode.size, std::move(content));
        }
        case FileType::kDirectory: {
            std::unique_ptr<tmpfs::DirectoryContent> content = TRY(core::make<ImageDirectory>(*this, inode));
            return core::make_ref<DirectoryNode>(*this, attributes, std::move(content));
        }
        case FileType::kSymlink:
            return core::make_ref<tmpfs::SymlinkNode>(*this, attributes, TRY(image_.link_target(inode)),
                                                      core::String());
        default: return core::make_ref<tmpfs::SpecialNode>(*this, attributes, inode.device_number);
    }
}

Result<Ref<Node>> OverlayFileSystem::load(uint64_t nid) {
    {
        core::SpinGuard guard(lock_);
        if (auto it = loaded_.find(nid, ByNid()); it != loaded_.end()) return it->node;
    }
    auto record = TRY(core::make<LoadedNode>());
    record->nid = nid;
    record->node = TRY(make_node(TRY(image_.inode(nid))));
    core::SpinGuard guard(lock_);
    auto [it, inserted] = loaded_.insert(*record);
    Ref<Node> node = it->node;  // another thread may have been quicker
    if (inserted) record.release();
    guard.unlock();
    return node;
}

void OverlayFileSystem::node_unlinked(Node& node) {
    std::unique_ptr<LoadedNode> dropped;  // freed after the lock
    core::SpinGuard guard(lock_);
    if (auto it = loaded_.find(node.inode_number(), ByNid()); it != loaded_.end() && it->node == &node) {
        dropped.reset(&*it);
        it->hook.unlink();
    }
    guard.unlock();
}

void OverlayFileSystem::forget_all() {
    for (;;) {
        std::unique_ptr<LoadedNode> dropped;
        core::SpinGuard guard(lock_);
        if (loaded_.empty()) return;
        dropped.reset(&*loaded_.begin());
        dropped->hook.unlink();
        guard.unlock();
    }
}

}  // namespace

Result<Ref<FileSystem>> create(std::span<const std::byte> bytes) {
    erofs::Image image = TRY(erofs::Image::open(bytes));
    auto file_system = TRY(core::make_ref<OverlayFileSystem>(image));
    file_system->set_root(TRY(file_system->load(image.root_nid())));
    return file_system;
}

}  // namespace fs::overlay

namespace fs {

Result<Path> make_boot_root(std::span<const std::byte> image) {
    return make_root(TRY(overlay::create(image)));
}

}  // namespace fs
