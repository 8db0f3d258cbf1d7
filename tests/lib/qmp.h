// For host programs of tests: a running QEMU machine, through its QMP socket (QEMU Machine Protocol, docs/interop/qmp-spec
// of QEMU: a line of JSON each way).
#pragma once

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace qmp {

[[noreturn]] inline void give_up(const std::string& why) {
    std::printf("%s\n", why.c_str());
    std::exit(2);
}

struct Processor {
    uint64_t cr3, rip;
    unsigned ring;
    // Firmware runs without page tables, the kernel's first instructions below all programs.
    bool in_program() const { return cr3 != 0 && rip >= 0x400000 && rip < uint64_t{1} << 47; }
};

// Ends this program if the machine does not answer, or answers with an error.
class Machine {
  public:
    explicit Machine(const char* path) {
        ::signal(SIGPIPE, SIG_IGN);
        sockaddr_un address{AF_UNIX, {}};
        std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
        socket_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
        if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) give_up("no such machine");
        line();
        execute(R"({"execute":"qmp_capabilities"})");
    }
    // Returns the answer's line; events are passed over.
    std::string execute(const std::string& command) {
        if (::write(socket_, command.data(), command.size()) < 0) give_up("the machine is gone");
        for (;;) {
            std::string answer = line();
            if (answer.starts_with("{\"return\"")) return answer;
            if (answer.starts_with("{\"error\"")) give_up(answer);
        }
    }
    std::string monitor(const std::string& command) {
        return execute(R"({"execute":"human-monitor-command","arguments":{"command-line":")" + command + "\"}}");
    }
    uint64_t memory_size() {
        return number_behind(execute(R"({"execute":"query-memory-size-summary"})"), "\"base-memory\": ", 10).value();
    }
    std::vector<Processor> processors() {
        std::string registers = monitor("info registers -a");
        std::vector<Processor> all;
        for (size_t at = registers.find("CPU#"), end; at != std::string::npos; at = end) {
            end = registers.find("CPU#", at + 1);
            std::string one = registers.substr(at, end - at);
            // Before 64-bit mode there is no RIP.
            all.push_back({number_behind(one, "CR3=", 16).value_or(0) & ~uint64_t{4095},
                           number_behind(one, "RIP=", 16).value_or(0),
                           static_cast<unsigned>(number_behind(one, "CPL=", 10).value_or(0))});
        }
        return all;
    }
    static std::optional<uint64_t> number_behind(const std::string& text, const char* key, int base) {
        size_t at = text.find(key);
        if (at == std::string::npos) return std::nullopt;
        return std::strtoull(text.c_str() + at + std::strlen(key), nullptr, base);
    }

  private:
    std::string line() {
        std::string text;
        for (char c; ::read(socket_, &c, 1) == 1 && c != '\n';) text += c;
        if (text.empty()) give_up("the machine is gone");
        return text;
    }
    int socket_;
};

}  // namespace qmp
