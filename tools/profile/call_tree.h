// Counted instructions as a tree of functions: who called whom, and what each call took.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "profile/places_of_code.h"
#include "profile/trace.h"

namespace tool {

struct CallTree {
    struct Frame {
        std::string name;
        std::string object;
        uint64_t own = 0;    // instructions in the function itself
        uint64_t total = 0;  // and in what it called
        std::map<std::string, Frame> callees;  // by name
    };
    /// Below the root: "boot" (all before the first program), "kernel" (threads of its own, idle) and one frame for
    /// each program; kernel functions stand above the program's function that called them.
    Frame root{.name = "all", .object = ""};
};

CallTree build_call_tree(const Trace& trace, const CodePlaces& places);

/// Each function with its share, by what it took itself, and once more with all it called; boot stands apart. `unit` is
/// "instructions" or "samples".
std::string function_table(const CallTree& tree, const std::string& unit);

}  // namespace tool
