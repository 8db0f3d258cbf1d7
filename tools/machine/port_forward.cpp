#include "machine/port_forward.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>

#include "support/failure.h"
#include "support/strings.h"
#include "support/unique_fd.h"

namespace tool {

namespace {

Failure bad_port(std::string_view text) {
    return Failure("'" + std::string(text) + "' is not a port forwarding",
                   "write [ADDRESS:]HOST:GUEST[/udp], for example 8080:80, 0.0.0.0:8080:80 or 5353:53/udp");
}

uint16_t parse_port(std::string_view text, std::string_view whole) {
    uint16_t port = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size()) throw bad_port(whole);
    return port;
}

}  // namespace

std::string PortForward::qemu_rule() const {
    return (protocol == Protocol::Tcp ? "tcp:" : "udp:") + address + ':' + std::to_string(host) + "-:" +
           std::to_string(guest);
}

std::string PortForward::describe() const {
    const std::string shown = address == "0.0.0.0" ? "127.0.0.1" : address;
    const std::string place = shown + ':' + std::to_string(host);
    if (protocol == Protocol::Tcp && (guest == 80 || guest == 8080 || guest == 8000)) return "http://" + place + "/";
    if (protocol == Protocol::Tcp && guest == 443) return "https://" + place + "/";
    return place + (protocol == Protocol::Udp ? "/udp" : "") + " (guest port " + std::to_string(guest) + ")";
}

PortForward parse_port_forward(std::string_view text) {
    PortForward forward;
    std::string_view rest = text;
    if (size_t slash = rest.rfind('/'); slash != std::string_view::npos) {
        std::string_view protocol = rest.substr(slash + 1);
        if (protocol != "tcp" && protocol != "udp") throw bad_port(text);
        forward.protocol = protocol == "udp" ? Protocol::Udp : Protocol::Tcp;
        rest = rest.substr(0, slash);
    }
    std::vector<std::string> parts = split(rest, ':');
    if (parts.size() == 3) {
        in_addr address = {};
        if (::inet_pton(AF_INET, parts[0].c_str(), &address) != 1) throw bad_port(text);
        forward.address = parts[0];
        parts.erase(parts.begin());
    }
    if (parts.size() != 2) throw bad_port(text);
    forward.host = parse_port(parts[0], text);
    forward.guest = parse_port(parts[1], text);
    if (forward.guest == 0) throw bad_port(text);
    return forward;
}

void reserve_ports(std::vector<PortForward>& forwards) {
    std::vector<UniqueFd> held;  // until all are chosen, so that no two get the same
    for (PortForward& forward : forwards) {
        // Two sockets that do not listen could share a port (SO_REUSEADDR is for ports in TIME_WAIT).
        for (const PortForward* other = forwards.data(); other != &forward; ++other)
            if (other->host == forward.host && other->protocol == forward.protocol && other->address == forward.address)
                throw Failure("port " + std::to_string(forward.host) + " of this host is forwarded twice",
                              "give each -p a port of its own");
        int type = forward.protocol == Protocol::Tcp ? SOCK_STREAM : SOCK_DGRAM;
        UniqueFd socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
        if (!socket) throw system_failure("cannot make a socket");
        int on = 1;
        if (type == SOCK_STREAM && forward.host != 0) ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in name = {};
        name.sin_family = AF_INET;
        name.sin_port = htons(forward.host);
        ::inet_pton(AF_INET, forward.address.c_str(), &name.sin_addr);
        if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) != 0) {
            const std::string port = forward.address + ':' + std::to_string(forward.host);
            const std::string other = "-p " + std::to_string(forward.host + (forward.host < 1024 ? 8000 : 1)) + ':' +
                                      std::to_string(forward.guest);
            if (errno == EADDRINUSE)
                throw Failure("port " + port + " of this host is taken by another program",
                              "choose another one, for example " + other);
            if (errno == EACCES)
                throw Failure("only root may listen on port " + port, "choose a higher one, for example " + other);
            throw system_failure("cannot listen on " + port);
        }
        socklen_t length = sizeof name;
        ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &length);
        forward.host = ntohs(name.sin_port);
        held.push_back(std::move(socket));
    }
}

}  // namespace tool
