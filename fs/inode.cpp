// What inodes answer unless their type knows better.
#include "fs/inode.h"

#include "fs/file.h"
#include "fs/locks.h"
#include "fs/path.h"

namespace fs {

namespace {

// Changing names in something: ENOTDIR if it is no directory, EPERM if its file system has fixed names.
core::Error no_such_change(Inode& inode) {
    return fail(inode.ownership().type == FileType::kDirectory ? Errno::kPerm : Errno::kNotDir);
}

}  // namespace

Inode::~Inode() { delete locks.load(std::memory_order_acquire); }

Result<void> Inode::change_attributes(const AttributeChange&) { return fail(Errno::kPerm); }

Ownership Inode::ownership() {
    Attributes all = attributes();
    return {all.type, all.permissions, all.uid, all.gid};
}

Result<Ref<Inode>> Inode::lookup(std::string_view) {
    return fail(ownership().type == FileType::kDirectory ? Errno::kNoEnt : Errno::kNotDir);
}
Result<Ref<Inode>> Inode::create(std::string_view, FileType, uint16_t, uint32_t, uint32_t, uint64_t) {
    return no_such_change(*this);
}
Result<Ref<Inode>> Inode::create_symlink(std::string_view, std::string_view, uint32_t, uint32_t) {
    return no_such_change(*this);
}
Result<Ref<Inode>> Inode::create_unnamed(uint16_t, uint32_t, uint32_t, Linkable) {
    return fail(Errno::kOpNotSupp);
}
Result<void> Inode::link(std::string_view, Inode&) { return no_such_change(*this); }
Result<void> Inode::unlink(std::string_view) { return no_such_change(*this); }
Result<void> Inode::remove_directory(std::string_view) { return no_such_change(*this); }
Result<void> Inode::rename(std::string_view, Inode&, std::string_view, unsigned) { return no_such_change(*this); }
Result<void> Inode::read_directory(uint64_t, DirectorySink&) { return fail(Errno::kNotDir); }
Result<core::String> Inode::read_link() { return fail(Errno::kInval); }
Result<Path> Inode::follow_magic_link(const LookupRequest&) { return fail(Errno::kNoData); }
Result<Ref<File>> Inode::open(const OpenRequest&) { return fail(Errno::kNxIo); }
mm::PageCache& Inode::page_cache() { PANIC("an inode without pages was mapped"); }

Result<void> Inode::begin_write() {
    int count = writers_.load(std::memory_order_relaxed);
    do {
        if (count < 0) return fail(Errno::kTxtBsy);
    } while (!writers_.compare_exchange_weak(count, count + 1, std::memory_order_acquire));
    return {};
}

Result<void> Inode::begin_execution() {
    int count = writers_.load(std::memory_order_relaxed);
    do {
        if (count > 0) return fail(Errno::kTxtBsy);
    } while (!writers_.compare_exchange_weak(count, count - 1, std::memory_order_acquire));
    return {};
}

uint64_t allocate_device_number() {
    static std::atomic<uint32_t> next{1};
    return next.fetch_add(1, std::memory_order_relaxed);  // major 0; minors below 256 need no encoding
}

}  // namespace fs
