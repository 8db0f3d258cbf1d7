#include "fs/regular_file.h"

#include "arch/x86_64/user_copy.h"

namespace fs {

namespace {

constexpr int kSeekSet = 0, kSeekCurrent = 1, kSeekEnd = 2, kSeekData = 3, kSeekHole = 4;
constexpr uint32_t kFionRead = 0x541b;
constexpr int kAddSeals = 1033, kGetSeals = 1034;

}  // namespace

Result<uint64_t> seek_position(uint64_t position, uint64_t size, int64_t offset, int whence) {
    int64_t base;
    switch (whence) {
        case kSeekSet: base = 0; break;
        case kSeekCurrent: base = static_cast<int64_t>(position); break;
        case kSeekEnd: base = static_cast<int64_t>(size); break;
        default: return fail(Errno::kInval);
    }
    int64_t target;
    if (__builtin_add_overflow(base, offset, &target)) return fail(Errno::kOverflow);
    if (target < 0) return fail(Errno::kInval);
    return static_cast<uint64_t>(target);
}

RegularFile::~RegularFile() {
    if (counted_writer_) node_.end_write();
}

Result<void> RegularFile::begin() {
    if (!writable()) return {};
    TRY(node_.begin_write());
    counted_writer_ = true;
    return {};
}

Result<size_t> RegularFile::read(Destination& destination, uint64_t* offset) {
    auto count = node_.read(destination, *offset);
    if (count) [[likely]] *offset += *count;
    return count;
}

Result<size_t> RegularFile::write(Source& source, uint64_t* offset) {
    using Placing = tmpfs::RegularNode::Placing;
    return node_.write(source, offset, flags() & kOAppend ? Placing::kAppend : Placing::kAtOffset);
}

Result<uint64_t> RegularFile::seek(int64_t offset, int whence) {
    TurnGuard guard(position_lock);
    if (whence == kSeekData || whence == kSeekHole) {
        if (offset < 0) return fail(Errno::kNxIo);
        position = TRY(whence == kSeekData ? node_.seek_data(offset) : node_.seek_hole(offset));
    } else {
        position = TRY(seek_position(position, node_.size(), offset, whence));
    }
    return position;
}

Result<uint64_t> RegularFile::ioctl(uint32_t command, uint64_t argument) {
    if (command != kFionRead) return fail(Errno::kNotTy);
    uint64_t size = node_.size();
    int32_t left = size > position ? static_cast<int32_t>(size - position) : 0;
    TRY(arch::copy_out(UserOut<int32_t>(argument), left));
    return uint64_t{0};
}

Result<uint64_t> RegularFile::control(int command, uint64_t argument) {
    switch (command) {
        case kAddSeals:
            if (!writable()) return fail(Errno::kPerm);
            TRY(node_.add_seals(static_cast<uint32_t>(argument)));
            return uint64_t{0};
        case kGetSeals: return uint64_t{node_.seals()};
        default: return fail(Errno::kInval);
    }
}

}  // namespace fs
