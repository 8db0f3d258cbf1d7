#include "profile/call_tree.h"

#include <algorithm>
#include <cstdio>
#include <set>

namespace tool {

namespace {

constexpr size_t kMaxDepth = 200;  // of recursion that is shown

/// Functions from the outermost to the innermost.
std::vector<uint32_t> stack_of(const Trace& trace, const CodePlaces& places, const Trace::Count& count, bool& boot) {
    std::vector<uint32_t> stack = {places.of_blocks()[count.block]};
    uint32_t node = count.node;
    for (; node > Trace::kBoot && stack.size() < kMaxDepth; node = trace.nodes[node].parent)
        stack.push_back(places.of_blocks()[trace.nodes[node].block]);
    boot = node == Trace::kBoot;
    std::reverse(stack.begin(), stack.end());
    return stack;
}

std::string root_name(const std::vector<uint32_t>& stack, const CodePlaces& places, bool boot) {
    if (boot) return "boot";
    for (uint32_t function : stack)
        if (places.functions()[function].is_program) return places.functions()[function].object;
    return places.functions()[stack.front()].object == "kernel" ? "kernel" : "a program";
}

struct Line {
    uint64_t instructions;
    std::string name;
};

void add_functions(const CallTree::Frame& frame, std::set<std::string>& above, std::map<std::string, uint64_t>& own,
                   std::map<std::string, uint64_t>& total) {
    const std::string name = frame.object == "kernel" ? frame.name : frame.name + " (" + frame.object + ")";
    own[name] += frame.own;
    const bool outermost = above.insert(name).second;  // recursion counts once
    if (outermost) total[name] += frame.total;
    for (const auto& [key, callee] : frame.callees) add_functions(callee, above, own, total);
    if (outermost) above.erase(name);
}

void print(std::string& out, const std::string& title, const std::map<std::string, uint64_t>& counts, uint64_t all) {
    std::vector<Line> lines;
    for (const auto& [name, instructions] : counts)
        if (instructions) lines.push_back({instructions, name});
    std::stable_sort(lines.begin(), lines.end(),
                     [](const Line& a, const Line& b) { return a.instructions > b.instructions; });
    out += "\n" + title + "\n";
    char text[64];
    for (const Line& line : lines) {
        std::snprintf(text, sizeof text, "%14lu %6.2f%%  ", line.instructions,
                      100.0 * static_cast<double>(line.instructions) / static_cast<double>(all));
        out += text + line.name + "\n";
    }
}

}  // namespace

CallTree build_call_tree(const Trace& trace, const CodePlaces& places) {
    CallTree tree;
    for (const Trace::Count& count : trace.counts) {
        const uint64_t instructions = count.executions * trace.blocks[count.block].instructions;
        bool boot = false;
        const std::vector<uint32_t> stack = stack_of(trace, places, count, boot);
        CallTree::Frame* frame = &tree.root;
        frame->total += instructions;
        const std::string root = root_name(stack, places, boot);
        frame = &frame->callees.try_emplace(root, CallTree::Frame{.name = root, .object = root}).first->second;
        frame->total += instructions;
        for (uint32_t number : stack) {
            const Function& function = places.functions()[number];
            frame = &frame->callees
                         .try_emplace(function.name, CallTree::Frame{.name = function.name, .object = function.object})
                         .first->second;
            frame->total += instructions;
        }
        frame->own += instructions;
    }
    return tree;
}

std::string function_table(const CallTree& tree, const std::string& unit) {
    std::map<std::string, uint64_t> own, total;
    uint64_t boot = 0;
    for (const auto& [name, frame] : tree.root.callees) {
        if (name == "boot") {
            boot = frame.total;
            continue;
        }
        std::set<std::string> above;
        for (const auto& [key, callee] : frame.callees) add_functions(callee, above, own, total);
    }
    const uint64_t all = tree.root.total - boot;
    std::string out = unit + " before the first program: " + std::to_string(boot) + "\n" + unit +
                      " since: " + std::to_string(all) + "\n";
    print(out, "By function, since the first program (kernel functions have no file behind their name):", own, all);
    print(out, "By function with all that it called:", total, all);
    return out;
}

}  // namespace tool
