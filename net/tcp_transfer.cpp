// Sending and receiving on TCP sockets.
#include <algorithm>

#include "net/stack_lock.h"
#include "net/tcp_socket.h"
#include "sched/timer.h"

namespace net {

namespace {

// Data of programs passes through here on its way into lwIP's segments, which copy from kernel memory. Guarded by
// the stack.
constexpr size_t kBounceSize = 16 * 1024;
alignas(64) std::byte bounce[kBounceSize];

}  // namespace

// What was sent and has not reached the peer's socket.
size_t TcpSocket::queued_bytes() const { return twin_ ? direct_unsent() : TCP_SND_BUF - pcb_->snd_buf; }

// How many bytes may be queued now. SO_SNDBUF bounds it below lwIP's own limit.
size_t TcpSocket::send_room() const {
    if (!pcb_) return 0;
    size_t limit = std::min<size_t>(static_cast<size_t>(options_.send_buffer), TCP_SND_BUF);
    size_t queued;
    if (twin_) {
        limit += twin_->receive_window();
        queued = twin_->received_.size() + held_.size();
    } else {
        if (tcp_sndqueuelen(pcb_) >= TCP_SND_QUEUELEN - 64) return 0;
        queued = queued_bytes();
    }
    return queued < limit ? limit - queued : 0;
}

// Linux wakes writers when a third of the buffer is free (sk_stream_is_writeable()).
bool TcpSocket::writable_now() const {
    if (!pcb_ || (!twin_ && tcp_sndqueuelen(pcb_) >= TCP_SND_QUEUELEN / 2)) return false;
    size_t room = send_room();
    return room > 0 && room >= queued_bytes() / 2;
}

Result<size_t> TcpSocket::send(SendRequest& request) {
    if (request.flags & kMsgOob) return fail(Errno::kOpNotSupp);  // no urgent data in lwIP
    StackLock lock;
    const Nanoseconds deadline = send_deadline();
    size_t sent = 0;
    Errno failure{};
    auto wait = [&]() -> bool {  // false: `failure` says why
        if (!may_wait(request.flags)) {
            failure = Errno::kAgain;
            return false;
        }
        switch (lock.wait(changed_, deadline)) {
        case sched::Wake::kWoken: return true;
        case sched::Wake::kTimeout: failure = Errno::kAgain; return false;
        case sched::Wake::kInterrupted: failure = interrupted(options_.send_timeout); return false;
        }
        return true;
    };

    while (state_ == State::kConnecting) {
        if (!wait()) return fail(failure);
    }
    const Hold hold = tcp_.cork || (request.flags & kMsgMore) ? Hold::kYes : Hold::kNo;
    while (request.data.remaining() > 0) {
        if (error_ != Errno{}) {
            failure = std::exchange(error_, Errno{});
            break;
        }
        if (state_ != State::kConnected || write_shut_) {
            failure = Errno::kPipe;
            break;
        }
        size_t size = std::min(request.data.remaining(), send_room());
        if (twin_ && size > 0) {
            auto put = send_direct(request.data, size, hold);
            if (put) {
                sent += *put;
                continue;
            }
            // Without memory there is something to wait for as long as the peer has something to read.
            if (put.error() != Errno::kNoBufs || (twin_->received_.empty() && held_.empty())) {
                failure = put.error();
                break;
            }
            size = 0;
        }
        if (size == 0) {
            push_out();
            wants_space_ = true;
            if (!wait()) break;
            continue;
        }
        size = std::min(size, kBounceSize);
        if (auto taken = request.data.take(bounce, size); !taken) {
            failure = taken.error();
            break;
        }
        bool more = request.data.remaining() > 0 || (request.flags & kMsgMore);
        err_t error = tcp_write(pcb_, bounce, static_cast<u16_t>(size),
                                TCP_WRITE_FLAG_COPY | (more ? TCP_WRITE_FLAG_MORE : 0));
        if (error != ERR_OK) {
            request.data.give_back(size);
            // No memory for segments. What is in flight will give some back; else there is nothing to wait for.
            if (error != ERR_MEM || (!pcb_->unacked && !pcb_->unsent)) {
                failure = Errno::kNoBufs;
                break;
            }
            push_out();
            wants_space_ = true;
            if (!wait()) break;
            continue;
        }
        sent += size;
    }
    if (twin_ && sent) {
        finish_direct(hold);
    } else if (pcb_ && sent) {
        // What does not fill a segment is held back.
        if (hold == Hold::kNo || queued_bytes() >= 2u * tcp_mss(pcb_)) push_out();
    }
    if (sent || failure == Errno{}) return sent;
    return fail(failure);
}

void TcpSocket::push_out() {
    if (twin_) finish_direct(Hold::kNo);
    else if (pcb_) tcp_output(pcb_);
}

// `size` bytes were read: the peer may send as many more.
void TcpSocket::consume(size_t size) {
    received_.drop(size);
    if (direct_) {
        if (twin_) twin_->tell_space();
        return;
    }
    while (pcb_ && size > 0) {
        auto step = static_cast<u16_t>(std::min<size_t>(size, 0xffff));
        tcp_recved(pcb_, step);
        size -= step;
    }
}

// There is something to read.
void TcpSocket::tell_received() {
    if (deferred_by_) deferred_by_->enqueue_accepted(*this);
    changed_.wake_all(fs::kPollIn | fs::kPollRdNorm);
}

Result<size_t> TcpSocket::receive(ReceiveRequest& request) {
    if (request.flags & kMsgOob) return fail(Errno::kInval);  // never any urgent data
    if (request.flags & kMsgErrQueue) return fail(Errno::kAgain);
    if (request.from) request.from->size = 0;
    StackLock lock;
    const Nanoseconds deadline = receive_deadline();
    const bool peek = request.flags & kMsgPeek;
    const size_t wanted = request.data.remaining();
    size_t target = request.flags & kMsgWaitAll ? wanted
                    : std::min<size_t>(wanted, static_cast<size_t>(options_.receive_low_water));
    if (target == 0 && wanted) target = 1;
    size_t received = 0;
    for (;;) {
        if (state_ == State::kListening) return fail(Errno::kNotConn);
        if (received_.size() > 0 && !(peek && received_.size() < target && state_ == State::kConnected &&
                                     !peer_finished_ && may_wait(request.flags))) {
            if (request.flags & kMsgTrunc) {
                // tcp(7): discards instead of copying.
                size_t size = std::min(received_.size(), wanted - received);
                if (!peek) consume(size);
                received += size;
            } else {
                size_t copied = 0;
                auto status = received_.peek(request.data, wanted - received, copied);
                if (!peek) consume(copied);
                received += copied;
                if (!status) return received ? Result<size_t>(received) : fail(status.error());
            }
            if (peek || received >= target) return received;
        }
        if (wanted == 0 && state_ != State::kIdle) return 0;
        if (received && received >= target) return received;
        if (error_ != Errno{}) {
            if (received) return received;
            Errno error = std::exchange(error_, Errno{});
            // A reset after the end of the data reads as end of file.
            if (error == Errno::kPipe) return 0;
            return fail(error);
        }
        if (peer_finished_ || read_shut_ || state_ == State::kClosed) return received;
        if (state_ == State::kIdle) return fail(Errno::kNotConn);
        if (!may_wait(request.flags)) return received ? Result<size_t>(received) : fail(Errno::kAgain);
        switch (lock.wait(changed_, deadline)) {
        case sched::Wake::kWoken: break;
        case sched::Wake::kTimeout: return received ? Result<size_t>(received) : fail(Errno::kAgain);
        case sched::Wake::kInterrupted:
            return received ? Result<size_t>(received) : fail(interrupted(options_.receive_timeout));
        }
    }
}

Result<size_t> TcpSocket::readable_bytes() {
    StackLock lock;
    if (state_ == State::kListening) return fail(Errno::kInval);
    return received_.size();
}

Result<size_t> TcpSocket::unsent_bytes() {
    StackLock lock;
    if (state_ == State::kListening) return fail(Errno::kInval);
    return pcb_ && state_ == State::kConnected ? queued_bytes() : 0;
}

}  // namespace net
