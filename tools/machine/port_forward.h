// Ports of the host that lead into the machine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tool {

enum class Protocol { Tcp, Udp };

struct PortForward {
    std::string address = "127.0.0.1";
    uint16_t host = 0;  // 0: any free port, chosen by reserve_ports
    uint16_t guest = 0;
    Protocol protocol = Protocol::Tcp;

    /// As QEMU's hostfwd= takes it.
    std::string qemu_rule() const;
    /// "http://127.0.0.1:8080/" for the usual ports of HTTP, else "127.0.0.1:5432 (guest port 5432)".
    std::string describe() const;
    friend bool operator==(const PortForward&, const PortForward&) = default;
};

/// [ADDRESS:]HOST:GUEST[/tcp|/udp], IPv4. Throws Failure that shows the form.
PortForward parse_port_forward(std::string_view text);

/// Checks that each port of the host is free and picks one where 0 was asked for. Throws Failure that names the
/// port and says what to do. Another program can still take the port before QEMU does.
void reserve_ports(std::vector<PortForward>& forwards);

}  // namespace tool
