#include "fs/pipe/pipe.h"

#include <algorithm>
#include <bit>

#include "fs/events/anonymous_file.h"
#include "fs/pipe.h"
#include "fs/process_host.h"
#include "mm/frames.h"

namespace fs {

namespace {
constexpr int kSigPipe = 13;
constexpr uint32_t kReadable = kPollIn | kPollRdNorm;
constexpr uint32_t kWritable = kPollOut | kPollWrNorm;

void free_page(std::byte* page) {
    if (page) mm::free_frame(Pfn(mm::to_physical(page)));
}
}  // namespace

Pipe::Pipe(Ref<Inode> inode, uint64_t inode_number)
    : inode_(std::move(inode)), inode_number_(inode_number), created_(current_time()), accessed_(created_), modified_(created_) {
    Caller caller = process_host().caller();
    uid_ = caller.uid;
    gid_ = caller.gid;
}

Result<Ref<Pipe>> Pipe::create(Ref<Inode> inode) {
    uint64_t number = inode ? 0 : next_anonymous_inode();
    auto pipe = TRY(core::make_ref<Pipe>(std::move(inode), number));
    TRY(pipe->slots_.resize(kPipeDefaultSize / kPageSize));
    return pipe;
}

std::byte* Pipe::take_page_locked() {
    if (spare_) return std::exchange(spare_, nullptr);
    auto frame = mm::allocate_frame(mm::Fill::kUninitialized, mm::Frame::State::kKernel);
    return frame ? static_cast<std::byte*>(mm::to_pointer(*frame)) : nullptr;
}

void Pipe::give_page_locked(std::byte* page) {
    if (!spare_) spare_ = page;
    else free_page(page);
}

void Pipe::drop_oldest_locked() {
    Slot& slot = slot_locked(tail_);
    give_page_locked(std::exchange(slot.page, nullptr));
    tail_++;
}

Result<size_t> Pipe::read(Destination& destination, Blocking blocking) {
    if (destination.remaining() == 0) return 0;
    core::SpinGuard guard(lock_);
    bool was_full = full_locked(), waited = false;
    size_t moved = 0;
    Errno error{};
    for (;;) {
        while (!empty_locked() && destination.remaining() > 0) {
            Slot& slot = slot_locked(tail_);
            size_t chunk = std::min<size_t>(slot.length, destination.remaining());
            if (auto put = destination.put(slot.page + slot.offset, chunk); !put) [[unlikely]] {
                error = put.error();
                goto done;
            }
            slot.offset += chunk;
            slot.length -= chunk;
            moved += chunk;
            if (slot.length == 0) drop_oldest_locked();
        }
        if (moved > 0 || writer_count_ == 0) break;
        if (blocking == Blocking::kNo) {
            error = Errno::kAgain;
            break;
        }
        auto wake = readers_.wait(guard, lock_, core::kNever, sched::Interruptible::kYes, true);
        waited = true;
        was_full = full_locked();
        if (wake == sched::Wake::kInterrupted && empty_locked()) {
            error = Errno::kRestartSys;
            break;
        }
    }
done:
    bool wake_writer = was_full && !full_locked();
    bool wake_reader = waited && !empty_locked();
    guard.unlock();
    if (wake_writer) writers_.wake_one(kWritable);
    if (wake_reader) readers_.wake_one(kReadable);
    if (moved == 0 && error != Errno{}) return fail(error);
    return moved;
}

Result<size_t> Pipe::write(Source& source, Blocking blocking) {
    size_t total = source.remaining();
    if (total == 0) return 0;
    core::SpinGuard guard(lock_);
    bool was_empty = empty_locked(), waited = false;
    size_t moved = 0;
    Errno error{};
    if (size_t part = total & core::kPageMask; part && !was_empty && reader_count_ > 0) {
        Slot& newest = slot_locked(head_ - 1);
        size_t end = newest.offset + newest.length;
        if (end + part <= kPageSize) {
            if (auto taken = source.take(newest.page + end, part); !taken) return fail(taken.error());
            newest.length += part;
            moved = part;
        }
    }
    while (moved < total || reader_count_ == 0) {
        if (reader_count_ == 0) {
            error = Errno::kPipe;
            break;
        }
        if (!full_locked()) {
            std::byte* page = take_page_locked();
            if (!page) {
                error = Errno::kNoMem;
                break;
            }
            size_t chunk = std::min(kPageSize, total - moved);
            if (auto taken = source.take(page, chunk); !taken) [[unlikely]] {
                give_page_locked(page);
                error = taken.error();
                break;
            }
            slot_locked(head_) = {page, 0, static_cast<uint32_t>(chunk)};
            head_++;
            moved += chunk;
            continue;
        }
        if (blocking == Blocking::kNo) {
            error = Errno::kAgain;
            break;
        }
        if (was_empty) {
            // Readers must know before we sleep. wake_one() takes a lock of a higher rank: no need to let go.
            readers_.wake_one(kReadable);
        }
        auto wake = writers_.wait(guard, lock_, core::kNever, sched::Interruptible::kYes, true);
        waited = true;
        was_empty = empty_locked();
        if (wake == sched::Wake::kInterrupted && full_locked() && reader_count_ > 0) {
            error = Errno::kRestartSys;
            break;
        }
    }
    bool wake_reader = (was_empty || polled_) && !empty_locked();
    bool wake_writer = waited && !full_locked();
    guard.unlock();
    if (wake_reader) readers_.wake_one(kReadable);
    if (wake_writer) writers_.wake_one(kWritable);
    if (error == Errno::kPipe) process_host().signal_caller(kSigPipe);
    if (moved == 0) return fail(error);
    return moved;
}

size_t Pipe::available() {
    core::SpinGuard guard(lock_);
    size_t bytes = 0;
    for (uint32_t position = tail_; position != head_; position++) bytes += slot_locked(position).length;
    return bytes;
}

size_t Pipe::size() {
    core::SpinGuard guard(lock_);
    return slots_.size() * kPageSize;
}

Result<size_t> Pipe::resize(size_t size, bool privileged) {
    if (size > size_t{1} << 31) return fail(Errno::kInval);
    size_t wanted = std::bit_ceil(std::max(size, kPageSize));
    if (wanted > kPipeMaxSize && !privileged && wanted > this->size()) return fail(Errno::kPerm);
    core::Vector<Slot> slots;
    TRY(slots.resize(wanted / kPageSize));
    core::SpinGuard guard(lock_);
    if (slots.size() < used_locked() + reserved_) return fail(Errno::kBusy);
    bool was_full = full_locked();
    uint32_t count = 0;
    for (uint32_t position = tail_; position != head_; position++) slots[count++] = slot_locked(position);
    std::swap(slots_, slots);
    tail_ = 0;
    head_ = count;
    bool wake_writers = was_full && !full_locked();
    guard.unlock();
    if (wake_writers) writers_.wake_all(kWritable);
    return wanted;
}

void Pipe::open_both() {
    core::SpinGuard guard(lock_);
    reader_count_ = writer_count_ = 1;
    reader_generation_ = writer_generation_ = 1;
}

Result<void> Pipe::wait_for_partner_locked(core::SpinGuard& guard, const uint64_t& generation) {
    // The queue of the end that waits: its own kind never comes to it while the partner is missing.
    uint64_t seen = generation;
    while (generation == seen) {
        auto wake = readers_.wait(guard, lock_, core::kNever, sched::Interruptible::kYes);
        if (wake == sched::Wake::kInterrupted && generation == seen) return fail(Errno::kRestartSys);
    }
    return {};
}

Result<void> Pipe::open_ends(Ends ends, Blocking blocking, uint64_t* writer_generation) {
    core::SpinGuard guard(lock_);
    if (ends.write && !ends.read && blocking == Blocking::kNo && reader_count_ == 0) return fail(Errno::kNxIo);
    if (ends.read) reader_generation_++, reader_count_++;
    if (ends.write) writer_generation_++, writer_count_++;
    readers_.wake_all();  // partners that wait in open()
    Result<void> result;
    if (!inode_) {
        // A pipe without a name, opened again by way of /proc/<pid>/fd: nobody waits for a partner (fifo_open()).
    } else if (ends.read && !ends.write && writer_count_ == 0) {
        if (blocking == Blocking::kNo) *writer_generation = writer_generation_;
        else result = wait_for_partner_locked(guard, writer_generation_);
    } else if (ends.write && !ends.read && reader_count_ == 0) {
        result = wait_for_partner_locked(guard, reader_generation_);
    }
    guard.unlock();
    if (!result) close_ends(ends);
    return result;
}

void Pipe::close_ends(Ends ends) {
    core::SpinGuard guard(lock_);
    if (ends.read) reader_count_--;
    if (ends.write) writer_count_--;
    bool one_sided = (reader_count_ == 0) != (writer_count_ == 0);
    guard.unlock();
    if (!one_sided) return;
    readers_.wake_all(kReadable | kPollHup | kPollErr);
    writers_.wake_all(kWritable | kPollHup | kPollErr);
}

uint32_t Pipe::poll(PollRegistrar* registrar, Ends ends, uint64_t writer_generation) {
    if (registrar) {
        if (ends.read) registrar->watch(readers_);
        if (ends.write) registrar->watch(writers_);
    }
    core::SpinGuard guard(lock_);
    if (registrar) polled_ = true;
    uint32_t events = 0;
    if (ends.read) {
        if (!empty_locked()) events |= kReadable;
        if (writer_count_ == 0 && writer_generation_ != writer_generation) events |= kPollHup;
    }
    if (ends.write) {
        if (!full_locked()) events |= kWritable;
        if (reader_count_ == 0) events |= kPollErr;
    }
    return events;
}

}  // namespace fs
