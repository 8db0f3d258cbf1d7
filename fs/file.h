// An open file description (open(2)): shared by descriptors made by dup and fork.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/intrusive.h"
#include "core/memory.h"
#include "fs/inode.h"
#include "fs/io.h"
#include "fs/poll.h"
#include "fs/turn_lock.h"

namespace fs {

struct Path;

// open(2) flags, x86-64 values.
inline constexpr uint32_t kORdOnly = 0, kOWrOnly = 1, kORdWr = 2, kOAccMode = 3, kOCreat = 0100, kOExcl = 0200,
    kONoCtty = 0400, kOTrunc = 01000, kOAppend = 02000, kONonBlock = 04000, kODSync = 010000, kOAsync = 020000,
    kODirect = 040000, kOLargeFile = 0100000, kODirectory = 0200000, kONoFollow = 0400000, kONoAtime = 01000000,
    kOCloExec = 02000000, kOSync = 04010000, kOPath = 010000000, kOTmpFile = 020200000;

struct OpenRequest {
    uint32_t flags = 0;
    const Path* path = nullptr;  // null for pipes, sockets, anonymous inodes
    bool no_controlling_terminal = false;  // O_NOCTTY, which is not among the flags that a file keeps
};

// A registration of a file with an epoll instance (fs/events/epoll.h).
struct FileWatch { core::ListHook file_hook; };

class File : public core::RefCounted {
  public:
    explicit File(uint32_t flags) : flags_(flags) {}

    // Transfer at `*offset` and advance it; streams ignore it. Blocking calls wait unless O_NONBLOCK (EAGAIN);
    // a signal ends a wait with kRestartSys. A short count is success. EBADF, EISDIR, ESPIPE etc. as Linux.
    virtual Result<size_t> read(Destination& destination, uint64_t* offset);
    virtual Result<size_t> write(Source& source, uint64_t* offset);
    virtual bool seekable() const { return false; }
    // Whether pread(2) and its kin may name an offset; some devices take any and ignore it.
    virtual bool takes_offset() const { return seekable(); }
    // lseek(2) whence 0 to 4. ESPIPE unless overridden.
    virtual Result<uint64_t> seek(int64_t offset, int whence);
    virtual Result<uint64_t> ioctl(uint32_t command, uint64_t argument);  // ENOTTY
    // fcntl(2) commands of some kinds only: F_SETPIPE_SZ, F_ADD_SEALS, ...; EINVAL.
    virtual Result<uint64_t> control(int command, uint64_t argument);
    virtual uint32_t poll(PollRegistrar* registrar);  // default: always readable and writable
    // Whether epoll takes it: files whose readiness never changes are refused (EPERM) by epoll_ctl(2).
    virtual bool pollable() const { return !seekable(); }
    virtual Result<void> sync() { return fail(Errno::kInval); }
    virtual Result<void> truncate(uint64_t size) { (void)size; return fail(Errno::kInval); }
    // What mmap maps; ENODEV.
    virtual Result<Ref<mm::Mappable>> mappable() { return fail(Errno::kNoDev); }
    // Directory streams (getdents64): starts at and advances offset().
    virtual Result<void> read_directory(DirectorySink& sink) { (void)sink; return fail(Errno::kNotDir); }
    // fcntl(F_SETFL) changed flags; a descriptor of it was closed by the process `owner` (POSIX locks go).
    virtual void flags_changed(uint32_t old_flags) { (void)old_flags; }
    virtual void descriptor_closed(const void* owner) { (void)owner; }

    // The inode (null for anonymous files, which then answer attributes() themselves).
    virtual Ref<Inode> inode() { return nullptr; }
    virtual Attributes attributes() = 0;
    // Where it was opened; null for files without a path.
    virtual const Path* path() const { return nullptr; }
    // What /proc/<pid>/fd/N shows: a path or "pipe:[7]".
    virtual Result<core::String> description() = 0;
    // What /proc/<pid>/fdinfo/N shows after the lines that all files have.
    virtual Result<void> append_info(core::String& text) { (void)text; return {}; }

    uint32_t flags() const { return flags_.load(std::memory_order_relaxed); }
    void set_flags(uint32_t flags) { flags_.store(flags, std::memory_order_relaxed); }
    bool readable() const { return (flags() & (kOAccMode | kOPath)) == kORdOnly || (flags() & kOAccMode) == kORdWr; }
    bool writable() const { return (flags() & kOAccMode) == kOWrOnly || (flags() & kOAccMode) == kORdWr; }
    bool non_blocking() const { return flags() & kONonBlock; }

    // Kinds that some calls must recognise; compared by address, e.g. `file.kind() == &Socket::kKind`.
    virtual const char* kind() const { return "file"; }

    // Position of seekable files; read/write with a null offset in the caller's terms means this one, under
    // position_lock (held across the transfer, as POSIX wants for shared descriptions).
    uint64_t position = 0;
    TurnLock position_lock;
    // F_SETOWN / F_SETSIG are kept but only SIGIO-less: docs/system-calls.md.
    std::atomic<int> owner_pid{0};

    // Epoll instances that watch this file, without a reference to it. Guarded by fs/events/epoll.cpp.
    core::List<FileWatch, &FileWatch::file_hook> watches;
    std::atomic<bool> watched{false};

  protected:
    // Ends the watches, then destroys the file (fs/events/epoll.cpp).
    void last_reference_dropped() const override;

  private:
    std::atomic<uint32_t> flags_;
};

}  // namespace fs
