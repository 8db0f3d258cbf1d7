// /proc/net: the headers of the tables that programs look into. Sockets are not listed.
#include "fs/proc/system_files.h"

namespace fs::proc {

namespace {

Result<void> tcp_text(Text& text, const Subject&) {
    text << "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    return {};
}
Result<void> unix_text(Text& text, const Subject&) {
    text << "Num       RefCount Protocol Flags    Type St Inode Path\n";
    return {};
}
Result<void> device_text(Text& text, const Subject&) {
    text << "Inter-|   Receive                                                |  Transmit\n"
            " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls "
            "carrier compressed\n";
    return {};
}
Result<void> if_inet6_text(Text& text, const Subject&) {
    text << "00000000000000000000000000000001 01 80 10 80       lo\n";
    return {};
}

constexpr Entry kEntries[] = {
    {.name = "dev", .text = device_text},   {.name = "if_inet6", .text = if_inet6_text}, {.name = "tcp", .text = tcp_text},
    {.name = "tcp6", .text = tcp_text},     {.name = "udp", .text = tcp_text},           {.name = "udp6", .text = tcp_text},
    {.name = "unix", .text = unix_text},
};

}  // namespace

const Directory kNetDirectory{kEntries};

}  // namespace fs::proc
