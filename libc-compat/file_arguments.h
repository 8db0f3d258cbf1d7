// What the calls on files and names share: paths, directory descriptors and iovecs from programs.
#pragma once

#include <string_view>

#include "arch/x86_64/user_copy.h"
#include "core/vector.h"
#include "fs/path.h"
#include "libc-compat/syscall.h"

namespace abi {

inline constexpr int kAtFdCwd = -100;
inline constexpr uint32_t kAtSymlinkNoFollow = 0x100, kAtRemoveDir = 0x200, kAtEaccess = 0x200,
    kAtSymlinkFollow = 0x400, kAtNoAutomount = 0x800, kAtEmptyPath = 0x1000;
inline constexpr size_t kPathMax = 4096;
inline constexpr size_t kMaxTransfer = 0x7fff'f000;  // MAX_RW_COUNT
inline constexpr uint64_t kNoLimit = ~uint64_t{0};   // RLIM_INFINITY

// A path from the program, on the kernel stack: one per call (calls with two paths use HeapPath).
class StackPath {
  public:
    // EFAULT, ENAMETOOLONG.
    Result<std::string_view> read(UserIn<char> path) {
        size_t length = TRY(arch::copy_in_string(buffer_, path.address(), sizeof buffer_));
        return std::string_view(buffer_, length);
    }

  private:
    char buffer_[kPathMax];
};

class HeapPath {
  public:
    // EFAULT, ENAMETOOLONG, ENOMEM.
    Result<std::string_view> read(UserIn<char> path) {
        buffer_ = TRY(core::make<Buffer>());
        size_t length = TRY(arch::copy_in_string(buffer_->text, path.address(), kPathMax));
        return std::string_view(buffer_->text, length);
    }

  private:
    struct Buffer {
        Buffer() {}  // not zeroed
        char text[kPathMax];
    };
    std::unique_ptr<Buffer> buffer_;
};

// A look-up of `path` from a directory descriptor. EBADF (only if it matters: relative paths), ENOENT (an empty
// path without AT_EMPTY_PATH).
enum class LastLink : bool { kNoFollow, kFollow };
inline Result<void> fill_request(fs::LookupRequest& request, Context& context, int directory_fd, std::string_view path,
                                 LastLink last, bool empty_path) {
    request.context = &context.fs_context();
    request.identity = context.credentials().identity();
    request.follow_last = last == LastLink::kFollow;
    request.empty_path = empty_path;
    if (path.empty() && !empty_path) return fail(Errno::kNoEnt);
    if (directory_fd != kAtFdCwd && (path.empty() || path[0] != '/'))
        request.start = TRY(context.files().get_any(directory_fd));
    return {};
}
inline Result<fs::LookupRequest> request_at(Context& context, int directory_fd, std::string_view path,
                                            LastLink last = LastLink::kFollow, bool empty_path = false) {
    fs::LookupRequest request;
    TRY(fill_request(request, context, directory_fd, path, last, empty_path));
    return request;
}

// Looks up the path of a *at() call with its flags AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH.
inline Result<fs::Path> path_at(Context& context, int directory_fd, UserIn<char> user_path, uint32_t flags) {
    StackPath buffer;
    std::string_view path = TRY(buffer.read(user_path));
    auto request = TRY(request_at(context, directory_fd, path,
                                  flags & kAtSymlinkNoFollow ? LastLink::kNoFollow : LastLink::kFollow,
                                  flags & kAtEmptyPath));
    return fs::lookup(path, request);
}

// The place of an open file. EBADF; EINVAL if it has none (pipes, sockets).
inline Result<fs::Path> path_of_descriptor(Context& context, int fd) {
    auto file = TRY(context.file(fd));
    if (const fs::Path* path = file->path()) return *path;
    return fail(Errno::kInval);
}

// An iovec array from the program. EINVAL (more than 1024 entries, a negative length), EFAULT, ENOMEM. What lies
// beyond the largest transfer is cut off.
class UserSegments {
  public:
    struct UserIovec { uint64_t base, length; };
    Result<std::span<fs::IoSegment>> read(UserIn<UserIovec> vector, uint64_t count) {
        if (count > 1024) return fail(Errno::kInval);
        fs::IoSegment* segments = inline_;
        if (count > std::size(inline_)) {
            TRY(heap_.resize(count));
            segments = heap_.data();
        }
        static_assert(sizeof(UserIovec) == sizeof(fs::IoSegment));
        TRY(arch::copy_in(segments, vector.address(), count * sizeof(fs::IoSegment)));
        uint64_t total = 0;
        for (uint64_t i = 0; i < count; i++) {
            if (static_cast<int64_t>(segments[i].size) < 0) return fail(Errno::kInval);
            if (!is_user_range(segments[i].address, segments[i].size)) return fail(Errno::kFault);
            segments[i].size = std::min(segments[i].size, kMaxTransfer - total);
            total += segments[i].size;
        }
        return std::span(segments, count);
    }
    static bool is_user_range(uint64_t address, uint64_t size) {
        return size <= core::kUserEnd && address <= core::kUserEnd - size;
    }

  private:
    fs::IoSegment inline_[8];
    core::Vector<fs::IoSegment> heap_;
};

}  // namespace abi
