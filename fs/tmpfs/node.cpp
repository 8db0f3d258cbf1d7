#include "fs/tmpfs/node.h"

#include "fs/device.h"
#include "fs/pipe.h"
#include "fs/tmpfs/directory.h"
#include "fs/tmpfs/regular.h"
#include "mm/frames.h"
#include "sched/timer.h"

namespace fs::tmpfs {

namespace {

constexpr uint16_t kSetUid = 04000, kSetGid = 02000, kGroupExecute = 00010;
constexpr uint64_t kBillion = 1'000'000'000;

}  // namespace

Timespec current_time() {
    uint64_t now = sched::realtime_offset_ns() + sched::monotonic_ns();
    return {static_cast<int64_t>(now / kBillion), static_cast<int64_t>(now % kBillion)};
}

Ref<Inode> TreeFileSystem::root() { return root_; }

FileSystemStatistics TreeFileSystem::statistics() {
    mm::MemoryStatistics memory = mm::memory_statistics();
    // tmpfs(5): half of the memory unless told otherwise.
    uint64_t blocks = size_limit_pages ? size_limit_pages : memory.total_pages / 2;
    return {.type_magic = type_magic(), .block_size = kPageSize, .blocks = blocks,
            .free_blocks = std::min(blocks, memory.free_pages), .inodes = memory.total_pages / 2,
            .free_inodes = memory.free_pages / 2, .name_max = 255};
}

void TreeFileSystem::unmounted() {
    Ref<Node> root = std::move(root_);
    if (root) static_cast<DirectoryNode&>(*root).clear();
}

Node::Node(TreeFileSystem& file_system, const NodeAttributes& attributes)
    : file_system_(&file_system), inode_number_(attributes.inode_number), type_(attributes.type),
      permissions_(attributes.permissions), link_count_(attributes.link_count), uid_(attributes.uid),
      gid_(attributes.gid), modification_(attributes.modification) {
    if (modification_.seconds == 0 && modification_.nanoseconds == 0) modification_ = current_time();
    access_ = change_ = modification_;
}

Attributes Node::attributes() {
    Attributes result;
    result.inode_number = inode_number_;
    result.type = type_;
    result.link_count = link_count();
    core::SpinGuard guard(lock_, core::SpinGuard::Nested{});
    result.permissions = permissions();
    result.uid = uid_;
    result.gid = gid_;
    result.access = access_;
    result.modification = modification_;
    result.change = change_;
    return result;
}

Ownership Node::ownership() {
    core::SpinGuard guard(lock_, core::SpinGuard::Nested{});
    return {type_, permissions(), uid_, gid_};
}

Result<void> Node::change_attributes(const AttributeChange& change) {
    change_metadata(change);
    return {};
}

void Node::change_metadata(const AttributeChange& change) {
    Timespec now = current_time();
    core::SpinGuard guard(lock_, core::SpinGuard::Nested{});
    if (change.set_permissions) permissions_.store(change.permissions & 07777, std::memory_order_relaxed);
    if (change.set_uid) uid_ = change.uid;
    if (change.set_gid) gid_ = change.gid;
    if (change.set_access) access_ = change.access;
    if (change.set_modification) modification_ = change.modification;
    change_ = now;
    access_is_stale_.store(true, std::memory_order_relaxed);
}

void Node::touch_change(Timespec now) {
    core::SpinGuard guard(lock_, core::SpinGuard::Nested{});
    change_ = now;
    access_is_stale_.store(true, std::memory_order_relaxed);
}

void Node::touch_modification(Timespec now) {
    core::SpinGuard guard(lock_, core::SpinGuard::Nested{});
    modification_ = change_ = now;
    access_is_stale_.store(true, std::memory_order_relaxed);
}

void Node::update_access_time() {
    Timespec now = current_time();
    core::SpinGuard guard(lock_, core::SpinGuard::Nested{});
    auto not_older = [](Timespec a, Timespec b) {
        return a.seconds > b.seconds || (a.seconds == b.seconds && a.nanoseconds >= b.nanoseconds);
    };
    if (not_older(modification_, access_) || not_older(change_, access_)) access_ = now;
    access_is_stale_.store(false, std::memory_order_relaxed);
}

void Node::clear_set_id_bits() {
    core::SpinGuard guard(lock_, core::SpinGuard::Nested{});
    uint16_t kept = permissions() & ~kSetUid;
    if (kept & kGroupExecute) kept &= ~kSetGid;
    permissions_.store(kept, std::memory_order_relaxed);
}

Result<Ref<File>> SpecialNode::open(const OpenRequest& request) {
    switch (type()) {
        case FileType::kFifo: return open_fifo(*this, request);
        case FileType::kCharacter:
        case FileType::kBlock: return open_device(*this, request);
        default: return fail(Errno::kNxIo);
    }
}

Result<Ref<Node>> create_node(TreeFileSystem& file_system, const NodeAttributes& attributes,
                              uint64_t device_number) {
    switch (attributes.type) {
        case FileType::kRegular: return core::make_ref<RegularNode>(file_system, attributes);
        case FileType::kDirectory: return core::make_ref<DirectoryNode>(file_system, attributes, nullptr);
        default: return core::make_ref<SpecialNode>(file_system, attributes, device_number);
    }
}

}  // namespace fs::tmpfs
