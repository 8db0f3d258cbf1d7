// splice(2), tee(2), vmsplice(2). Bytes are copied through one page; what the other side does not take goes back into
// the pipe it came from.
#include "fs/pipe/pipe_file.h"
#include "libc-compat/families.h"
#include "libc-compat/file_arguments.h"
#include "sched/thread.h"

namespace abi {

namespace {

constexpr uint32_t kMove = 1, kNonBlock = 2, kMore = 4, kGift = 8;
constexpr uint32_t kAllFlags = kMove | kNonBlock | kMore | kGift;

fs::Pipe* pipe_of(fs::File& file) {
    return file.kind() == fs::PipeFile::kKind ? &static_cast<fs::PipeFile&>(file).pipe() : nullptr;
}

struct Page {
    Page() {}  // not zeroed
    std::byte bytes[core::kPageSize];
};

Result<size_t> write_kernel(fs::File& file, const std::byte* bytes, size_t count, uint64_t* offset) {
    fs::IoSegment segment{reinterpret_cast<uint64_t>(bytes), count};
    auto source = fs::Source::kernel({&segment, 1});
    if (offset || !file.seekable()) return file.write(source, offset);
    fs::TurnGuard guard(file.position_lock);
    return file.write(source, &file.position);
}

Result<size_t> read_kernel(fs::File& file, std::byte* bytes, size_t count, uint64_t* offset) {
    fs::IoSegment segment{reinterpret_cast<uint64_t>(bytes), count};
    auto destination = fs::Destination::kernel({&segment, 1});
    if (offset || !file.seekable()) return file.read(destination, offset);
    fs::TurnGuard guard(file.position_lock);
    return file.read(destination, &file.position);
}

fs::Blocking blocking_of(uint32_t flags) { return flags & kNonBlock ? fs::Blocking::kNo : fs::Blocking::kYes; }

// A count if something was moved, else the error.
Result<size_t> outcome(size_t moved, Errno error) {
    if (moved > 0) return moved;
    return fail(error);
}

Result<size_t> from_pipe(fs::Pipe& in, fs::File& out, uint64_t* offset, size_t count, uint32_t flags) {
    auto page = TRY(core::make<Page>());
    size_t moved = 0;
    while (moved < count) {
        // Only the first piece is waited for.
        auto blocking = moved > 0 ? fs::Blocking::kNo : blocking_of(flags);
        auto taken = in.take(page->bytes, std::min(sizeof page->bytes, count - moved), blocking);
        if (!taken) return outcome(moved, taken.error());
        if (*taken == 0) break;
        fs::Pipe* out_pipe = pipe_of(out);
        Result<size_t> written = 0;
        if (out_pipe) {
            fs::IoSegment segment{reinterpret_cast<uint64_t>(page->bytes), *taken};
            auto source = fs::Source::kernel({&segment, 1});
            written = out_pipe->write(source, blocking);
        } else {
            written = write_kernel(out, page->bytes, *taken, offset);
        }
        size_t done = written ? *written : 0;
        in.finish_take(page->bytes + done, *taken - done);
        moved += done;
        if (!written) return outcome(moved, written.error());
        if (done < *taken) break;
    }
    return moved;
}

Result<size_t> to_pipe(fs::File& in, uint64_t* offset, fs::Pipe& out, size_t count, uint32_t flags) {
    auto page = TRY(core::make<Page>());
    size_t moved = 0;
    while (moved < count) {
        auto blocking = moved > 0 ? fs::Blocking::kNo : blocking_of(flags);
        if (auto room = out.wait_writable(blocking); !room) return outcome(moved, room.error());
        if (moved > 0 && !in.seekable() && !(in.poll(nullptr) & fs::kPollIn)) break;
        auto got = read_kernel(in, page->bytes, std::min(sizeof page->bytes, count - moved), offset);
        if (!got) return outcome(moved, got.error());
        if (*got == 0) break;
        // What was read must not be lost, so this waits even if the room has gone to another writer meanwhile.
        fs::IoSegment segment{reinterpret_cast<uint64_t>(page->bytes), *got};
        auto source = fs::Source::kernel({&segment, 1});
        auto written = out.write(source, fs::Blocking::kYes);
        if (!written) return outcome(moved, written.error());
        moved += *written;
        if (*written < *got) break;
    }
    return moved;
}

Result<uint64_t> read_offset(UserOut<int64_t> user) {
    int64_t offset = TRY(arch::copy_in(UserIn<int64_t>(user)));
    if (offset < 0) return fail(Errno::kInval);
    return static_cast<uint64_t>(offset);
}

Result<size_t> sys_splice(Context& context, int in_fd, UserOut<int64_t> in_offset, int out_fd, UserOut<int64_t> out_offset,
                          size_t count, uint32_t flags) {
    if (count == 0) return 0;
    if (flags & ~kAllFlags) return fail(Errno::kInval);
    auto in = TRY(context.file(in_fd));
    auto out = TRY(context.file(out_fd));
    fs::Pipe *in_pipe = pipe_of(*in), *out_pipe = pipe_of(*out);
    if (in_pipe && !in_offset.is_null()) return fail(Errno::kSPipe);
    if (out_pipe && !out_offset.is_null()) return fail(Errno::kSPipe);
    if (!in->readable() || !out->writable()) return fail(Errno::kBadF);
    if (!in_pipe && !out_pipe) return fail(Errno::kInval);
    if (in_pipe == out_pipe) return fail(Errno::kInval);
    count = std::min(count, kMaxTransfer);
    if (in_pipe && out_pipe) {
        if ((in->flags() | out->flags()) & fs::kONonBlock) flags |= kNonBlock;
        return from_pipe(*in_pipe, *out, nullptr, count, flags);
    }
    fs::File& other = in_pipe ? *out : *in;
    UserOut<int64_t> user_offset = in_pipe ? out_offset : in_offset;
    if (!user_offset.is_null() && !other.takes_offset()) return fail(Errno::kInval);
    if (in_pipe && (out->flags() & fs::kOAppend)) return fail(Errno::kInval);
    fs::File& pipe_file = in_pipe ? *in : *out;
    if (pipe_file.non_blocking()) flags |= kNonBlock;
    uint64_t offset = user_offset.is_null() ? 0 : TRY(read_offset(user_offset));
    uint64_t* place = user_offset.is_null() ? nullptr : &offset;
    auto moved = in_pipe ? from_pipe(*in_pipe, *out, place, count, flags) : to_pipe(*in, place, *out_pipe, count, flags);
    if (moved && place) TRY(arch::copy_out(user_offset, static_cast<int64_t>(offset)));
    return moved;
}

Result<size_t> sys_tee(Context& context, int in_fd, int out_fd, size_t count, uint32_t flags) {
    if (flags & ~kAllFlags) return fail(Errno::kInval);
    if (count == 0) return 0;
    auto in = TRY(context.file(in_fd));
    auto out = TRY(context.file(out_fd));
    if (!in->readable() || !out->writable()) return fail(Errno::kBadF);
    fs::Pipe *in_pipe = pipe_of(*in), *out_pipe = pipe_of(*out);
    if (!in_pipe || !out_pipe || in_pipe == out_pipe) return fail(Errno::kInval);
    if ((in->flags() | out->flags()) & fs::kONonBlock) flags |= kNonBlock;
    auto page = TRY(core::make<Page>());
    TRY(in_pipe->wait_readable(blocking_of(flags)));
    size_t moved = 0;
    while (moved < count) {
        size_t got = in_pipe->copy(page->bytes, std::min(sizeof page->bytes, count - moved), moved);
        if (got == 0) break;
        fs::IoSegment segment{reinterpret_cast<uint64_t>(page->bytes), got};
        auto source = fs::Source::kernel({&segment, 1});
        auto written = out_pipe->write(source, moved > 0 ? fs::Blocking::kNo : blocking_of(flags));
        if (!written) return outcome(moved, written.error());
        moved += *written;
        if (*written < got) break;
    }
    return moved;
}

Result<size_t> sys_vmsplice(Context& context, int fd, UserIn<UserSegments::UserIovec> vector, uint64_t count, uint32_t flags) {
    if (flags & ~kAllFlags) return fail(Errno::kInval);
    auto file = TRY(context.file(fd));
    fs::Pipe* pipe = pipe_of(*file);
    if (!pipe) return fail(Errno::kBadF);
    UserSegments segments;
    auto list = TRY(segments.read(vector, count));
    if (file->non_blocking()) flags |= kNonBlock;
    if (file->writable()) {
        auto source = fs::Source::user(list);
        return pipe->write(source, blocking_of(flags));
    }
    auto destination = fs::Destination::user(list);
    return pipe->read(destination, blocking_of(flags));
}

constexpr SystemCall kSpliceCalls[] = {
    CALL(275, splice, "fd_in, off_in, fd_out, off_out, len, flags", "bytes are copied"),
    CALL(276, tee, "fd_in, fd_out, len, flags", "bytes are copied"),
    CALL(278, vmsplice, "fd, iov, nr_segs, flags", "bytes are copied"),
};

}  // namespace

const SystemCallFamily kSpliceFamily{"splicing", kSpliceCalls};

}  // namespace abi
