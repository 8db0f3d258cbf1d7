// Pipes and FIFOs as the rest of the kernel sees them (pipe(7), fifo(7)). The ring itself: fs/pipe/pipe.h.
#pragma once

#include "core/memory.h"
#include "fs/file.h"

namespace fs {

inline constexpr size_t kPipeBuf = 4096;             // PIPE_BUF: writes up to here are atomic
inline constexpr size_t kPipeDefaultSize = 65536;
inline constexpr size_t kPipeMaxSize = 1 << 20;      // /proc/sys/fs/pipe-max-size, for unprivileged callers

struct PipePair { Ref<File> read_end, write_end; };

// pipe2(2): both ends with `flags` (O_NONBLOCK only; O_CLOEXEC belongs to descriptors). ENOMEM.
Result<PipePair> create_pipe(uint32_t flags);

// Opens a FIFO inode of any file system: waits for the other end as fifo(7) says. ENXIO (write-only and
// O_NONBLOCK without a reader), kRestartSys (a signal while waiting). The inode needs to keep no state: the pipe
// lives in a table keyed by the inode while anybody has it open. No spinlock may be held.
Result<Ref<File>> open_fifo(Inode& inode, const OpenRequest& request);

// fcntl(F_GETPIPE_SZ) and fcntl(F_SETPIPE_SZ). EBADF if `file` is no pipe; EBUSY if what is in the pipe would not
// fit; EPERM above kPipeMaxSize without privilege; ENOMEM. The new size is returned.
Result<size_t> pipe_size(File& file);
Result<size_t> set_pipe_size(File& file, size_t size, bool privileged);

}  // namespace fs
