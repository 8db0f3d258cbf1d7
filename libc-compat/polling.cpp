// poll(2), ppoll(2), select(2), pselect6(2).
#include "arch/x86_64/user_copy.h"
#include "fs/events/poll_set.h"
#include "libc-compat/families.h"
#include "libc-compat/user_time.h"
#include "process/signal.h"

namespace abi {

namespace {

struct PollFd {
    int32_t fd;
    int16_t events, revents;
};

// Arrays that usually fit on the stack.
template <typename T, size_t kInline>
class SmallArray {
  public:
    Result<void> resize(size_t size) {
        if (size > kInline) {
            TRY(heap_.resize(size));
            data_ = heap_.data();
        }
        size_ = size;
        return {};
    }
    T& operator[](size_t index) { return data_[index]; }
    T* data() { return data_; }
    std::span<T> span() { return {data_, size_}; }

  private:
    T inline_[kInline] = {};
    core::Vector<T> heap_;
    T* data_ = inline_;
    size_t size_ = 0;
};

Result<size_t> poll_until(process::Thread& thread, UserOut<PollFd> user_fds, uint32_t count, Nanoseconds deadline) {
    if (count > thread.process->limits[process::kLimitNoFile].soft) return fail(Errno::kInval);
    SmallArray<PollFd, 16> fds;
    SmallArray<fs::PollEntry, 16> entries;
    TRY(fds.resize(count));
    TRY(entries.resize(count));
    TRY(arch::copy_in_array(fds.span(), UserIn<PollFd>(user_fds)));
    size_t invalid = 0;
    for (uint32_t i = 0; i < count; i++) {
        fds[i].revents = 0;
        if (fds[i].fd < 0) continue;
        auto file = thread.files->get(fds[i].fd);
        if (!file) {
            fds[i].revents = fs::kPollNval;
            invalid++;
            continue;
        }
        entries[i].file = std::move(*file);
        entries[i].wanted = static_cast<uint16_t>(fds[i].events);
    }
    auto waited = fs::wait_for_files(entries.span(), invalid > 0 ? 0 : deadline);
    if (!waited) return fail(waited.error());
    size_t ready = *waited + invalid;
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i].file) fds[i].revents = static_cast<int16_t>(entries[i].ready);
        UserOut<int16_t> revents((user_fds + i).address().value() + offsetof(PollFd, revents));
        TRY(arch::copy_out(revents, fds[i].revents));
    }
    return ready;
}

Result<int64_t> resume_poll(process::Thread& thread, process::RestartBlock& block) {
    auto result = poll_until(thread, UserOut<PollFd>(block.arguments[0]), static_cast<uint32_t>(block.arguments[1]),
                             block.arguments[2]);
    if (!result) return fail(result.error() == Errno::kIntr ? Errno::kRestartBlock : result.error());
    return static_cast<int64_t>(*result);
}

Result<size_t> sys_poll(Context& context, UserOut<PollFd> fds, uint32_t count, int timeout_ms) {
    Nanoseconds deadline =
        timeout_ms < 0 ? core::kNever : poll_deadline(static_cast<Nanoseconds>(timeout_ms) * 1'000'000);
    auto result = poll_until(context.thread, fds, count, deadline);
    if (!result && result.error() == Errno::kIntr) {
        context.thread.restart = {&resume_poll, {fds.address().value(), count, deadline}};
        return fail(Errno::kRestartBlock);
    }
    return result;
}

// The mask of ppoll and pselect6, for the time of the call.
Result<void> apply_mask(Context& context, UserIn<process::SignalSet> mask, size_t size) {
    if (mask.is_null()) return {};
    if (size != sizeof(process::SignalSet)) return fail(Errno::kInval);
    process::set_temporary_mask(context.thread, TRY(arch::copy_in(mask)));
    return {};
}

// Tells the program what is left of its timeout. If it cannot be told, the call cannot be restarted.
template <typename Time>
Result<size_t> finish(Result<size_t> result, UserOut<Time> user_timeout, Nanoseconds deadline, Time (*convert)(Nanoseconds)) {
    if (!result && result.error() == Errno::kIntr) result = fail(Errno::kRestartNoHandler);
    if (user_timeout.is_null()) return result;
    Nanoseconds now = sched::monotonic_ns();
    if (!arch::copy_out(user_timeout, convert(deadline > now ? deadline - now : 0)) && !result &&
        result.error() == Errno::kRestartNoHandler) {
        return fail(Errno::kIntr);
    }
    return result;
}

Result<Nanoseconds> read_deadline(UserIn<UserTimespec> timeout) {
    if (timeout.is_null()) return core::kNever;
    return poll_deadline(TRY(read_timespec(timeout)));
}

Result<size_t> sys_ppoll(Context& context, UserOut<PollFd> fds, uint32_t count, UserOut<UserTimespec> timeout,
                         UserIn<process::SignalSet> mask, size_t mask_size) {
    Nanoseconds deadline = TRY(read_deadline(timeout));
    TRY(apply_mask(context, mask, mask_size));
    return finish(poll_until(context.thread, fds, count, deadline), timeout, deadline, &to_timespec);
}

// The three sets of select(2), as arrays of 64-bit words.
constexpr int kMaxWords = 1024;  // 65,536 descriptors
constexpr uint32_t kReadSet = fs::kPollIn | fs::kPollRdNorm | 0x80 /*POLLRDBAND*/ | fs::kPollHup | fs::kPollErr;
constexpr uint32_t kWriteSet = fs::kPollOut | fs::kPollWrNorm | 0x200 /*POLLWRBAND*/ | fs::kPollErr;
constexpr uint32_t kExceptSet = fs::kPollPri;
constexpr uint32_t kSetEvents[3] = {kReadSet, kWriteSet, kExceptSet};

Result<size_t> select_until(Context& context, int count, const UserOut<uint64_t> (&sets)[3], Nanoseconds deadline) {
    if (count < 0) return fail(Errno::kInval);
    uint64_t limit = context.limit(process::kLimitNoFile);
    if (static_cast<uint64_t>(count) > limit) count = static_cast<int>(limit);
    size_t words = (static_cast<size_t>(count) + 63) / 64;
    if (words > kMaxWords) words = kMaxWords;
    SmallArray<uint64_t, 3 * 16> bits;
    TRY(bits.resize(3 * words));
    for (int set = 0; set < 3; set++) {
        std::span<uint64_t> row(bits.data() + set * words, words);
        if (sets[set].is_null()) std::fill(row.begin(), row.end(), 0);
        else TRY(arch::copy_in_array(row, UserIn<uint64_t>(sets[set])));
    }
    struct Watched { int fd; };
    core::Vector<fs::PollEntry> entries;
    core::Vector<Watched> watched;
    for (int fd = 0; fd < count; fd++) {
        uint32_t wanted = 0;
        for (int set = 0; set < 3; set++) {
            if (bits[set * words + fd / 64] >> (fd % 64) & 1) wanted |= kSetEvents[set];
        }
        if (wanted == 0) continue;
        fs::PollEntry entry;
        entry.file = TRY(context.file(fd));
        entry.wanted = wanted;
        TRY(entries.push_back(std::move(entry)));
        TRY(watched.push_back({fd}));
    }
    // poll() reports hang-ups and errors always, select() only in the sets that have them: without one of the sets'
    // bits a ready entry does not count, and the wait goes on.
    size_t ready = 0;
    for (;;) {
        TRY(fs::wait_for_files(std::span(entries.data(), entries.size()), deadline));
        for (size_t word = 0; word < 3 * words; word++) bits[word] = 0;
        bool counted_out = true;
        for (size_t i = 0; i < entries.size(); i++) {
            uint32_t events = entries[i].ready;
            int fd = watched[i].fd;
            bool matched = false;
            for (int set = 0; set < 3; set++) {
                if (!(events & entries[i].wanted & kSetEvents[set])) continue;
                // `wanted` may mix the sets' bits: ask the program's own set.
                uint64_t own = 0;
                if (!sets[set].is_null()) {
                    own = TRY(arch::copy_in(UserIn<uint64_t>(sets[set]) + fd / 64));
                }
                if (!(own >> (fd % 64) & 1)) continue;
                bits[set * words + fd / 64] |= 1ull << (fd % 64);
                ready++;
                matched = true;
            }
            if (events && !matched) {
                entries[i].file.reset();  // only its hang-up or error is left, and nobody asked for that
                entries[i].ready = 0;
                counted_out = false;
            }
        }
        if (ready > 0 || counted_out) break;
    }
    for (int set = 0; set < 3; set++) {
        if (sets[set].is_null()) continue;
        TRY(arch::copy_out_array(sets[set], std::span<const uint64_t>(bits.data() + set * words, words)));
    }
    return ready;
}

Result<size_t> sys_select(Context& context, int count, UserOut<uint64_t> read_set, UserOut<uint64_t> write_set,
                          UserOut<uint64_t> except_set, UserOut<UserTimeval> timeout) {
    Nanoseconds deadline = core::kNever;
    if (!timeout.is_null()) {
        auto time = TRY(arch::copy_in(UserIn<UserTimeval>(timeout)));
        deadline = poll_deadline(TRY(to_nanoseconds(
            {time.seconds + time.microseconds / 1'000'000, time.microseconds % 1'000'000 * 1000})));
    }
    auto result = select_until(context, count, {read_set, write_set, except_set}, deadline);
    return finish(std::move(result), timeout, deadline, &to_timeval);
}

struct PselectMask {
    uint64_t set;
    uint64_t size;
};

Result<size_t> sys_pselect6(Context& context, int count, UserOut<uint64_t> read_set, UserOut<uint64_t> write_set,
                            UserOut<uint64_t> except_set, UserOut<UserTimespec> timeout, UserIn<PselectMask> mask) {
    PselectMask argument{};
    if (!mask.is_null()) argument = TRY(arch::copy_in(mask));
    Nanoseconds deadline = TRY(read_deadline(timeout));
    TRY(apply_mask(context, UserIn<process::SignalSet>(argument.set), argument.size));
    auto result = select_until(context, count, {read_set, write_set, except_set}, deadline);
    return finish(std::move(result), timeout, deadline, &to_timespec);
}

constexpr SystemCall kPollCalls[] = {
    CALL(7, poll, "fds, nfds, timeout"),
    CALL(23, select, "nfds, readfds, writefds, exceptfds, timeout"),
    CALL(270, pselect6, "nfds, readfds, writefds, exceptfds, timeout, sigmask"),
    CALL(271, ppoll, "fds, nfds, timeout, sigmask, sigsetsize"),
};

}  // namespace

const SystemCallFamily kPollFamily{"poll and select", kPollCalls};

}  // namespace abi
