// /proc/net (proc_net(5)): headings, and below them what the network tells.
#include <atomic>

#include "fs/proc/network_view.h"
#include "fs/proc/system_files.h"

namespace fs::proc {

namespace {

std::atomic<NetworkView*> network_view{nullptr};  // null: there is no network yet, and all tables are empty

using Sockets = NetworkView::Sockets;

constexpr std::string_view kAddresses = "  sl  local_address rem_address  ";
constexpr std::string_view kAddresses6 =
    "  sl  local_address                         remote_address                       ";
constexpr std::string_view kNames = " st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
constexpr std::string_view kUdpNames = " ref pointer drops";

template <Sockets kKind>
Result<void> sockets_text(Text& text, const Subject&) {
    if constexpr (kKind == Sockets::kTcp) (text << kAddresses << kNames).pad_line(0, kTcpWidth) << '\n';
    if constexpr (kKind == Sockets::kTcp6) text << kAddresses6 << kNames << '\n';
    if constexpr (kKind == Sockets::kUdp) (text << ' ' << kAddresses << kNames << kUdpNames).pad_line(0, kUdpWidth) << '\n';
    if constexpr (kKind == Sockets::kUdp6) text << kAddresses6 << kNames << kUdpNames << '\n';
    if constexpr (kKind == Sockets::kUnix) text << "Num       RefCount Protocol Flags    Type St Inode Path\n";
    if (NetworkView* view = network_view.load()) view->sockets(kKind, text);
    return {};
}
Result<void> device_text(Text& text, const Subject&) {
    text << "Inter-|   Receive                                                |  Transmit\n"
            " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls "
            "carrier compressed\n";
    if (NetworkView* view = network_view.load()) view->devices(text);
    return {};
}
Result<void> if_inet6_text(Text& text, const Subject&) {
    if (NetworkView* view = network_view.load()) view->addresses6(text);
    return {};
}
Result<void> route_text(Text& text, const Subject&) {
    text << "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
    text.pad_line(0, kRouteWidth) << '\n';
    if (NetworkView* view = network_view.load()) view->routes(text);
    return {};
}

constexpr Entry kEntries[] = {
    {.name = "dev", .text = device_text},
    {.name = "if_inet6", .text = if_inet6_text},
    {.name = "route", .text = route_text},
    {.name = "tcp", .text = sockets_text<Sockets::kTcp>},
    {.name = "tcp6", .text = sockets_text<Sockets::kTcp6>},
    {.name = "udp", .text = sockets_text<Sockets::kUdp>},
    {.name = "udp6", .text = sockets_text<Sockets::kUdp6>},
    {.name = "unix", .text = sockets_text<Sockets::kUnix>},
};

}  // namespace

void set_network_view(NetworkView& view) { network_view.store(&view); }

const Directory kNetDirectory{kEntries};

}  // namespace fs::proc
