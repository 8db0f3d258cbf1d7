// Descriptors. Files are never destroyed under the table's lock: their destructors do real work.
#include "fs/fd_table.h"

#include <algorithm>
#include <bit>

namespace fs {

Result<Ref<FdTable>> FdTable::create() { return core::make_ref<FdTable>(); }

Result<FileUse> FdTable::use_shared(int fd) { return FileUse::counted(TRY(get(fd))); }

Result<Ref<FdTable>> FdTable::clone() {
    auto copy = TRY(create());
    // The size is taken first, the slots are reserved outside the lock; if the table grew meanwhile, again.
    for (;;) {
        size_t wanted;
        {
            core::SpinGuard guard(lock_);
            wanted = used_end_;
            if (wanted <= copy->slots_.size()) {
                for (size_t i = 0; i < wanted; i++) copy->slots_[i] = slots_[i];
                copy->used_end_ = wanted;
                copy->lowest_free_ = lowest_free_;
                return copy;
            }
        }
        TRY(copy->slots_.resize(align_slots(wanted)));
    }
}

Result<int> FdTable::install(Ref<File> file, CloseOnExec close_on_exec, uint64_t limit, int minimum) {
    for (;;) {
        size_t capacity;
        {
            core::SpinGuard guard(lock_);
            size_t fd = std::max<size_t>(minimum, lowest_free_);
            while (fd < slots_.size() && slots_[fd].file) fd++;
            if (fd >= limit) return fail(Errno::kMFile);
            if (fd < slots_.size()) {
                slots_[fd] = {std::move(file), close_on_exec};
                if (static_cast<size_t>(minimum) <= lowest_free_) lowest_free_ = fd + 1;
                used_end_ = std::max(used_end_, fd + 1);
                return static_cast<int>(fd);
            }
            capacity = fd + 1;
        }
        TRY(grow(capacity));
    }
}

Result<int> FdTable::install_at(int fd, Ref<File> file, CloseOnExec close_on_exec, uint64_t limit) {
    if (fd < 0 || static_cast<uint64_t>(fd) >= limit) return fail(Errno::kBadF);
    size_t index = static_cast<size_t>(fd);
    TRY(grow(index + 1));
    Ref<File> old;
    {
        core::SpinGuard guard(lock_);
        old = std::exchange(slots_[index].file, std::move(file));
        slots_[index].close_on_exec = close_on_exec;
        if (index == lowest_free_) lowest_free_ = index + 1;
        used_end_ = std::max(used_end_, index + 1);
    }
    if (old) old->descriptor_closed(this);
    return fd;
}

// Makes room for `count` slots. The new array is allocated outside the lock.
Result<void> FdTable::grow(size_t count) {
    for (;;) {
        core::Vector<Slot> larger;
        {
            core::SpinGuard guard(lock_);
            if (count <= slots_.size()) return {};
        }
        TRY(larger.resize(align_slots(count)));
        core::SpinGuard guard(lock_);
        if (larger.size() <= slots_.size()) continue;
        for (size_t i = 0; i < slots_.size(); i++) larger[i] = std::move(slots_[i]);
        std::swap(slots_, larger);
        guard.unlock();  // `larger` (now the old, emptied array) is freed outside the lock
        return {};
    }
}

size_t FdTable::align_slots(size_t count) { return std::bit_ceil(std::max<size_t>(count, 8)); }

Ref<File> FdTable::take_locked(size_t index) {
    Ref<File> file = std::move(slots_[index].file);
    lowest_free_ = std::min(lowest_free_, index);
    if (index + 1 == used_end_) {
        while (used_end_ > 0 && !slots_[used_end_ - 1].file) used_end_--;
    }
    return file;
}

Result<void> FdTable::close(int fd) {
    Ref<File> file;
    {
        core::SpinGuard guard(lock_);
        size_t index = static_cast<unsigned>(fd);
        if (index >= slots_.size() || !slots_[index].file) return fail(Errno::kBadF);
        file = take_locked(index);
    }
    file->descriptor_closed(this);
    return {};
}

void FdTable::close_matching(size_t first, size_t last, bool only_close_on_exec) {
    for (size_t index = first; index <= last; index++) {
        Ref<File> file;
        {
            core::SpinGuard guard(lock_);
            while (index < used_end_ && index <= last &&
                   !(slots_[index].file && (!only_close_on_exec || slots_[index].close_on_exec == CloseOnExec::kYes)))
                index++;
            if (index >= used_end_ || index > last) return;
            file = take_locked(index);
        }
        file->descriptor_closed(this);
    }
}

void FdTable::close_range(unsigned first, unsigned last) { close_matching(first, last, false); }
void FdTable::close_for_exec() { close_matching(0, ~0u, true); }
void FdTable::close_all() { close_matching(0, ~0u, false); }
FdTable::~FdTable() { close_all(); }

void FdTable::set_close_on_exec_range(unsigned first, unsigned last) {
    core::SpinGuard guard(lock_);
    for (size_t i = first; i < used_end_ && i <= last; i++) slots_[i].close_on_exec = CloseOnExec::kYes;
}

Result<CloseOnExec> FdTable::close_on_exec(int fd) {
    core::SpinGuard guard(lock_);
    size_t index = static_cast<unsigned>(fd);
    if (index >= slots_.size() || !slots_[index].file) return fail(Errno::kBadF);
    return slots_[index].close_on_exec;
}

Result<void> FdTable::set_close_on_exec(int fd, CloseOnExec value) {
    core::SpinGuard guard(lock_);
    size_t index = static_cast<unsigned>(fd);
    if (index >= slots_.size() || !slots_[index].file) return fail(Errno::kBadF);
    slots_[index].close_on_exec = value;
    return {};
}

int FdTable::next_used(int fd) {
    core::SpinGuard guard(lock_);
    for (size_t i = std::max(fd, 0); i < used_end_; i++) {
        if (slots_[i].file) return static_cast<int>(i);
    }
    return -1;
}

}  // namespace fs
