// A process's descriptors.
#pragma once

#include "core/lock.h"
#include "core/memory.h"
#include "core/vector.h"
#include "fs/file.h"

namespace fs {

enum class CloseOnExec : bool { kNo, kYes };

// An open file for the time of one system call. A table that only the running thread uses cannot close the file
// meanwhile: then no reference is taken.
class [[nodiscard]] FileUse {
  public:
    static FileUse borrowed(File& file) { return FileUse(reinterpret_cast<uintptr_t>(&file)); }
    static FileUse counted(Ref<File> file) { return FileUse(reinterpret_cast<uintptr_t>(file.release()) | kCounted); }
    FileUse(FileUse&& other) noexcept : tagged_(std::exchange(other.tagged_, 0)) {}
    FileUse& operator=(FileUse&&) = delete;
    ~FileUse() { if (tagged_ & kCounted) [[unlikely]] get()->unref(); }
    File* get() const { return reinterpret_cast<File*>(tagged_ & ~kCounted); }
    File& operator*() const { return *get(); }
    File* operator->() const { return get(); }

  private:
    static constexpr uintptr_t kCounted = 1;
    explicit FileUse(uintptr_t tagged) : tagged_(tagged) {}
    uintptr_t tagged_;
};

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
    // The same as get(), without a reference where none is needed. By the table's owner, who neither closes `fd` nor
    // gives the table to others before the use ends.
    Result<FileUse> use(int fd) {
        if (reference_count() != 1) [[unlikely]] return use_shared(fd);
        std::atomic_thread_fence(std::memory_order_acquire);  // what a thread that has left did to the table
        size_t index = static_cast<unsigned>(fd);
        File* file = index < used_end_ ? slots_.data()[index].file.get() : nullptr;
        if (!file || (file->flags() & kOPath)) [[unlikely]] return fail(Errno::kBadF);
        return FileUse::borrowed(*file);
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

    Result<FileUse> use_shared(int fd);
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
