#include "profile/gdb_remote.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "support/failure.h"
#include "support/strings.h"

namespace tool {

namespace {

constexpr size_t kMaxRead = 1024;  // QEMU refuses what does not fit into one of its packets
constexpr int kConnectTries = 300;
constexpr std::chrono::milliseconds kBetweenTries(20);

unsigned digit(char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10); }

std::string from_hex(const std::string& hex) {
    std::string bytes;
    for (size_t i = 0; i + 1 < hex.size(); i += 2) bytes += static_cast<char>(digit(hex[i]) << 4 | digit(hex[i + 1]));
    return bytes;
}

std::string hex(uint64_t value) {
    char text[20];
    std::snprintf(text, sizeof text, "%lx", value);
    return text;
}

}  // namespace

GdbRemote::GdbRemote(const std::filesystem::path& path) {
    sockaddr_un name = {};
    name.sun_family = AF_UNIX;
    if (path.native().size() >= sizeof name.sun_path) throw Failure("the path " + path.string() + " is too long");
    std::memcpy(name.sun_path, path.c_str(), path.native().size());
    for (int i = 0;; ++i) {
        socket_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (!socket_) throw system_failure("cannot make a socket");
        if (::connect(socket_.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) == 0) break;
        if (i == kConnectTries) throw system_failure("QEMU does not listen for the profiler");
        std::this_thread::sleep_for(kBetweenTries);
    }
    ask("QStartNoAckMode");
    send("?");
    receive();
}

char GdbRemote::byte() {
    if (next_ == pending_.size()) {
        char buffer[16384];
        ssize_t length;
        do length = ::recv(socket_.get(), buffer, sizeof buffer, 0);
        while (length < 0 && errno == EINTR);
        if (length <= 0) throw Failure("the machine has ended");
        pending_.assign(buffer, static_cast<size_t>(length));
        next_ = 0;
    }
    return pending_[next_++];
}

void GdbRemote::send(const std::string& payload) {
    unsigned sum = 0;
    for (char c : payload) sum += static_cast<unsigned char>(c);
    char end[4];
    std::snprintf(end, sizeof end, "#%02x", sum & 0xff);
    const std::string packet = "$" + payload + end;
    if (::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(packet.size()))
        throw Failure("the machine has ended");
}

std::string GdbRemote::receive() {
    while (byte() != '$') {  // what stands between packets are acknowledgements
    }
    std::string payload;
    for (char c = byte(); c != '#'; c = byte()) {
        if (c == '*') {  // the last character again, as often as the next one says
            payload.append(static_cast<size_t>(byte() - 29), payload.empty() ? '0' : payload.back());
        } else {
            payload += c;
        }
    }
    byte(), byte();  // the sum; a socket loses nothing
    return payload;
}

std::string GdbRemote::ask(const std::string& payload) {
    send(payload);
    return receive();
}

void GdbRemote::go_on() { send("c"); }

void GdbRemote::stop() {
    const char interrupt = 3;
    if (::send(socket_.get(), &interrupt, 1, MSG_NOSIGNAL) != 1) throw Failure("the machine has ended");
    while (receive().find_first_of("TS") != 0) {
    }
}

std::vector<std::string> GdbRemote::processors() {
    std::vector<std::string> all;
    for (std::string answer = ask("qfThreadInfo"); answer.starts_with('m'); answer = ask("qsThreadInfo"))
        for (std::string& number : split(answer.substr(1), ',')) all.push_back(std::move(number));
    return all;
}

void GdbRemote::select(const std::string& processor) { ask("Hg" + processor); }

GdbRemote::Registers GdbRemote::registers() {
    // rax rbx rcx rdx rsi rdi rbp rsp r8..r15 rip, 8 bytes each (gdb, features/i386/64bit-core.xml).
    const std::string bytes = from_hex(ask("g"));
    auto read = [&](size_t number) {
        uint64_t value = 0;
        if (bytes.size() >= (number + 1) * 8) std::memcpy(&value, bytes.data() + number * 8, 8);
        return value;
    };
    return {.rip = read(16), .rbp = read(6), .rsp = read(7)};
}

std::optional<std::string> GdbRemote::memory(uint64_t address, size_t size) {
    std::string bytes;
    while (bytes.size() < size) {
        const size_t part = std::min(size - bytes.size(), kMaxRead);
        const std::string answer = ask("m" + hex(address + bytes.size()) + "," + hex(part));
        if (answer.starts_with('E') || answer.size() != part * 2) return std::nullopt;
        bytes += from_hex(answer);
    }
    return bytes;
}

}  // namespace tool
