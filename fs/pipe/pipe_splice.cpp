// The pipe's part of splice(2) and tee(2).
#include <algorithm>
#include <cstring>

#include "fs/pipe/pipe.h"

namespace fs {

Result<void> Pipe::wait_readable(Blocking blocking) {
    core::SpinGuard guard(lock_);
    while (empty_locked() && writer_count_ > 0) {
        if (blocking == Blocking::kNo) return fail(Errno::kAgain);
        auto wake = readers_.wait(guard, lock_, core::kNever, sched::Interruptible::kYes);
        if (wake == sched::Wake::kInterrupted && empty_locked()) return fail(Errno::kRestartSys);
    }
    return {};
}

Result<void> Pipe::wait_writable(Blocking blocking) {
    core::SpinGuard guard(lock_);
    while (full_locked() && reader_count_ > 0) {
        if (blocking == Blocking::kNo) return fail(Errno::kAgain);
        auto wake = writers_.wait(guard, lock_, core::kNever, sched::Interruptible::kYes);
        if (wake == sched::Wake::kInterrupted && full_locked()) return fail(Errno::kRestartSys);
    }
    return {};
}

Result<size_t> Pipe::take(std::byte* buffer, size_t size, Blocking blocking) {
    for (;;) {
        TRY(wait_readable(blocking));
        core::SpinGuard guard(lock_);
        if (empty_locked()) {
            if (writer_count_ == 0) return 0;
            continue;  // another reader was faster
        }
        Slot& slot = slot_locked(tail_);
        size_t count = std::min<size_t>(slot.length, size);
        std::memcpy(buffer, slot.page + slot.offset, count);
        slot.offset += count;
        slot.length -= count;
        if (slot.length == 0) drop_oldest_locked();
        // One slot serves for what comes back, whether the bytes were all of a slot or not.
        reserved_++;
        return count;
    }
}

void Pipe::finish_take(const std::byte* rest, size_t count) {
    core::SpinGuard guard(lock_);
    reserved_--;
    if (count > 0) {
        Slot* oldest = empty_locked() ? nullptr : &slot_locked(tail_);
        if (oldest && oldest->offset >= count) {
            oldest->offset -= count;
            oldest->length += count;
            std::memcpy(oldest->page + oldest->offset, rest, count);
        } else if (std::byte* page = take_page_locked()) {
            std::memcpy(page, rest, count);
            tail_--;
            slot_locked(tail_) = {page, 0, static_cast<uint32_t>(count)};
        }
    }
    bool readable = !empty_locked(), writable = !full_locked();
    guard.unlock();
    if (readable) readers_.wake_one(kPollIn | kPollRdNorm);
    if (writable) writers_.wake_one(kPollOut | kPollWrNorm);
}

size_t Pipe::copy(std::byte* buffer, size_t size, size_t offset) {
    core::SpinGuard guard(lock_);
    size_t done = 0;
    for (uint32_t position = tail_; position != head_ && done < size; position++) {
        Slot& slot = slot_locked(position);
        if (offset >= slot.length) {
            offset -= slot.length;
            continue;
        }
        size_t count = std::min<size_t>(slot.length - offset, size - done);
        std::memcpy(buffer + done, slot.page + slot.offset + offset, count);
        done += count;
        offset = 0;
    }
    return done;
}

}  // namespace fs
