#include "test_runner/http_get.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "support/unique_fd.h"

namespace tool {

HttpResponse http_get(uint16_t port, const std::string& path, std::chrono::seconds time_limit) {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    timeval limit = {.tv_sec = static_cast<time_t>(time_limit.count()), .tv_usec = 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    sockaddr_in server = {};
    server.sin_family = AF_INET;
    server.sin_port = htons(port);
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const std::string request = "GET " + path + " HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n";
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&server), sizeof server) != 0 ||
        ::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0)
        return {0, std::strerror(errno)};
    std::string answer;
    char buffer[65536];
    for (;;) {
        ssize_t length = ::recv(socket.get(), buffer, sizeof buffer, 0);
        if (length < 0) return {0, std::strerror(errno)};
        if (length == 0) break;
        answer.append(buffer, static_cast<size_t>(length));
    }
    HttpResponse response;
    if (answer.size() > 12 && answer.starts_with("HTTP/1."))
        std::from_chars(answer.data() + 9, answer.data() + 12, response.status);
    size_t end = answer.find("\r\n\r\n");
    response.body = end == std::string::npos ? "no HTTP answer: " + answer.substr(0, 100) : answer.substr(end + 4);
    return response;
}

}  // namespace tool
