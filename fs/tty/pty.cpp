#include "fs/tty/pty.h"

#include <algorithm>

#include "arch/x86_64/user_copy.h"
#include "core/vector.h"
#include "fs/device.h"
#include "fs/events/anonymous_file.h"
#include "fs/process_host.h"

namespace fs::tty {

namespace {

// Which pair has which number, without references: an entry leaves before its pair is destroyed.
core::Spinlock table_lock{core::Rank::kDevice};
Pty* table[kPtyMax];
uint64_t reserved[kPtyMax / 64];  // numbers given out

Result<int> reserve_index() {
    core::SpinGuard guard(table_lock);
    for (int index = 0; index < kPtyMax; index++) {
        uint64_t bit = 1ull << (index % 64);
        if (reserved[index / 64] & bit) continue;
        reserved[index / 64] |= bit;
        return index;
    }
    return fail(Errno::kNoSpc);
}

void release_index(int index) {
    core::SpinGuard guard(table_lock);
    table[index] = nullptr;
    reserved[index / 64] &= ~(1ull << (index % 64));
}

}  // namespace

Pty::Pty(int index)
    : Terminal(make_device(kPtySlaveMajor, static_cast<uint32_t>(index))), index_(index), created_(current_time()) {
    Caller caller = process_host().caller();
    uid_ = caller.uid;
    gid_ = caller.gid;
}

Pty::~Pty() { release_index(index_); }

Result<Ref<Pty>> Pty::create() {
    int index = TRY(reserve_index());
    auto pty = core::make_ref<Pty>(index);
    if (!pty) {
        release_index(index);
        return pty;
    }
    core::SpinGuard guard(table_lock);
    table[index] = pty->get();
    return pty;
}

Ref<Pty> Pty::find(int index) {
    if (index < 0 || index >= kPtyMax) return nullptr;
    core::SpinGuard guard(table_lock);
    Pty* pty = table[index];
    return pty && pty->try_ref() ? Ref<Pty>::adopt(pty) : nullptr;
}

int Pty::next_index(int from) {
    core::SpinGuard guard(table_lock);
    for (int index = std::max(from, 0); index < kPtyMax; index++) {
        if (table[index]) return index;
    }
    return -1;
}

void Pty::slave_opened() {
    core::SpinGuard guard(lock_);
    slaves_++;
    slaves_gone_ = false;
}

void Pty::slave_closed() {
    {
        core::SpinGuard guard(lock_);
        if (--slaves_ > 0) return;
        slaves_gone_ = true;
    }
    master_readers_.wake_all(kPollIn | kPollHup);
    master_writers_.wake_all(kPollOut | kPollHup);
}

void Pty::master_closed() {
    {
        // The name in /dev/pts goes with the master.
        core::SpinGuard guard(table_lock);
        table[index_] = nullptr;
    }
    hang_up();
}

Result<size_t> Pty::master_read(Destination& destination, Blocking blocking) {
    if (destination.remaining() == 0) return 0;
    core::SpinGuard guard(lock_);
    while (output_.empty()) {
        if (slaves_gone_) return fail(Errno::kIo);
        if (blocking == Blocking::kNo) return fail(Errno::kAgain);
        auto wake = master_readers_.wait(guard, lock_, core::kNever, sched::Interruptible::kYes);
        if (wake == sched::Wake::kInterrupted && output_.empty()) return fail(Errno::kRestartSys);
    }
    size_t moved = 0;
    while (!output_.empty() && destination.remaining() > 0) {
        size_t count;
        const uint8_t* bytes = output_.front(&count);
        count = std::min(count, destination.remaining());
        if (auto put = destination.put(bytes, count); !put) {
            if (moved == 0) return fail(put.error());
            break;
        }
        output_.drop(count);
        moved += count;
    }
    guard.unlock();
    wake_writers();
    return moved;
}

Result<size_t> Pty::master_write(Source& source, Blocking blocking) {
    size_t moved = 0;
    while (source.remaining() > 0) {
        uint8_t chunk[256];
        size_t count = std::min(sizeof chunk, source.remaining());
        if (auto taken = source.take(chunk, count); !taken) return moved > 0 ? Result<size_t>(moved) : fail(taken.error());
        size_t received = receive(chunk, count);
        moved += received;
        if (received == count) continue;
        source.give_back(count - received);
        core::SpinGuard guard(lock_);
        if (discipline_.room() > 0) continue;
        if (slaves_gone_) return moved > 0 ? Result<size_t>(moved) : fail(Errno::kIo);
        if (blocking == Blocking::kNo) return moved > 0 ? Result<size_t>(moved) : fail(Errno::kAgain);
        auto wake = master_writers_.wait(guard, lock_, core::kNever, sched::Interruptible::kYes);
        if (wake == sched::Wake::kInterrupted && discipline_.room() == 0) {
            return moved > 0 ? Result<size_t>(moved) : fail(Errno::kRestartSys);
        }
    }
    return moved;
}

uint32_t Pty::master_poll(PollRegistrar* registrar) {
    if (registrar) {
        registrar->watch(master_readers_);
        registrar->watch(master_writers_);
    }
    core::SpinGuard guard(lock_);
    uint32_t events = 0;
    if (!output_.empty()) events |= kPollIn | kPollRdNorm;
    if (slaves_gone_) events |= kPollHup;
    else if (discipline_.room() > 0) events |= kPollOut | kPollWrNorm;
    return events;
}

Result<uint64_t> Pty::master_ioctl(uint32_t command, uint64_t argument) {
    constexpr uint32_t kGetNumber = 0x80045430, kSetLock = 0x40045431, kGetLock = 0x80045439;  // TIOCGPTN, ...
    switch (command) {
        case kGetNumber: TRY(arch::copy_out(UserOut<uint32_t>(argument), static_cast<uint32_t>(index_))); return 0;
        case kSetLock: locked_.store(TRY(arch::copy_in(UserIn<int>(argument))) != 0); return 0;
        case kGetLock: TRY(arch::copy_out(UserOut<int>(argument), int{locked()})); return 0;
        default: return common_ioctl(command, argument, Side::kMaster);
    }
}

}  // namespace fs::tty
