#include "boot/command_line.h"

namespace boot {

namespace {

// The next word of `rest`, which is advanced past it; empty at the end.
std::string_view next_word(std::string_view& rest) {
    while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
    size_t end = rest.find(' ');
    std::string_view word = rest.substr(0, end);
    rest.remove_prefix(word.size());
    return word;
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

Result<core::String> percent_decode(std::string_view text) {
    core::String decoded = TRY(core::String::create(""));
    for (size_t i = 0; i < text.size(); i++) {
        char c = text[i];
        if (c == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
            c = static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
        }
        TRY(decoded.append({&c, 1}));
    }
    return decoded;
}

bool parse_number(std::string_view text, uint64_t& value, uint64_t limit) {
    if (text.empty()) return false;
    value = 0;
    for (char c : text) {
        if (c < '0' || c > '9') return false;
        value = value * 10 + static_cast<uint64_t>(c - '0');
        if (value > limit) return false;
    }
    return true;
}

bool parse_level(std::string_view text, core::klog::Level& level) {
    using core::klog::Level;
    if (text == "error") level = Level::kError;
    else if (text == "warn") level = Level::kWarn;
    else if (text == "info") level = Level::kInfo;
    else if (text == "debug") level = Level::kDebug;
    else return false;
    return true;
}

// "10.0.2.15" in network byte order (the first number in the lowest byte of memory).
bool parse_ipv4(std::string_view text, uint32_t& address) {
    address = 0;
    for (unsigned i = 0; i < 4; i++) {
        size_t end = i < 3 ? text.find('.') : text.size();
        uint64_t part;
        if (end == std::string_view::npos || !parse_number(text.substr(0, end), part, 255)) return false;
        address |= static_cast<uint32_t>(part) << (8 * i);
        text.remove_prefix(i < 3 ? end + 1 : end);
    }
    return true;
}

bool parse_ip(std::string_view text, Options& options) {
    if (text == "dhcp") return options.network.dhcp = true;
    size_t slash = text.find('/');
    uint64_t prefix;
    if (slash == std::string_view::npos || !parse_ipv4(text.substr(0, slash), options.network.address) ||
        !parse_number(text.substr(slash + 1), prefix, 32)) {
        return false;
    }
    uint32_t mask = prefix ? ~uint32_t{0} << (32 - prefix) : 0;
    options.network.netmask = __builtin_bswap32(mask);
    return true;
}

// RFC 4291, 2.2: groups of hexadecimal digits, "::" once for a run of zeros.
bool parse_ipv6(std::string_view text, uint8_t (&address)[16]) {
    uint16_t groups[8] = {};
    int count = 0, gap = -1;
    if (text.starts_with("::")) {
        gap = 0;
        text.remove_prefix(2);
    }
    while (!text.empty()) {
        if (count == 8) return false;
        uint32_t group = 0;
        size_t digits = 0;
        while (digits < text.size() && hex_digit(text[digits]) >= 0) {
            group = group * 16 + static_cast<uint32_t>(hex_digit(text[digits++]));
            if (digits > 4) return false;
        }
        if (digits == 0) return false;
        groups[count++] = static_cast<uint16_t>(group);
        text.remove_prefix(digits);
        if (text.starts_with("::")) {
            if (gap >= 0) return false;
            gap = count;
            text.remove_prefix(2);
        } else if (text.starts_with(":")) {
            text.remove_prefix(1);
            if (text.empty()) return false;
        } else if (!text.empty()) {
            return false;
        }
    }
    if (gap < 0 && count != 8) return false;
    int shift = gap < 0 ? 0 : 8 - count;
    uint16_t full[8] = {};
    for (int i = 0; i < count; i++) full[gap >= 0 && i >= gap ? i + shift : i] = groups[i];
    for (int i = 0; i < 8; i++) {
        address[2 * i] = static_cast<uint8_t>(full[i] >> 8);
        address[2 * i + 1] = static_cast<uint8_t>(full[i]);
    }
    return true;
}

bool parse_ip6(std::string_view text, Options& options) {
    size_t slash = text.find('/');
    uint64_t prefix;
    if (slash == std::string_view::npos || !parse_ipv6(text.substr(0, slash), options.network.address6) ||
        !parse_number(text.substr(slash + 1), prefix, 128)) {
        return false;
    }
    options.network.prefix6 = static_cast<unsigned>(prefix);
    return true;
}

// "PATH=MODEL"
Result<bool> add_isolation_of(std::string_view text, process::IsolationPolicy& policy) {
    size_t equals = text.rfind('=');
    if (equals == std::string_view::npos || !text.starts_with("/")) return false;
    auto isolation = process::parse_isolation(text.substr(equals + 1));
    if (isolation) TRY(policy.of_paths.push_back({TRY(core::String::create(text.substr(0, equals))), *isolation}));
    return isolation.has_value();
}

// Applies one word. False if its value is malformed; `known` tells whether the key exists.
Result<bool> apply(std::string_view key, std::string_view value, Options& options, bool& known) {
    known = true;
    if (key == "log") return parse_level(value, options.log_level);
    if (key == "isolation") {
        auto isolation = process::parse_isolation(value);
        if (isolation) options.isolation.otherwise = *isolation;
        return isolation.has_value();
    }
    if (key == "ip") return parse_ip(value, options);
    if (key == "gw") return parse_ipv4(value, options.network.gateway);
    if (key == "dns") return parse_ipv4(value, options.network.dns);
    if (key == "ip6") return parse_ip6(value, options);
    if (key == "hostname") {
        options.hostname = TRY(percent_decode(value));
        return !options.hostname.empty() && options.hostname.size() <= 64;
    }
    if (key == "tsc_khz") return parse_number(value, options.tsc_khz, 100'000'000);
    if (key == "tty") {
        options.tty = value == "1";
        return value == "0" || value == "1";
    }
    if (key == "env") {
        core::String decoded = TRY(percent_decode(value));
        bool good = decoded.view().find('=') != std::string_view::npos;
        if (good) TRY(options.environment.push_back(std::move(decoded)));
        return good;
    }
    if (key == "cwd") {
        options.working_directory = TRY(percent_decode(value));
        return options.working_directory.view().starts_with("/");
    }
    if (key == "isolation-of") {
        core::String decoded = TRY(percent_decode(value));
        return add_isolation_of(decoded, options.isolation);
    }
    if (key == "trace") {
        options.trace_system_calls = value == "syscalls";
        return value == "syscalls";
    }
    if (key == "test_tick_hz") return parse_number(value, options.test_tick_hz, 100'000);
    if (key == "test_bug") {
        auto bug = parse_test_bug(value);
        options.test_bug = bug.value_or(TestBug::kNone);
        return bug.has_value();
    }
    if (key == "test_fail_allocation") return parse_number(value, options.test_fail_allocation, 1'000'000'000);
    if (key == "weaken") return true;  // parse_early()
    // QEMU's microvm describes its devices so; drivers/virtio reads them from the whole line.
    if (key == "virtio_mmio.device") return true;
    known = false;
    return true;
}

}  // namespace

EarlyOptions parse_early(std::string_view command_line) {
    EarlyOptions early;
    for (std::string_view word = next_word(command_line); !word.empty(); word = next_word(command_line)) {
        if (word == "--") break;
        if (word.starts_with("log=")) parse_level(word.substr(4), early.log_level);
        if (word.starts_with("tsc_khz=")) parse_number(word.substr(8), early.tsc_khz, 100'000'000);
        if (word.starts_with("weaken=")) early.weaken = word.substr(7);
    }
    return early;
}

Result<Options> parse(std::string_view command_line) {
    Options options;
    options.hostname = TRY(core::String::create("isounik"));
    options.working_directory = TRY(core::String::create("/"));
    std::string_view word = next_word(command_line);
    for (; !word.empty() && word != "--"; word = next_word(command_line)) {
        size_t equals = word.find('=');
        std::string_view key = word.substr(0, equals);
        std::string_view value = equals == std::string_view::npos ? std::string_view() : word.substr(equals + 1);
        bool known;
        bool good = TRY(apply(key, value, options, known));
        if (!known) klog::warn("command line: unknown key \"{}\" is ignored", key);
        else if (!good) klog::warn("command line: \"{}\" is malformed and ignored (docs/boot-protocol.md)", word);
    }
    if (word == "--" && !command_line.empty()) command_line.remove_prefix(1);
    else return options;
    // Exactly one space between words: an empty argument is an empty word.
    for (bool last = false; !last;) {
        size_t end = command_line.find(' ');
        last = end == std::string_view::npos;
        word = command_line.substr(0, end);
        if (!last) command_line.remove_prefix(end + 1);
        // Some machines append device descriptions after everything else.
        if (word.starts_with("virtio_mmio.device=")) continue;
        TRY(options.arguments.push_back(TRY(percent_decode(word))));
    }
    return options;
}

}  // namespace boot
