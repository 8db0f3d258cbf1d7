// sendfile(2), copy_file_range(2), and what acts on a whole file: truncate(2), fallocate(2), fsync(2), fadvise.
#include "fs/mount.h"
#include "fs/regular_file.h"
#include "libc-compat/families.h"
#include "libc-compat/file_arguments.h"
#include "mm/frames.h"
#include "sched/thread.h"

namespace abi {

namespace {

// Pages of a file passed to another file's write() without a copy in between.
class PageBatch {
  public:
    static constexpr size_t kPages = 16;
    explicit PageBatch(fs::tmpfs::RegularNode& node) : node_(node) {}
    PageBatch(const PageBatch&) = delete;
    ~PageBatch() { release(); }

    // Holds the pages of [offset, offset + count), at most kPages of them, and not beyond the file's end.
    Result<std::span<const fs::IoSegment>> load(uint64_t offset, uint64_t count) {
        release();
        uint64_t size = node_.size();
        if (offset >= size) return std::span<const fs::IoSegment>();
        uint64_t left = std::min(count, size - offset);
        while (left > 0 && held_ < kPages) {
            uint64_t in_page = offset & core::kPageMask, step = std::min(left, kPageSize - in_page);
            auto frame = node_.page_cache().get(offset >> core::kPageShift, mm::PageCache::Intent::kRead);
            if (!frame) {
                if (held_ > 0) break;
                return fail(frame.error());
            }
            frames_[held_] = *frame;
            segments_[held_++] = {reinterpret_cast<uint64_t>(mm::to_pointer(*frame)) + in_page, step};
            offset += step;
            left -= step;
        }
        return std::span<const fs::IoSegment>(segments_, held_);
    }

  private:
    void release() {
        while (held_ > 0) mm::unref_frame(frames_[--held_]);
    }
    fs::tmpfs::RegularNode& node_;
    Pfn frames_[kPages];
    fs::IoSegment segments_[kPages];
    size_t held_ = 0;
};

Result<size_t> write_at(fs::File& out, fs::Source& source, uint64_t* offset) {
    if (offset || !out.seekable()) return out.write(source, offset);
    fs::TurnGuard guard(out.position_lock);
    return out.write(source, &out.position);
}

// Copies until `count`, the end of `in`, a short write or an error; an error after some bytes is their count.
Result<size_t> copy_pages(fs::RegularFile& in, uint64_t* in_offset, fs::File& out, uint64_t* out_offset,
                          size_t count) {
    PageBatch batch(in.node());
    size_t done = 0;
    while (done < count) {
        auto segments = batch.load(*in_offset, count - done);
        if (!segments) return done > 0 ? Result<size_t>(done) : fail(segments.error());
        if (segments->empty()) break;
        fs::Source source = fs::Source::kernel(*segments);
        size_t wanted = source.remaining();
        auto written = write_at(out, source, out_offset);
        if (!written) return done > 0 ? Result<size_t>(done) : fail(written.error());
        *in_offset += *written;
        done += *written;
        if (*written < wanted) break;
        sched::poll_point();
    }
    return done;
}

Result<size_t> sys_sendfile(Context& context, int out_fd, int in_fd, UserOut<int64_t> offset, size_t count) {
    auto in = TRY(context.file(in_fd));
    if (!in->readable()) return fail(Errno::kBadF);
    auto out = TRY(context.file(out_fd));
    if (!out->writable()) return fail(Errno::kBadF);
    if (out->flags() & fs::kOAppend) return fail(Errno::kInval);
    if (!offset.is_null() && !in->takes_offset()) return fail(Errno::kSPipe);
    if (in->kind() != fs::RegularFile::kKind) return fail(Errno::kInval);
    auto& file = static_cast<fs::RegularFile&>(*in);
    count = std::min(count, kMaxTransfer);
    if (offset.is_null()) {
        if (in.get() == out.get()) return fail(Errno::kInval);
        fs::TurnGuard guard(file.position_lock);
        return copy_pages(file, &file.position, *out, nullptr, count);
    }
    int64_t start = TRY(arch::copy_in(UserIn<int64_t>(offset)));
    if (start < 0) return fail(Errno::kInval);
    uint64_t position = static_cast<uint64_t>(start);
    auto done = copy_pages(file, &position, *out, nullptr, count);
    TRY(arch::copy_out(offset, static_cast<int64_t>(position)));
    return done;
}

Result<uint64_t> start_offset(fs::File& file, UserOut<int64_t> offset) {
    if (offset.is_null()) return file.position;
    int64_t value = TRY(arch::copy_in(UserIn<int64_t>(offset)));
    if (value < 0) return fail(Errno::kInval);
    return static_cast<uint64_t>(value);
}

Result<void> put_offset(fs::File& file, UserOut<int64_t> offset, uint64_t value) {
    if (!offset.is_null()) return arch::copy_out(offset, static_cast<int64_t>(value));
    fs::TurnGuard guard(file.position_lock);
    file.position = value;
    return {};
}

Result<size_t> sys_copy_file_range(Context& context, int in_fd, UserOut<int64_t> in_offset, int out_fd,
                                   UserOut<int64_t> out_offset, size_t count, uint32_t flags) {
    auto in = TRY(context.file(in_fd)), out = TRY(context.file(out_fd));
    if (flags != 0) return fail(Errno::kInval);
    uint64_t from = TRY(start_offset(*in, in_offset)), to = TRY(start_offset(*out, out_offset));
    for (fs::File* file : {in.get(), out.get()}) {
        fs::FileType type = file->attributes().type;
        if (type == fs::FileType::kDirectory) return fail(Errno::kIsDir);
        if (file->kind() != fs::RegularFile::kKind) return fail(Errno::kInval);
    }
    if (!in->readable() || !out->writable() || (out->flags() & fs::kOAppend)) return fail(Errno::kBadF);
    if (from + count < from || to + count < to) return fail(Errno::kOverflow);
    auto& file = static_cast<fs::RegularFile&>(*in);
    if (&file.node() == &static_cast<fs::RegularFile&>(*out).node() && from < to + count && to < from + count)
        return fail(Errno::kInval);
    size_t done = TRY(copy_pages(file, &from, *out, &to, std::min(count, kMaxTransfer)));
    TRY(put_offset(*in, in_offset, from));
    TRY(put_offset(*out, out_offset, to));
    return done;
}

// RLIMIT_FSIZE when a file grows by its size (truncate(2)).
Result<void> check_size_limit(Context& context, uint64_t old_size, uint64_t new_size) {
    if (new_size <= old_size || new_size <= context.limit(process::kLimitFileSize)) return {};
    process::send_signal(context.thread, process::simple_signal(process::kSigXFsz));
    return fail(Errno::kFBig);
}

Result<void> sys_truncate(Context& context, UserIn<char> path, int64_t length) {
    if (length < 0) return fail(Errno::kInval);
    fs::Path place = TRY(path_at(context, kAtFdCwd, path, 0));
    if (place.dentry->type() == fs::FileType::kRegular)
        TRY(check_size_limit(context, place.inode().attributes().size, static_cast<uint64_t>(length)));
    fs::AttributeChange change;
    change.set_size = true;
    change.size = static_cast<uint64_t>(length);
    return fs::change_attributes(place, change, context.credentials().identity());
}

Result<void> sys_ftruncate(Context& context, int fd, int64_t length) {
    if (length < 0) return fail(Errno::kInval);
    auto file = TRY(context.file(fd));
    if (!file->writable()) return fail(Errno::kInval);
    if (file->kind() == fs::RegularFile::kKind)
        TRY(check_size_limit(context, static_cast<fs::RegularFile&>(*file).node().size(), static_cast<uint64_t>(length)));
    return file->truncate(static_cast<uint64_t>(length));
}

Result<void> sys_fallocate(Context& context, int fd, uint32_t mode, int64_t offset, int64_t length) {
    auto file = TRY(context.file(fd));
    if (offset < 0 || length <= 0) return fail(Errno::kInval);
    if (!file->writable()) return fail(Errno::kBadF);
    if (file->kind() != fs::RegularFile::kKind) {
        switch (file->attributes().type) {
            case fs::FileType::kFifo: return fail(Errno::kSPipe);
            case fs::FileType::kDirectory: return fail(Errno::kIsDir);
            default: return fail(Errno::kNoDev);
        }
    }
    int64_t end;
    if (__builtin_add_overflow(offset, length, &end)) return fail(Errno::kFBig);
    auto& node = static_cast<fs::RegularFile&>(*file).node();
    if (!(mode & 1)) TRY(check_size_limit(context, node.size(), static_cast<uint64_t>(end)));
    return node.allocate(mode, static_cast<uint64_t>(offset), static_cast<uint64_t>(length));
}

Result<void> sys_fsync(Context& context, int fd) { return TRY(context.file(fd))->sync(); }
Result<void> sys_fdatasync(Context& context, int fd) { return sys_fsync(context, fd); }
// Nothing is ever written back: all file systems live in memory.
Result<void> sys_sync(Context&) { return {}; }
Result<void> sys_syncfs(Context& context, int fd) {
    TRY(context.file(fd));
    return {};
}

Result<void> sys_sync_file_range(Context& context, int fd, int64_t offset, int64_t length, uint32_t flags) {
    auto file = TRY(context.file(fd));
    if ((flags & ~7u) || offset < 0 || length < 0) return fail(Errno::kInval);
    if (!file->seekable()) return fail(Errno::kSPipe);
    return {};
}

Result<void> sys_fadvise64(Context& context, int fd, int64_t, uint64_t length, int advice) {
    auto file = TRY(context.file(fd));
    if (file->attributes().type == fs::FileType::kFifo) return fail(Errno::kSPipe);
    if (advice < 0 || advice > 5 || static_cast<int64_t>(length) < 0) return fail(Errno::kInval);
    return {};  // everything is cached already
}

Result<void> sys_readahead(Context& context, int fd, int64_t, size_t) {
    auto file = TRY(context.file(fd));
    if (!file->readable()) return fail(Errno::kBadF);
    if (file->kind() != fs::RegularFile::kKind) return fail(Errno::kInval);
    return {};
}

constexpr SystemCall kCopyingCalls[] = {
    CALL(40, sendfile, "out_fd, in_fd, offset, count", "in_fd is a regular file"),
    CALL(74, fsync, "fd"),
    CALL(75, fdatasync, "fd"),
    CALL(76, truncate, "path, length"),
    CALL(77, ftruncate, "fd, length"),
    CALL(162, sync, ""),
    CALL(187, readahead, "fd, offset, count"),
    CALL(221, fadvise64, "fd, offset, len, advice"),
    CALL(277, sync_file_range, "fd, offset, nbytes, flags"),
    CALL(285, fallocate, "fd, mode, offset, len", "as Linux' tmpfs: modes 0, KEEP_SIZE, PUNCH_HOLE"),
    CALL(306, syncfs, "fd"),
    CALL(326, copy_file_range, "fd_in, off_in, fd_out, off_out, len, flags"),
};

}  // namespace

const SystemCallFamily kCopyingFamily{"copying and sizes", kCopyingCalls};

}  // namespace abi
