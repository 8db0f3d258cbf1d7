// execve(2), execveat(2).
#include <cstring>

#include "core/log.h"
#include "libc-compat/families.h"
#include "libc-compat/file_arguments.h"
#include "libc-compat/syscall.h"
#include "process/exec.h"

namespace abi {

namespace {

// One string of the program, of any allowed length, in pieces.
Result<void> add_user_string(process::StringBlock& block, UserAddr address) {
    char piece[512];
    auto length = arch::copy_in_string(piece, address, sizeof(piece));
    if (length) return block.add({piece, *length});
    if (length.error() != Errno::kNameTooLong) return fail(length.error());
    core::Vector<char> buffer;
    for (size_t capacity = 4096; capacity <= process::kMaxArgumentString; capacity *= 2) {
        TRY(buffer.resize(capacity));
        length = arch::copy_in_string(buffer.data(), address, capacity);
        if (length) return block.add({buffer.data(), *length});
        if (length.error() != Errno::kNameTooLong) return fail(length.error());
    }
    return fail(Errno::k2Big);
}

// argv or envp; a null array is an empty one, as Linux has it.
Result<void> copy_strings(process::StringBlock& block, UserIn<uint64_t> array, uint64_t limit) {
    if (array.is_null()) return {};
    for (size_t i = 0;; i++) {
        uint64_t address = TRY(arch::copy_in(array + i));
        if (!address) return {};
        TRY(add_user_string(block, UserAddr(address)));
        if (block.bytes.size() + block.count * sizeof(uint64_t) > limit) return fail(Errno::k2Big);
    }
}

Result<void> execute(Context& context, process::ProgramRequest& request, UserIn<uint64_t> arguments,
                     UserIn<uint64_t> environment) {
    uint64_t limit = process::argument_limit(context.limit(process::kLimitStack));
    TRY(copy_strings(request.environment, environment, limit));
    TRY(copy_strings(request.arguments, arguments, limit));
    return process::execute(context.thread, context.frame, request);
}

Result<void> sys_execve(Context& context, UserIn<char> path, UserIn<uint64_t> arguments,
                        UserIn<uint64_t> environment) {
    HeapPath buffer;
    std::string_view name = TRY(buffer.read(path));
    if (name.empty()) return fail(Errno::kNoEnt);
    process::ProgramRequest request;
    request.path = request.display_name = name;
    return execute(context, request, arguments, environment);
}

Result<void> sys_execveat(Context& context, int directory, UserIn<char> path, UserIn<uint64_t> arguments,
                          UserIn<uint64_t> environment, uint32_t flags) {
    if (flags & ~(kAtEmptyPath | kAtSymlinkNoFollow)) return fail(Errno::kInval);
    HeapPath buffer;
    std::string_view name = TRY(buffer.read(path));
    if (name.empty() && !(flags & kAtEmptyPath)) return fail(Errno::kNoEnt);
    process::ProgramRequest request;
    request.path = request.display_name = name;
    request.empty_path = flags & kAtEmptyPath;
    request.follow = !(flags & kAtSymlinkNoFollow);
    core::Vector<char> display;
    if (directory != kAtFdCwd && !request.path.starts_with('/')) {
        request.start = TRY(context.files().get_any(directory));
        TRY(display.resize(kPathMax + 32));
        request.display_name = core::klog::format(display.data(), display.size(), "/dev/fd/{}{}{}", directory,
                                                  name.empty() ? "" : "/", name);
        request.name_goes_away = TRY(context.files().close_on_exec(directory)) == fs::CloseOnExec::kYes;
    }
    return execute(context, request, arguments, environment);
}

constexpr SystemCall kCalls[] = {
    CALL(59, execve, "pathname, argv, envp"),
    CALL(322, execveat, "dirfd, pathname, argv, envp, flags"),
};

}  // namespace

const SystemCallFamily kExecFamily{"Programs", kCalls};

}  // namespace abi
