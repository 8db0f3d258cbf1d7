// As much of HTTP as a test needs.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace tool {

struct HttpResponse {
    int status = 0;  // 0: no answer; `body` then says why
    std::string body;
};

/// GET http://127.0.0.1:port/path, HTTP/1.0.
HttpResponse http_get(uint16_t port, const std::string& path, std::chrono::seconds time_limit);

}  // namespace tool
