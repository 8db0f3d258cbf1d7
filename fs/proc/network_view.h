// What /proc/net tells: the rows below the headings. The network, a room above this one, implements it.
#pragma once

#include "fs/proc/text.h"

namespace fs::proc {

// Linux pads the lines of these tables, their headings too, to so many bytes.
inline constexpr size_t kTcpWidth = 149, kUdpWidth = 127, kRouteWidth = 127;

class NetworkView {
  public:
    enum class Sockets : uint8_t { kTcp, kTcp6, kUdp, kUdp6, kUnix };

    // proc_net(5). Each appends whole lines; a text that is out of memory stays as it is.
    virtual void devices(Text& text) = 0;    // dev
    virtual void addresses6(Text& text) = 0; // if_inet6
    virtual void routes(Text& text) = 0;     // route
    virtual void sockets(Sockets kind, Text& text) = 0;

  protected:
    ~NetworkView() = default;
};

void set_network_view(NetworkView& view);

}  // namespace fs::proc
