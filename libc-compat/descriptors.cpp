// Descriptors: open(2), close(2), close_range(2), dup(2), ioctl(2).
#include "fs/path_file.h"
#include "libc-compat/families.h"
#include "libc-compat/file_arguments.h"

namespace abi {

namespace {

constexpr uint32_t kValidOpenFlags = fs::kOAccMode | fs::kOCreat | fs::kOExcl | fs::kONoCtty | fs::kOTrunc |
    fs::kOAppend | fs::kONonBlock | fs::kODSync | fs::kOSync | fs::kOAsync | fs::kODirect | fs::kOLargeFile |
    fs::kODirectory | fs::kONoFollow | fs::kONoAtime | fs::kOCloExec | fs::kOPath | fs::kOTmpFile;
constexpr uint32_t kFioNonBlock = 0x5421, kFioNoCloseOnExec = 0x5450, kFioCloseOnExec = 0x5451, kFioAsync = 0x5452;

fs::CloseOnExec close_on_exec(uint32_t flags) {
    return flags & fs::kOCloExec ? fs::CloseOnExec::kYes : fs::CloseOnExec::kNo;
}

Result<int> sys_openat(Context& context, int directory_fd, UserIn<char> user_path, uint32_t flags, uint16_t mode) {
    flags &= kValidOpenFlags;  // open(2) ignores what it does not know
    StackPath buffer;
    std::string_view path = TRY(buffer.read(user_path));
    auto request = TRY(request_at(context, directory_fd, path));
    auto file = TRY(fs::open(path, flags, mode & 07777, request));
    return context.files().install(std::move(file), close_on_exec(flags), context.limit(process::kLimitNoFile));
}

Result<int> sys_open(Context& context, UserIn<char> path, uint32_t flags, uint16_t mode) {
    return sys_openat(context, kAtFdCwd, path, flags, mode);
}

Result<int> sys_creat(Context& context, UserIn<char> path, uint16_t mode) {
    return sys_openat(context, kAtFdCwd, path, fs::kOCreat | fs::kOWrOnly | fs::kOTrunc, mode);
}

Result<void> sys_close(Context& context, int fd) { return context.files().close(fd); }

Result<void> sys_close_range(Context& context, uint32_t first, uint32_t last, uint32_t flags) {
    constexpr uint32_t kUnshare = 2, kCloseOnExec = 4;
    if ((flags & ~(kUnshare | kCloseOnExec)) || first > last) return fail(Errno::kInval);
    if ((flags & kUnshare) && context.files().reference_count() > 1) {
        auto own = TRY(context.files().clone());
        context.thread.files = std::move(own);
    }
    if (flags & kCloseOnExec) context.files().set_close_on_exec_range(first, last);
    else context.files().close_range(first, last);
    return {};
}

Result<int> sys_dup(Context& context, int fd) {
    auto file = TRY(context.files().get_any(fd));
    return context.files().install(std::move(file), fs::CloseOnExec::kNo, context.limit(process::kLimitNoFile));
}

Result<int> sys_dup3(Context& context, int old_fd, int new_fd, uint32_t flags) {
    if (flags & ~fs::kOCloExec) return fail(Errno::kInval);
    if (old_fd == new_fd) return fail(Errno::kInval);
    if (new_fd < 0 || static_cast<uint64_t>(new_fd) >= context.limit(process::kLimitNoFile))
        return fail(Errno::kBadF);
    auto file = TRY(context.files().get_any(old_fd));
    return context.files().install_at(new_fd, std::move(file), close_on_exec(flags),
                                      context.limit(process::kLimitNoFile));
}

Result<int> sys_dup2(Context& context, int old_fd, int new_fd) {
    if (old_fd == new_fd) {
        TRY(context.files().get_any(old_fd));
        return new_fd;
    }
    return sys_dup3(context, old_fd, new_fd, 0);
}

// ioctl_list(2): what concerns any descriptor; the rest is the file's.
Result<uint64_t> sys_ioctl(Context& context, int fd, uint32_t command, uint64_t argument) {
    auto file = TRY(context.file(fd));
    switch (command) {
        case kFioCloseOnExec:
        case kFioNoCloseOnExec:
            TRY(context.files().set_close_on_exec(
                fd, command == kFioCloseOnExec ? fs::CloseOnExec::kYes : fs::CloseOnExec::kNo));
            return uint64_t{0};
        case kFioNonBlock:
        case kFioAsync: {
            uint32_t bit = command == kFioNonBlock ? fs::kONonBlock : fs::kOAsync;
            int32_t on = TRY(arch::copy_in(UserIn<int32_t>(argument)));
            uint32_t old_flags = file->flags();
            file->set_flags(on ? old_flags | bit : old_flags & ~bit);
            file->flags_changed(old_flags);
            return uint64_t{0};
        }
        default: return file->ioctl(command, argument);
    }
}

constexpr SystemCall kDescriptorCalls[] = {
    CALL(2, open, "pathname, flags, mode"),
    CALL(3, close, "fd"),
    CALL(16, ioctl, "fd, request, arg", "FIOASYNC sets the flag; SIGIO is never sent"),
    CALL(32, dup, "oldfd"),
    CALL(33, dup2, "oldfd, newfd"),
    CALL(85, creat, "pathname, mode"),
    CALL(257, openat, "dirfd, pathname, flags, mode"),
    CALL(292, dup3, "oldfd, newfd, flags"),
    CALL(436, close_range, "first, last, flags"),
};

}  // namespace

const SystemCallFamily kDescriptorFamily{"descriptors", kDescriptorCalls};

}  // namespace abi
