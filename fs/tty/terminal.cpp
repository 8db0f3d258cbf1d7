#include "fs/tty/terminal.h"

#include <algorithm>

#include "fs/process_host.h"
#include "sched/timer.h"

namespace fs::tty {

namespace {

constexpr int kSigHup = 1, kSigCont = 18, kSigTtin = 21, kSigTtou = 22, kSigWinch = 28;
constexpr Nanoseconds kTenthOfSecond = 100'000'000;

// All terminals, for finding one by its session. Nothing is taken under it.
core::Spinlock all_lock{core::Rank::kDevice};
using AllTerminals = core::List<Terminal, &Terminal::all_hook>;
AllTerminals& all_terminals() {
    static AllTerminals list;
    return list;
}

}  // namespace

Terminal::Terminal(uint64_t device_number) : device_number_(device_number) {
    core::SpinGuard guard(all_lock);
    all_terminals().push_back(*this);
}

Terminal::~Terminal() {
    core::SpinGuard guard(all_lock);
    all_hook.unlink();
}

Ref<Terminal> terminal_of_session(int session) {
    if (session == 0) return nullptr;
    core::SpinGuard guard(all_lock);
    for (Terminal& terminal : all_terminals()) {
        if (terminal.session() == session && terminal.try_ref()) return Ref<Terminal>::adopt(&terminal);
    }
    return nullptr;
}

void Terminal::set_session(int session, int foreground) {
    session_.store(session);
    foreground_.store(foreground);
}

bool Terminal::is_controlling() const {
    int own = session();
    return own != 0 && process_host().caller().session == own;
}

void Terminal::adopt_by_opener() {
    Caller caller = process_host().caller();
    if (caller.pid == 0 || caller.pid != caller.session || session() != 0) return;
    if (terminal_of_session(caller.session)) return;
    set_session(caller.session, caller.process_group);
}

// tty_check_change() of Linux: background processes are stopped.
Result<void> Terminal::check_foreground(int signal) {
    ProcessHost& host = process_host();
    Caller caller = host.caller();
    int foreground = foreground_.load();
    if (session() == 0 || caller.session != session() || foreground == 0 || caller.process_group == foreground) return {};
    if (host.caller_ignores(signal)) {
        if (signal == kSigTtin) return fail(Errno::kIo);
        return {};
    }
    if (host.group_is_orphaned(caller.process_group)) return fail(Errno::kIo);
    host.signal_group(caller.process_group, signal);
    return fail(Errno::kRestartSys);
}

void Terminal::send_raised(uint64_t raised) {
    int group = foreground_.load();
    for (int signal = 1; raised != 0; signal++, raised >>= 1) {
        if ((raised & 1) && group != 0) process_host().signal_group(group, signal);
    }
}

void Terminal::emit(uint8_t byte) {
    if (output_.room() > 0) output_.push(byte);
}

size_t Terminal::receive(const uint8_t* bytes, size_t count) {
    core::SpinGuard guard(lock_);
    bool was_stopped = stopped_;
    size_t taken = 0;
    while (taken < count && discipline_.room() > 0) discipline_.receive(bytes[taken++]);
    if (!output_.empty()) output_added_locked();
    bool readable = discipline_.readable();
    bool resumed = was_stopped && !stopped_;
    uint64_t raised = std::exchange(raised_, 0);
    guard.unlock();
    if (readable) readers_.wake_all(kPollIn | kPollRdNorm);
    if (resumed) wake_writers();
    send_raised(raised);
    return taken;
}

void Terminal::wake_writers() { writers_.wake_all(kPollOut | kPollWrNorm); }

// Whether a read of `wanted` bytes may return (VMIN, VTIME).
bool Terminal::enough_locked(size_t wanted) const {
    const Termios& settings = discipline_.settings();
    if (settings.local & kICanon) return discipline_.readable();
    size_t minimum = settings.characters[kVTime] ? 1 : std::max<size_t>(settings.characters[kVMin], 1);
    return discipline_.available() >= std::min(minimum, wanted);
}

Result<size_t> Terminal::read(Destination& destination, Blocking blocking) {
    if (destination.remaining() == 0) return 0;
    TRY(check_foreground(kSigTtin));
    core::SpinGuard guard(lock_);
    size_t moved = 0;
    Nanoseconds deadline = core::kNever;
    bool timed = false;
    for (;;) {
        if (hung_up_) return moved;
        const Termios& settings = discipline_.settings();
        bool canonical = settings.local & kICanon;
        bool ended = false;
        size_t before = moved;
        while (discipline_.readable() && !ended) {
            uint8_t chunk[512];
            size_t count = discipline_.read(chunk, std::min(sizeof chunk, destination.remaining()), &ended);
            if (auto put = destination.put(chunk, count); !put) return moved > 0 ? Result<size_t>(moved) : fail(put.error());
            moved += count;
            if (destination.remaining() == 0 && (ended || !canonical || count == 0)) break;
        }
        uint8_t minimum = settings.characters[kVMin], time = settings.characters[kVTime];
        bool done = canonical ? ended || moved > 0
                              : destination.remaining() == 0 || (moved > 0 && (minimum == 0 || moved >= minimum));
        if (done) break;
        if (!canonical && minimum == 0 && time == 0) break;
        if (blocking == Blocking::kNo) {
            if (moved > 0) break;
            return fail(Errno::kAgain);
        }
        if (!canonical && time > 0) {
            // VMIN > 0: the timer runs between bytes. VMIN = 0: from the start.
            if ((minimum > 0 && moved > before) || (minimum == 0 && !timed)) {
                deadline = sched::monotonic_ns() + time * kTenthOfSecond;
                timed = true;
            }
        }
        auto wake = readers_.wait(guard, lock_, deadline, sched::Interruptible::kYes);
        if (discipline_.readable()) continue;
        if (wake == sched::Wake::kTimeout) break;
        if (wake == sched::Wake::kInterrupted) {
            if (moved > 0) break;
            return fail(Errno::kRestartSys);
        }
        guard.unlock();
        TRY(check_foreground(kSigTtin));
        guard.relock(lock_);
    }
    bool more = discipline_.readable();
    guard.unlock();
    if (more) readers_.wake_all(kPollIn | kPollRdNorm);
    input_wanted();
    return moved;
}

Result<size_t> Terminal::write(Source& source, Blocking blocking) {
    core::SpinGuard guard(lock_);
    if (discipline_.settings().local & kToStop) {
        guard.unlock();
        TRY(check_foreground(kSigTtou));
        guard.relock(lock_);
    }
    size_t moved = 0;
    while (source.remaining() > 0) {
        if (hung_up_) return fail(Errno::kIo);
        size_t room = stopped_ ? 0 : output_.room() / LineDiscipline::kMaxExpansion;
        if (room == 0) {
            if (blocking == Blocking::kNo) {
                if (moved == 0) return fail(Errno::kAgain);
                break;
            }
            auto wake = writers_.wait(guard, lock_, core::kNever, sched::Interruptible::kYes);
            if (wake == sched::Wake::kInterrupted) {
                if (moved == 0) return fail(Errno::kRestartSys);
                break;
            }
            continue;
        }
        uint8_t chunk[256];
        size_t count = std::min({room, sizeof chunk, source.remaining()});
        if (auto taken = source.take(chunk, count); !taken) {
            if (moved == 0) return fail(taken.error());
            break;
        }
        for (size_t i = 0; i < count; i++) discipline_.write(chunk[i]);
        moved += count;
        output_added_locked();
    }
    return moved;
}

uint32_t Terminal::poll(PollRegistrar* registrar) {
    if (registrar) {
        registrar->watch(readers_);
        registrar->watch(writers_);
    }
    core::SpinGuard guard(lock_);
    if (hung_up_) return kPollIn | kPollRdNorm | kPollOut | kPollWrNorm | kPollErr | kPollHup;
    uint32_t events = 0;
    if (enough_locked(~size_t{0})) events |= kPollIn | kPollRdNorm;
    if (!stopped_ && output_.room() >= kOutputSize / 2) events |= kPollOut | kPollWrNorm;
    return events;
}

WindowSize Terminal::window_size() {
    core::SpinGuard guard(lock_);
    return window_;
}

Result<void> Terminal::set_window_size(WindowSize size) {
    {
        core::SpinGuard guard(lock_);
        if (window_ == size) return {};
        window_ = size;
    }
    if (int group = foreground_.load()) process_host().signal_group(group, kSigWinch);
    return {};
}

void Terminal::hang_up() {
    {
        core::SpinGuard guard(lock_);
        hung_up_ = true;
        discipline_.flush_input();
    }
    if (int session = session_.load()) {
        process_host().signal_process(session, kSigHup);
        process_host().signal_process(session, kSigCont);
    }
    give_up_session();
    readers_.wake_all(kPollIn | kPollHup | kPollErr);
    writers_.wake_all(kPollOut | kPollHup | kPollErr);
}

void Terminal::give_up_session() {
    session_.store(0);
    int group = foreground_.exchange(0);
    if (group == 0) return;
    process_host().signal_group(group, kSigHup);
    process_host().signal_group(group, kSigCont);
}

}  // namespace fs::tty

namespace fs {

void session_leader_exits(int session) {
    if (auto terminal = tty::terminal_of_session(session)) terminal->give_up_session();
}

}  // namespace fs
