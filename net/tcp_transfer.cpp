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

// How many bytes may be queued now. SO_SNDBUF bounds it below lwIP's own limit.
size_t TcpSocket::send_room() const {
    if (!pcb_ || tcp_sndqueuelen(pcb_) >= TCP_SND_QUEUELEN - 64) return 0;
    size_t queued = TCP_SND_BUF - pcb_->snd_buf;
    size_t limit = static_cast<size_t>(options_.send_buffer) < TCP_SND_BUF ? options_.send_buffer : TCP_SND_BUF;
    return queued < limit ? limit - queued : 0;
}

// Linux wakes writers when a third of the buffer is free (sk_stream_is_writeable()).
bool TcpSocket::writable_now() const {
    if (!pcb_ || tcp_sndqueuelen(pcb_) >= TCP_SND_QUEUELEN / 2) return false;
    size_t queued = TCP_SND_BUF - pcb_->snd_buf;
    return send_room() >= queued / 2 && send_room() > 0;
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
    while (request.data.remaining() > 0) {
        if (error_ != Errno{}) {
            failure = std::exchange(error_, Errno{});
            break;
        }
        if (state_ != State::kConnected || write_shut_) {
            failure = Errno::kPipe;
            break;
        }
        size_t size = std::min({request.data.remaining(), send_room(), kBounceSize});
        if (size == 0) {
            push_out();
            wants_space_ = true;
            if (!wait()) break;
            continue;
        }
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
    if (pcb_ && sent) {
        // TCP_CORK and MSG_MORE hold back what does not fill a segment.
        bool hold = tcp_.cork || (request.flags & kMsgMore);
        size_t queued = TCP_SND_BUF - pcb_->snd_buf;
        if (!hold || queued >= 2u * tcp_mss(pcb_)) push_out();
    }
    if (sent || failure == Errno{}) return sent;
    return fail(failure);
}

void TcpSocket::push_out() {
    if (pcb_) tcp_output(pcb_);
}

size_t TcpSocket::copy_received(fs::Destination& data, size_t wanted, bool keep, Result<void>& status) {
    size_t copied = 0, offset = first_offset_;
    for (pbuf* p = received_first_; p && copied < wanted; p = p->next) {
        size_t size = std::min<size_t>(p->len - offset, wanted - copied);
        status = data.put(static_cast<std::byte*>(p->payload) + offset, size);
        if (!status) break;
        copied += size;
        offset = 0;
    }
    if (!keep) consume(copied);
    return copied;
}

// Drops `size` bytes from the head of the queue and opens the window by as much.
void TcpSocket::consume(size_t size) {
    size_t left = size;
    while (left > 0) {
        pbuf* p = received_first_;
        size_t here = p->len - first_offset_;
        if (left < here) {
            first_offset_ += left;
            break;
        }
        left -= here;
        first_offset_ = 0;
        received_first_ = p->next;
        if (!received_first_) received_last_ = nullptr;
        p->next = nullptr;
        p->tot_len = p->len;
        pbuf_free(p);
    }
    received_bytes_ -= size;
    while (pcb_ && size > 0) {
        auto step = static_cast<u16_t>(std::min<size_t>(size, 0xffff));
        tcp_recved(pcb_, step);
        size -= step;
    }
}

void TcpSocket::drop_received() {
    while (pbuf* p = received_first_) {
        received_first_ = p->next;
        p->next = nullptr;
        p->tot_len = p->len;
        pbuf_free(p);
    }
    received_last_ = nullptr;
    first_offset_ = received_bytes_ = 0;
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
        if (received_bytes_ > 0 && !(peek && received_bytes_ < target && state_ == State::kConnected &&
                                     !peer_finished_ && may_wait(request.flags))) {
            if (request.flags & kMsgTrunc) {
                // tcp(7): discards instead of copying.
                size_t size = std::min(received_bytes_, wanted - received);
                if (!peek) consume(size);
                received += size;
            } else {
                Result<void> status;
                received += copy_received(request.data, wanted - received, peek, status);
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
    return received_bytes_;
}

Result<size_t> TcpSocket::unsent_bytes() {
    StackLock lock;
    if (state_ == State::kListening) return fail(Errno::kInval);
    return pcb_ && state_ == State::kConnected ? TCP_SND_BUF - pcb_->snd_buf : 0;
}

}  // namespace net
