#include "net/udp_socket.h"

#include <algorithm>

#include "net/interface.h"
#include "net/ports.h"
#include "net/stack_lock.h"
#include "sched/timer.h"

namespace net {

namespace {

constexpr size_t kMaxDatagram = 65507;  // IPv4: 65535 less the headers
constexpr size_t kDatagramCost = 256;   // what one queued datagram counts besides its data, against SO_RCVBUF

}  // namespace

UdpSocket::Datagram::~Datagram() { pbuf_free(data); }

Result<void> UdpSocket::initialize() {
    StackLock lock;
    pcb_ = udp_new_ip_type(local_.address.type);
    if (!pcb_) return fail(Errno::kNoBufs);
    ip_set_option(pcb_, SOF_REUSEADDR);
    ip_set_option(pcb_, SOF_BROADCAST);  // refused in send(), where Linux's EACCES is
    udp_recv(pcb_, on_received, this);
    return {};
}

UdpSocket::~UdpSocket() {
    StackLock lock;
    received_.clear_and_dispose([](Datagram* datagram) { delete datagram; });
    if (pcb_) udp_remove(pcb_);
    unclaim_port(*this);
}

Result<void> UdpSocket::bind(const SocketAddress& address) {
    TRY(InetSocket::bind(address));
    // A port of the program's own choice is one that others send to.
    if (TRY(decode_address(address, family(), false)).port) note_listen();
    return {};
}

Result<void> UdpSocket::bind_lwip() {
    err_t error = udp_bind(pcb_, &local_.address, local_.port);
    return error == ERR_OK ? Result<void>{} : fail(to_errno(error));
}

Result<void> UdpSocket::bound() { return bind_lwip(); }

void UdpSocket::ip_options_changed() {
    pcb_->tos = type_of_service_;
    pcb_->ttl = time_to_live_;
    if (!has_port()) pcb_->local_ip = local_.address;  // IPV6_V6ONLY
}

void UdpSocket::on_received(void* self, udp_pcb*, pbuf* data, const ip_addr_t* address, u16_t port) {
    auto& socket = *static_cast<UdpSocket*>(self);
    size_t cost = data->tot_len + kDatagramCost;
    auto* datagram = socket.read_shut_ || socket.received_bytes_ + cost > static_cast<size_t>(socket.options_.receive_buffer)
                         ? nullptr : new (std::nothrow) Datagram;
    if (!datagram) {
        pbuf_free(data);  // no room: datagrams may be lost
        return;
    }
    datagram->data = data;
    datagram->from = {*address, port};
    datagram->to = *ip_current_dest_addr();
    datagram->interface = interface_index(*ip_current_input_netif());
    datagram->arrived_ns = sched::monotonic_ns() + sched::realtime_offset_ns();
    socket.received_bytes_ += cost;
    socket.received_.push_back(*datagram);
    socket.changed_.wake_all(fs::kPollIn | fs::kPollRdNorm);
}

void UdpSocket::refused() {
    if (!connected_) return;  // Linux tells unconnected sockets only with IP_RECVERR
    error_ = Errno::kConnRefused;
    changed_.wake_all(fs::kPollErr | fs::kPollIn | fs::kPollOut);
}

UdpSocket* UdpSocket::find(const Endpoint& local, const Endpoint& peer) {
    for (udp_pcb* pcb = udp_pcbs; pcb; pcb = pcb->next) {
        if (pcb->recv != on_received || pcb->local_port != local.port) continue;
        auto* socket = static_cast<UdpSocket*>(pcb->recv_arg);
        if (socket->connected_ && socket->peer_.port == peer.port &&
            same_address(socket->peer_.address, peer.address)) {
            return socket;
        }
    }
    return nullptr;
}

Result<void> UdpSocket::connect(const SocketAddress& address) {
    if (address.size < sizeof(uint16_t)) return fail(Errno::kInval);
    if (address.family() == kAfUnspec) {
        StackLock lock;
        udp_disconnect(pcb_);
        connected_ = false;
        return {};
    }
    Endpoint peer = TRY(decode_address(address, family(), false));
    peer.address = wildcard_to_loopback(peer.address);
    StackLock lock;
    if (v6_only_ && IP_IS_V4_VAL(peer.address)) return fail(Errno::kNetUnreach);
    netif* route = ip_route(&local_.address, &peer.address);
    if (!route) return fail(Errno::kNetUnreach);
    if (ip4_addr_isbroadcast(ip_2_ip4(&peer.address), route) && IP_IS_V4_VAL(peer.address) && !options_.broadcast) {
        return fail(Errno::kAcces);
    }
    if (!has_port()) {
        TRY(ensure_port());
        auto result = bind_lwip();
        if (!result) {
            release_port();
            return result;
        }
    }
    if (is_wildcard(local_.address)) {
        // The source address is fixed from here on (getsockname(2)).
        if (const ip_addr_t* source = ip_netif_get_local_ip(route, &peer.address)) {
            local_.address = *source;
            pcb_->local_ip = *source;
        }
    }
    err_t error = udp_connect(pcb_, &peer.address, peer.port);
    if (error != ERR_OK) return fail(to_errno(error));
    peer_ = peer;
    connected_ = true;
    error_ = Errno{};
    return {};
}

Result<SocketAddress> UdpSocket::peer_address() {
    StackLock lock;
    if (!connected_) return fail(Errno::kNotConn);
    return encode_address(peer_, family());
}

Result<void> UdpSocket::shutdown(int how) {
    StackLock lock;
    if (!connected_) return fail(Errno::kNotConn);
    if (how != kShutWrite) read_shut_ = true;
    if (how != kShutRead) write_shut_ = true;
    changed_.wake_all(fs::kPollIn | fs::kPollHup | fs::kPollRdHup);
    return {};
}

uint32_t UdpSocket::poll(fs::PollRegistrar* registrar) {
    if (registrar) registrar->watch(changed_);
    StackLock lock;
    uint32_t events = fs::kPollOut | fs::kPollWrNorm;
    if (!received_.empty()) events |= fs::kPollIn | fs::kPollRdNorm;
    if (read_shut_) events |= fs::kPollIn | fs::kPollRdNorm | fs::kPollRdHup;
    if (read_shut_ && write_shut_) events |= fs::kPollHup;
    if (error_ != Errno{}) events |= fs::kPollErr;
    return events;
}

Errno UdpSocket::take_error() {
    StackLock lock;
    return std::exchange(error_, Errno{});
}

Result<size_t> UdpSocket::readable_bytes() {
    StackLock lock;
    return received_.empty() ? 0 : received_.front().data->tot_len;
}

Result<size_t> UdpSocket::send(SendRequest& request) {
    if (request.flags & kMsgOob) return fail(Errno::kOpNotSupp);
    if (request.flags & kMsgMore) return fail(Errno::kOpNotSupp);  // datagrams made of several sends
    size_t size = request.data.remaining();
    if (size > kMaxDatagram) return fail(Errno::kMsgSize);
    Endpoint target;
    bool explicit_target = request.to != nullptr;
    if (explicit_target) {
        int as = family() == kAfInet6 && request.to->family() == kAfInet ? kAfInet : family();
        target = TRY(decode_address(*request.to, as, false));
        if (target.port == 0) return fail(Errno::kInval);
        target.address = wildcard_to_loopback(target.address);
    }
    StackLock lock;
    if (write_shut_) return fail(Errno::kPipe);
    if (!explicit_target && !connected_) return fail(Errno::kDestAddrReq);
    if (error_ != Errno{}) return fail(std::exchange(error_, Errno{}));
    if (!explicit_target) target = peer_;
    if (v6_only_ && IP_IS_V4_VAL(target.address)) return fail(Errno::kNetUnreach);
    if (!has_port()) {
        TRY(ensure_port());
        auto result = bind_lwip();
        if (!result) {
            release_port();
            return fail(result.error());
        }
    }
    ip_addr_t source = local_.address;
    if (IP_IS_ANY_TYPE_VAL(source)) source.type = target.address.type;
    netif* route = ip_route(&source, &target.address);
    if (!route) return fail(Errno::kNetUnreach);
    if (IP_IS_V4_VAL(target.address) && ip4_addr_isbroadcast(ip_2_ip4(&target.address), route) && !options_.broadcast) {
        return fail(Errno::kAcces);
    }
    pbuf* data = pbuf_alloc(PBUF_TRANSPORT, static_cast<u16_t>(size), PBUF_RAM);
    if (!data) return fail(Errno::kNoBufs);
    core::Defer free_data([&] { pbuf_free(data); });
    if (size) TRY(request.data.take(data->payload, size));
    // A checksum over several fragments cannot be left to the device.
    u16_t checksums = route->chksum_flags;
    bool fragmented = route->mtu && size + 48 > route->mtu;
    if (fragmented) route->chksum_flags = checksums | NETIF_CHECKSUM_GEN_UDP;
    err_t error = udp_sendto(pcb_, data, &target.address, target.port);
    route->chksum_flags = checksums;
    // A full queue of the card or of address resolution loses datagrams, as the network may.
    if (error != ERR_OK && error != ERR_MEM && error != ERR_BUF) return fail(to_errno(error));
    return size;
}

Result<size_t> UdpSocket::receive(ReceiveRequest& request) {
    if (request.flags & kMsgOob) return fail(Errno::kInval);
    if (request.flags & kMsgErrQueue) return fail(Errno::kAgain);
    StackLock lock;
    const Nanoseconds deadline = receive_deadline();
    while (received_.empty()) {
        if (error_ != Errno{}) return fail(std::exchange(error_, Errno{}));
        if (read_shut_) {
            if (request.from) request.from->size = 0;
            return 0;
        }
        if (!may_wait(request.flags)) return fail(Errno::kAgain);
        switch (lock.wait(changed_, deadline)) {
        case sched::Wake::kWoken: break;
        case sched::Wake::kTimeout: return fail(Errno::kAgain);
        case sched::Wake::kInterrupted: return fail(interrupted(options_.receive_timeout));
        }
    }
    Datagram& datagram = received_.front();
    size_t size = datagram.data->tot_len;
    size_t copied = std::min(size, request.data.remaining());
    size_t offset = 0;
    Result<void> status;
    for (pbuf* p = datagram.data; p && offset < copied && status; p = p->next) {
        size_t piece = std::min<size_t>(p->len, copied - offset);
        status = request.data.put(p->payload, piece);
        offset += piece;
    }
    if (copied < size) request.result_flags |= kMsgTrunc;
    if (request.from) *request.from = encode_address(datagram.from, family());
    if (request.ancillary) {
        if (packet_info_) {
            PacketInfo& info = request.ancillary->packet_info;
            info.family = IP_IS_V4_VAL(datagram.to) ? kAfInet : kAfInet6;
            info.interface = datagram.interface;
            std::memcpy(info.address, &datagram.to.u_addr, info.family == kAfInet ? 4 : 16);
        }
        if (options_.timestamp) {
            request.ancillary->has_timestamp = true;
            request.ancillary->timestamp_ns = datagram.arrived_ns;
        }
    }
    if (!(request.flags & kMsgPeek)) {
        datagram.hook.unlink();
        received_bytes_ -= size + kDatagramCost;
        delete &datagram;
    }
    if (!status) return fail(status.error());
    return request.flags & kMsgTrunc ? size : copied;
}

}  // namespace net
