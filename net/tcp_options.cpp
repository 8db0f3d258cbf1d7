// Options of level IPPROTO_TCP (tcp(7)) and what SOL_SOCKET's mean to a connection.
#include <algorithm>

#include "net/stack_lock.h"
#include "net/tcp_socket.h"

namespace net {

uint8_t linux_state(tcp_state state) {
    switch (state) {
    case CLOSED: return 7;
    case LISTEN: return 10;
    case SYN_SENT: return 2;
    case SYN_RCVD: return 3;
    case ESTABLISHED: return 1;
    case FIN_WAIT_1: return 4;
    case FIN_WAIT_2: return 5;
    case CLOSE_WAIT: return 8;
    case CLOSING: return 11;
    case LAST_ACK: return 9;
    case TIME_WAIT: return 6;
    }
    return 7;
}

namespace {

constexpr int kTcpNoDelay = 1, kTcpMaxSeg = 2, kTcpCork = 3, kTcpKeepIdle = 4, kTcpKeepIntvl = 5, kTcpKeepCnt = 6,
    kTcpLinger2 = 8, kTcpDeferAccept = 9, kTcpWindowClamp = 10, kTcpInfo = 11, kTcpQuickAck = 12, kTcpCongestion = 13,
    kTcpUserTimeout = 18, kTcpFastOpen = 23;

// struct tcp_info (include/uapi/linux/tcp.h), as far as lwIP can tell; the rest of Linux's fields would be 0.
struct TcpInfo {
    uint8_t state, ca_state, retransmits, probes, backoff, options, window_scales, flags;
    uint32_t rto, ato, snd_mss, rcv_mss;
    uint32_t unacked, sacked, lost, retrans, fackets;
    uint32_t last_data_sent, last_ack_sent, last_data_recv, last_ack_recv;
    uint32_t pmtu, rcv_ssthresh, rtt, rttvar, snd_ssthresh, snd_cwnd, advmss, reordering;
    uint32_t rcv_rtt, rcv_space;
    uint32_t total_retrans;
};
static_assert(sizeof(TcpInfo) == 104);

TcpInfo describe(const tcp_pcb& pcb) {
    constexpr uint32_t kTickUs = TCP_SLOW_INTERVAL * 1000;
    TcpInfo info{};
    info.state = linux_state(pcb.state);
    info.retransmits = pcb.nrtx;
    info.probes = pcb.persist_probe;
    info.backoff = pcb.persist_backoff;
    info.options = (pcb.flags & TF_SACK ? 2 : 0) | (pcb.flags & TF_WND_SCALE ? 4 : 0);
    info.window_scales = static_cast<uint8_t>((pcb.snd_scale & 0xf) | pcb.rcv_scale << 4);
    info.rto = static_cast<uint32_t>(pcb.rto) * kTickUs;
    info.snd_mss = info.rcv_mss = info.advmss = pcb.mss;
    for (const tcp_seg* segment = pcb.unacked; segment; segment = segment->next) info.unacked++;
    info.pmtu = pcb.mss + 40u;
    info.rtt = static_cast<uint32_t>(pcb.sa > 0 ? pcb.sa >> 3 : 0) * kTickUs;
    info.rttvar = static_cast<uint32_t>(pcb.sv > 0 ? pcb.sv >> 2 : 0) * kTickUs;
    info.snd_ssthresh = pcb.mss ? pcb.ssthresh / pcb.mss : 0;
    info.snd_cwnd = pcb.mss ? pcb.cwnd / pcb.mss : 0;
    info.reordering = 3;
    info.rcv_space = info.rcv_ssthresh = pcb.rcv_wnd;
    return info;
}

}  // namespace

// Carries the options over to lwIP's connection. Caller holds the stack.
void TcpSocket::apply_options() {
    if (!pcb_) return;
    if (tcp_.no_delay) tcp_nagle_disable(pcb_);
    else tcp_nagle_enable(pcb_);
    if (options_.keep_alive) ip_set_option(pcb_, SOF_KEEPALIVE);
    else ip_reset_option(pcb_, SOF_KEEPALIVE);
    pcb_->keep_idle = static_cast<u32_t>(tcp_.keep_idle_s) * 1000;
    pcb_->keep_intvl = static_cast<u32_t>(tcp_.keep_interval_s) * 1000;
    pcb_->keep_cnt = static_cast<u32_t>(tcp_.keep_count);
    pcb_->tos = type_of_service_;
    pcb_->ttl = time_to_live_;
}

void TcpSocket::common_option_changed(int name) {
    if (name != kSoKeepAlive && name != kSoSndBuf && name != kSoRcvBuf) return;
    StackLock lock;
    if (name == kSoKeepAlive) apply_options();
    if (name == kSoSndBuf) tell_space();
    if (name == kSoRcvBuf && twin_) twin_->tell_space();
}

void TcpSocket::ip_options_changed() { apply_options(); }

Result<void> TcpSocket::set_option(int level, int name, std::span<const std::byte> value) {
    if (level != kSolTcp) return InetSocket::set_option(level, name, value);
    if (name == kTcpCongestion) {
        // lwIP has one algorithm, Reno's; Linux: ENOENT for one that is not there.
        std::string_view wanted(reinterpret_cast<const char*>(value.data()), std::min<size_t>(value.size(), 15));
        if (value.empty()) return fail(Errno::kInval);
        return wanted.substr(0, wanted.find('\0')) == "reno" ? Result<void>{} : fail(Errno::kNoEnt);
    }
    int number = TRY(option_int(value));
    StackLock lock;
    switch (name) {
    case kTcpNoDelay:
        tcp_.no_delay = number != 0;
        apply_options();
        if (tcp_.no_delay) push_out();
        return {};
    case kTcpCork:
        tcp_.cork = number != 0;
        if (!tcp_.cork) push_out();
        return {};
    case kTcpKeepIdle:
        if (number < 1 || number > 32767) return fail(Errno::kInval);
        tcp_.keep_idle_s = number;
        break;
    case kTcpKeepIntvl:
        if (number < 1 || number > 32767) return fail(Errno::kInval);
        tcp_.keep_interval_s = number;
        break;
    case kTcpKeepCnt:
        if (number < 1 || number > 127) return fail(Errno::kInval);
        tcp_.keep_count = number;
        break;
    case kTcpDeferAccept: tcp_.defer_accept_s = number < 0 ? 0 : number; return {};
    case kTcpUserTimeout:
        if (number < 0) return fail(Errno::kInval);
        if (number > 0) return fail(Errno::kNoProtoOpt);  // lwIP counts retransmissions, not time
        return {};
    case kTcpMaxSeg:
        if (number && (number < 88 || number > 32767)) return fail(Errno::kInval);
        if (number && pcb_ && number < pcb_->mss) pcb_->mss = static_cast<u16_t>(number);
        tcp_.max_segment = number;
        return {};
    // Acknowledgements are delayed by at most 250 ms; asking for them at once takes effect for the next one.
    case kTcpQuickAck:
        if (number && pcb_ && state_ == State::kConnected) tcp_ack_now(pcb_);
        return {};
    case kTcpFastOpen: return number == 0 ? Result<void>{} : fail(Errno::kOpNotSupp);
    default: return fail(Errno::kNoProtoOpt);
    }
    apply_options();
    return {};
}

Result<size_t> TcpSocket::get_option(int level, int name, std::span<std::byte> value) {
    if (level != kSolTcp) return InetSocket::get_option(level, name, value);
    StackLock lock;
    switch (name) {
    case kTcpNoDelay: return put_option(value, tcp_.no_delay);
    case kTcpCork: return put_option(value, tcp_.cork);
    case kTcpKeepIdle: return put_option(value, tcp_.keep_idle_s);
    case kTcpKeepIntvl: return put_option(value, tcp_.keep_interval_s);
    case kTcpKeepCnt: return put_option(value, tcp_.keep_count);
    case kTcpDeferAccept: return put_option(value, tcp_.defer_accept_s);
    case kTcpUserTimeout: case kTcpFastOpen: case kTcpWindowClamp: return put_option(value, 0);
    case kTcpLinger2: return put_option(value, TCP_FIN_WAIT_TIMEOUT / 1000);
    case kTcpQuickAck: return put_option(value, 1);
    case kTcpMaxSeg: return put_option(value, pcb_ && state_ == State::kConnected ? pcb_->mss
                                              : tcp_.max_segment ? tcp_.max_segment : 536);
    case kTcpCongestion: return put_option(value, "reno\0\0\0\0\0\0\0\0\0\0\0", 16);
    case kTcpInfo: {
        TcpInfo info{};
        if (pcb_) info = describe(*pcb_);
        else info.state = linux_state(state_ == State::kListening ? LISTEN : CLOSED);
        return put_option(value, &info, sizeof(info));
    }
    }
    return fail(Errno::kNoProtoOpt);
}

}  // namespace net
