// Transfers: read(2), write(2), readv(2), pread(2), preadv2(2) and their writing kin, lseek(2).
#include "fs/regular_file.h"
#include "libc-compat/families.h"
#include "libc-compat/file_arguments.h"

namespace abi {

namespace {

using Iovec = UserSegments::UserIovec;
constexpr uint32_t kRwfHighPriority = 1, kRwfDataSync = 2, kRwfSync = 4, kRwfNoWait = 8, kRwfAppend = 16;

// `offset` null: at the file's position, which moves.
Result<size_t> read_segments(fs::File& file, std::span<const fs::IoSegment> segments, uint64_t* offset) {
    if (!file.readable()) [[unlikely]] return fail(Errno::kBadF);
    fs::Destination destination = fs::Destination::user(segments);
    if (offset || !file.seekable()) return file.read(destination, offset);
    fs::TurnGuard guard(file.position_lock);
    return file.read(destination, &file.position);
}

// RLIMIT_FSIZE: cuts what would lie beyond; SIGXFSZ and EFBIG if that is all (write(2), setrlimit(2)).
Result<void> limit_size(Context& context, fs::File& file, std::span<fs::IoSegment> segments, uint64_t offset) {
    uint64_t limit = context.limit(process::kLimitFileSize);
    if (limit == kNoLimit || file.kind() != fs::RegularFile::kKind) return {};
    if (file.flags() & fs::kOAppend) offset = static_cast<fs::RegularFile&>(file).node().size();
    if (offset >= limit) {
        process::send_signal(context.thread, process::simple_signal(process::kSigXFsz));
        return fail(Errno::kFBig);
    }
    uint64_t left = limit - offset;
    for (fs::IoSegment& segment : segments) {
        segment.size = std::min(segment.size, left);
        left -= segment.size;
    }
    return {};
}

Result<size_t> write_segments(Context& context, fs::File& file, std::span<fs::IoSegment> segments,
                              uint64_t* offset) {
    if (!file.writable()) [[unlikely]] return fail(Errno::kBadF);
    if (!offset && !file.seekable()) {
        fs::Source source = fs::Source::user(segments);
        return file.write(source, nullptr);
    }
    if (offset) {
        TRY(limit_size(context, file, segments, *offset));
        fs::Source source = fs::Source::user(segments);
        return file.write(source, offset);
    }
    fs::TurnGuard guard(file.position_lock);
    TRY(limit_size(context, file, segments, file.position));
    fs::Source source = fs::Source::user(segments);
    return file.write(source, &file.position);
}

Result<fs::IoSegment> one_segment(uint64_t address, size_t count) {
    if (!UserSegments::is_user_range(address, count)) [[unlikely]] return fail(Errno::kFault);
    return fs::IoSegment{address, std::min(count, kMaxTransfer)};
}

// The offset of a positioned transfer: EINVAL if negative, ESPIPE for streams.
Result<void> check_positioned(fs::File& file, int64_t offset) {
    if (offset < 0) return fail(Errno::kInval);
    if (!file.takes_offset()) return fail(Errno::kSPipe);
    return {};
}

Result<size_t> sys_read(Context& context, int fd, UserOut<std::byte> buffer, size_t count) {
    auto file = TRY(context.use_file(fd));
    if (!file->readable()) [[unlikely]] return fail(Errno::kBadF);
    fs::IoSegment segment = TRY(one_segment(buffer.address().value(), count));
    return read_segments(*file, {&segment, 1}, nullptr);
}

Result<size_t> sys_write(Context& context, int fd, UserIn<std::byte> buffer, size_t count) {
    auto file = TRY(context.use_file(fd));
    if (!file->writable()) [[unlikely]] return fail(Errno::kBadF);
    fs::IoSegment segment = TRY(one_segment(buffer.address().value(), count));
    return write_segments(context, *file, {&segment, 1}, nullptr);
}

Result<size_t> sys_pread64(Context& context, int fd, UserOut<std::byte> buffer, size_t count, int64_t offset) {
    if (offset < 0) return fail(Errno::kInval);
    auto file = TRY(context.use_file(fd));
    TRY(check_positioned(*file, offset));
    if (!file->readable()) [[unlikely]] return fail(Errno::kBadF);
    fs::IoSegment segment = TRY(one_segment(buffer.address().value(), count));
    uint64_t position = static_cast<uint64_t>(offset);
    return read_segments(*file, {&segment, 1}, &position);
}

Result<size_t> sys_pwrite64(Context& context, int fd, UserIn<std::byte> buffer, size_t count, int64_t offset) {
    if (offset < 0) return fail(Errno::kInval);
    auto file = TRY(context.use_file(fd));
    TRY(check_positioned(*file, offset));
    if (!file->writable()) [[unlikely]] return fail(Errno::kBadF);
    fs::IoSegment segment = TRY(one_segment(buffer.address().value(), count));
    uint64_t position = static_cast<uint64_t>(offset);
    return write_segments(context, *file, {&segment, 1}, &position);
}

Result<size_t> sys_readv(Context& context, int fd, UserIn<Iovec> vector, uint64_t count) {
    auto file = TRY(context.use_file(fd));
    if (!file->readable()) return fail(Errno::kBadF);
    UserSegments segments;
    return read_segments(*file, TRY(segments.read(vector, count)), nullptr);
}

Result<size_t> sys_writev(Context& context, int fd, UserIn<Iovec> vector, uint64_t count) {
    auto file = TRY(context.use_file(fd));
    if (!file->writable()) return fail(Errno::kBadF);
    UserSegments segments;
    return write_segments(context, *file, TRY(segments.read(vector, count)), nullptr);
}

// The offset comes in two halves of which x86-64 uses the first.
Result<size_t> sys_preadv2(Context& context, int fd, UserIn<Iovec> vector, uint64_t count, int64_t offset,
                           uint64_t, uint32_t flags) {
    if (flags & ~(kRwfHighPriority | kRwfDataSync | kRwfSync | kRwfNoWait | kRwfAppend))
        return fail(Errno::kOpNotSupp);
    if (offset == -1) return sys_readv(context, fd, vector, count);
    if (offset < 0) return fail(Errno::kInval);
    auto file = TRY(context.use_file(fd));
    TRY(check_positioned(*file, offset));
    UserSegments segments;
    uint64_t position = static_cast<uint64_t>(offset);
    return read_segments(*file, TRY(segments.read(vector, count)), &position);
}

Result<size_t> sys_preadv(Context& context, int fd, UserIn<Iovec> vector, uint64_t count, int64_t offset) {
    if (offset < 0) return fail(Errno::kInval);
    return sys_preadv2(context, fd, vector, count, offset, 0, 0);
}

Result<size_t> sys_pwritev2(Context& context, int fd, UserIn<Iovec> vector, uint64_t count, int64_t offset,
                            uint64_t, uint32_t flags) {
    if (flags & ~(kRwfHighPriority | kRwfDataSync | kRwfSync | kRwfAppend)) return fail(Errno::kOpNotSupp);
    auto file = TRY(context.use_file(fd));
    UserSegments segments;
    if ((flags & kRwfAppend) && file->kind() == fs::RegularFile::kKind && file->writable()) {
        if (offset < -1) return fail(Errno::kInval);
        auto list = TRY(segments.read(vector, count));
        auto& node = static_cast<fs::RegularFile&>(*file).node();
        TRY(limit_size(context, *file, list, node.size()));
        fs::Source source = fs::Source::user(list);
        // As if the file were open with O_APPEND; an explicit offset leaves the position alone.
        uint64_t end = 0;
        if (offset != -1) return node.write(source, &end, fs::tmpfs::RegularNode::Placing::kAppend);
        fs::TurnGuard guard(file->position_lock);
        return node.write(source, &file->position, fs::tmpfs::RegularNode::Placing::kAppend);
    }
    if (offset == -1) return sys_writev(context, fd, vector, count);
    TRY(check_positioned(*file, offset));
    uint64_t position = static_cast<uint64_t>(offset);
    return write_segments(context, *file, TRY(segments.read(vector, count)), &position);
}

Result<size_t> sys_pwritev(Context& context, int fd, UserIn<Iovec> vector, uint64_t count, int64_t offset) {
    if (offset < 0) return fail(Errno::kInval);
    return sys_pwritev2(context, fd, vector, count, offset, 0, 0);
}

Result<uint64_t> sys_lseek(Context& context, int fd, int64_t offset, uint32_t whence) {
    auto file = TRY(context.use_file(fd));
    if (whence > 4) return fail(Errno::kInval);
    return file->seek(offset, static_cast<int>(whence));
}

constexpr SystemCall kFileCalls[] = {
    CALL(0, read, "fd, buf, count"),
    CALL(1, write, "fd, buf, count"),
    CALL(8, lseek, "fd, offset, whence"),
    CALL(17, pread64, "fd, buf, count, offset"),
    CALL(18, pwrite64, "fd, buf, count, offset"),
    CALL(19, readv, "fd, iov, iovcnt"),
    CALL(20, writev, "fd, iov, iovcnt"),
    CALL(295, preadv, "fd, iov, iovcnt, offset"),
    CALL(296, pwritev, "fd, iov, iovcnt, offset"),
    CALL(327, preadv2, "fd, iov, iovcnt, offset, unused, flags"),
    CALL(328, pwritev2, "fd, iov, iovcnt, offset, unused, flags"),
};

}  // namespace

const SystemCallFamily kFileFamily{"files", kFileCalls};

}  // namespace abi
