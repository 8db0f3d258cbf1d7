// What the profiler's plugin writes when QEMU ends (tools/profile_plugin/plugin.cpp).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tool {

/// FILE is text, one record a line, the rest lies in FILE.pages:
///     b ADDRESS INSTRUCTIONS PAGE      a translation block, numbered from 0; ADDRESS is hexadecimal
///     n PARENT BLOCK                   a node of the tree of calls, numbered from 1: PARENT, called from BLOCK
///     c NODE BLOCK EXECUTIONS          how often BLOCK ran under NODE
/// Node 0 is no call at all, node 1 all that ran before the first program. FILE.pages holds the pages of 4096 bytes
/// that programs' blocks lie in.
struct Trace {
    static constexpr uint32_t kNoCall = 0;
    static constexpr uint32_t kBoot = 1;

    struct Block {
        uint64_t address;
        uint32_t instructions;
        int32_t page;  // -1: the kernel's
    };
    struct Node {
        uint32_t parent;
        uint32_t block;
    };
    struct Count {
        uint32_t node;
        uint32_t block;
        uint64_t executions;
    };
    std::vector<Block> blocks;
    std::vector<Node> nodes;  // that of number 0 is a filler
    std::vector<Count> counts;
    std::vector<std::string> pages;
};

/// Throws Failure if the files are missing or damaged.
Trace read_trace(const std::filesystem::path& file);

}  // namespace tool
