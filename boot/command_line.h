// The kernel's command line: docs/boot-protocol.md.
#pragma once

#include <string_view>

#include "boot/test_bug.h"
#include "core/log.h"
#include "core/string.h"
#include "core/vector.h"
#include "net/stack.h"
#include "process/isolation.h"

namespace boot {

struct Options {
    core::klog::Level log_level = core::klog::Level::kWarn;
    process::IsolationPolicy isolation;
    core::String hostname, working_directory;
    net::Configuration network;
    bool has_address = false;
    uint64_t tsc_khz = 0;
    bool tty = false;
    bool trace_system_calls = false;
    uint64_t test_tick_hz = 0, test_fail_allocation = 0;
    TestBug test_bug = TestBug::kNone;
    core::Vector<core::String> environment;
    core::Vector<core::String> arguments;  // the first program's argv
};

// Only the keys that are needed before memory can be allocated: log level, TSC frequency, and the defences that are
// switched off (core/weakness.h).
struct EarlyOptions {
    core::klog::Level log_level = core::klog::Level::kWarn;
    uint64_t tsc_khz = 0;
    std::string_view weaken;
};
EarlyOptions parse_early(std::string_view command_line);

// Unknown keys are logged once and ignored; malformed values too, with what was expected. ENOMEM.
Result<Options> parse(std::string_view command_line);

}  // namespace boot
