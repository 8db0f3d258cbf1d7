// A process's descriptors.
#pragma once

#include "core/lock.h"
#include "core/memory.h"
#include "core/vector.h"
#include "fs/file.h"

namespace fs {

enum class CloseOnExec : bool { kNo, kYes };

class FdTable final : public core::RefCounted {
  public:
    static Result<Ref<FdTable>> create();
    // fork without CLONE_FILES.
    Result<Ref<FdTable>> clone();

    // EBADF. get() refuses O_PATH descriptors, get_any() does not.
    Result<Ref<File>> get(int fd);
    Result<Ref<File>> get_any(int fd);
    // Lowest free number >= minimum; EMFILE at `limit` (RLIMIT_NOFILE), ENOMEM.
    Result<int> install(Ref<File> file, CloseOnExec close_on_exec, uint64_t limit, int minimum = 0);
    // dup2/dup3: replaces what is there. EBADF if fd >= limit.
    Result<int> install_at(int fd, Ref<File> file, CloseOnExec close_on_exec, uint64_t limit);
    Result<void> close(int fd);
    void close_range(unsigned first, unsigned last);
    void set_close_on_exec_range(unsigned first, unsigned last);
    void close_for_exec();
    void close_all();
    Result<CloseOnExec> close_on_exec(int fd);
    Result<void> set_close_on_exec(int fd, CloseOnExec value);
    // For /proc/<pid>/fd: the first used descriptor >= fd, or -1.
    int next_used(int fd);

  private:
    struct Slot { Ref<File> file; CloseOnExec close_on_exec = CloseOnExec::kNo; };
    core::Spinlock lock_{core::Rank::kFileTable};
    core::Vector<Slot> slots_;
};

}  // namespace fs
