// pipe(2), pipe2(2).
#include "fs/pipe.h"

#include "arch/x86_64/user_copy.h"
#include "libc-compat/families.h"

namespace abi {

namespace {

Result<int> sys_pipe2(Context& context, UserOut<int> descriptors, int flags) {
    // O_DIRECT (packet mode) and O_NOTIFICATION_PIPE (O_EXCL) are refused like flags that Linux does not know.
    if (static_cast<uint32_t>(flags) & ~(fs::kOCloExec | fs::kONonBlock)) return fail(Errno::kInval);
    auto pair = TRY(fs::create_pipe(flags & fs::kONonBlock));
    auto close_on_exec = flags & fs::kOCloExec ? fs::CloseOnExec::kYes : fs::CloseOnExec::kNo;
    uint64_t limit = context.limit(process::kLimitNoFile);
    int fds[2];
    fds[0] = TRY(context.files().install(std::move(pair.read_end), close_on_exec, limit));
    auto second = context.files().install(std::move(pair.write_end), close_on_exec, limit);
    if (!second) {
        (void)context.files().close(fds[0]);
        return fail(second.error());
    }
    fds[1] = *second;
    if (auto copied = arch::copy_out(descriptors.address(), fds, sizeof fds); !copied) {
        (void)context.files().close(fds[0]);
        (void)context.files().close(fds[1]);
        return fail(copied.error());
    }
    return 0;
}

Result<int> sys_pipe(Context& context, UserOut<int> descriptors) { return sys_pipe2(context, descriptors, 0); }

constexpr SystemCall kPipeCalls[] = {
    CALL(22, pipe, "pipefd"),
    CALL(293, pipe2, "pipefd, flags", "O_DIRECT (packet mode) is EINVAL"),
};

}  // namespace

const SystemCallFamily kPipeFamily{"pipes", kPipeCalls};

}  // namespace abi
