#include "profile/trace.h"

#include <cstdio>
#include <memory>

#include "support/failure.h"
#include "support/files.h"

namespace tool {

namespace {

constexpr size_t kPageSize = 4096;

void check(const Trace& trace, const std::filesystem::path& file) {
    auto block_exists = [&](uint32_t block) { return block < trace.blocks.size(); };
    bool right = true;
    for (const Trace::Block& block : trace.blocks)
        right = right && block.page < static_cast<int64_t>(trace.pages.size());
    for (size_t i = 2; i < trace.nodes.size(); ++i)
        right = right && trace.nodes[i].parent < i && block_exists(trace.nodes[i].block);
    for (const Trace::Count& count : trace.counts)
        right = right && count.node < trace.nodes.size() && block_exists(count.block);
    if (!right) throw Failure("the profile in " + file.string() + " is damaged");
}

}  // namespace

Trace read_trace(const std::filesystem::path& file) {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> in(std::fopen(file.c_str(), "re"), std::fclose);
    if (!in) throw Failure("QEMU has left no profile", "see what it said above");
    Trace trace;
    trace.nodes.push_back({});
    char line[128];
    while (std::fgets(line, sizeof line, in.get())) {
        Trace::Block block;
        Trace::Node node;
        Trace::Count count;
        if (std::sscanf(line, "b %lx %u %d", &block.address, &block.instructions, &block.page) == 3) {
            trace.blocks.push_back(block);
        } else if (std::sscanf(line, "n %u %u", &node.parent, &node.block) == 2) {
            trace.nodes.push_back(node);
        } else if (std::sscanf(line, "c %u %u %lu", &count.node, &count.block, &count.executions) == 3) {
            trace.counts.push_back(count);
        }
    }
    const std::string pages = read_file(file.string() + ".pages");
    for (size_t at = 0; at + kPageSize <= pages.size(); at += kPageSize) trace.pages.push_back(pages.substr(at, kPageSize));
    check(trace, file);
    return trace;
}

}  // namespace tool
