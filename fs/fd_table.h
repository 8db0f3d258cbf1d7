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
    // fork without CLONE_FILES. ENOMEM.
    Result<Ref<FdTable>> clone();

    // EBADF. get() refuses O_PATH descriptors, get_any() does not.
    Result<Ref<File>> get(int fd) {
        Result<Ref<File>> file = get_any(fd);
        if (file && ((*file)->flags() & kOPath)) [[unlikely]] return fail(Errno::kBadF);
        return file;
    }
    Result<Ref<File>> get_any(int fd) {
        core::SpinGuard guard(lock_);
        size_t index = static_cast<unsigned>(fd);
        if (index >= used_end_ || !slots_.data()[index].file) [[unlikely]] return fail(Errno::kBadF);
        return slots_.data()[index].file;
    }
    // Lowest free number >= minimum (not negative); EMFILE at `limit` (RLIMIT_NOFILE), ENOMEM.
    Result<int> install(Ref<File> file, CloseOnExec close_on_exec, uint64_t limit, int minimum = 0);
    // dup2/dup3: replaces what is there. EBADF if fd >= limit, ENOMEM.
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

    ~FdTable() override;

  private:
    struct Slot { Ref<File> file; CloseOnExec close_on_exec = CloseOnExec::kNo; };

    Result<void> grow(size_t count);
    static size_t align_slots(size_t count);
    Ref<File> take_locked(size_t index);
    void close_matching(size_t first, size_t last, bool only_close_on_exec);

    core::Spinlock lock_{core::Rank::kFileTable};
    core::Vector<Slot> slots_;  // never shrinks
    size_t used_end_ = 0;       // past the last used slot
    size_t lowest_free_ = 0;    // no free slot below it
};

}  // namespace fs
