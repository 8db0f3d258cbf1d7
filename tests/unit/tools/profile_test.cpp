#include <gtest/gtest.h>

#include "profile/call_tree.h"
#include "profile/flame_graph.h"
#include "profile/symbols.h"
#include "support/failure.h"
#include "test_files.h"

namespace tool {
namespace {

using testing::Scratch;

TEST(SymbolTable, NamesFunctionsOfALibraryWithoutDebugSymbols) {
    const std::string libc = read_file("/lib/x86_64-linux-gnu/libc.so.6");
    const SymbolTable symbols(libc);
    EXPECT_FALSE(symbols.empty());
    EXPECT_EQ(symbols.find(0), "");
}

TEST(SymbolTable, DamagedFilesAreHarmless) {
    const std::string good = read_file("/proc/self/exe");
    EXPECT_TRUE(SymbolTable("").empty());
    EXPECT_TRUE(SymbolTable("no ELF file at all, but long enough for a header of one, is this line").empty());
    for (size_t length = 0; length < 4096; length += 61) SymbolTable(std::string_view(good).substr(0, length));
}

/// A kernel block that calls from node 1, one that runs under it, and a block of an unknown program.
void write_trace(const fs::path& file) {
    write_file(file,
               "b ffffffff80001000 4 -1\n"
               "b ffffffff80002000 3 -1\n"
               "b 401000 2 0\n"
               "n 0 0\n"
               "n 1 0\n"
               "n 0 2\n"
               "c 1 0 10\n"
               "c 2 1 5\n"
               "c 0 2 7\n"
               "c 3 1 1\n");
    write_file(file.string() + ".pages", std::string(4096, '\x90'));
}

TEST(Profile, CountsInstructionsUnderTheirCallers) {
    Scratch scratch;
    write_trace(scratch / "trace");
    const Trace trace = read_trace(scratch / "trace");
    const CallTree tree = build_call_tree(trace, CodePlaces(Tree(), "", trace));
    EXPECT_EQ(tree.root.total, 10u * 4 + 5 * 3 + 7 * 2 + 1 * 3);
    const CallTree::Frame& boot = tree.root.callees.at("boot");
    EXPECT_EQ(boot.total, 10u * 4 + 5 * 3);
    const CallTree::Frame& caller = boot.callees.at("[kernel]");
    EXPECT_EQ(caller.own, 10u * 4);
    EXPECT_EQ(caller.callees.at("[kernel]").own, 5u * 3);
    const CallTree::Frame& program = tree.root.callees.at("a program");
    EXPECT_EQ(program.total, 7u * 2 + 1 * 3);
    EXPECT_NE(function_table(tree, "instructions").find("instructions since: 17"), std::string::npos);
}

TEST(Profile, ThePictureEscapesNames) {
    CallTree tree;
    tree.root.total = 100;
    tree.root.callees.emplace("a<b>&", CallTree::Frame{.name = "a<b>&", .object = "kernel", .own = 100, .total = 100});
    const std::string svg = flame_graph(tree, "x < y", "instructions");
    EXPECT_NE(svg.find("a&lt;b&gt;&amp;"), std::string::npos);
    EXPECT_EQ(svg.find("a<b>"), std::string::npos);
    EXPECT_NE(svg.find("100 instructions, 100.00%, 100 of them its own"), std::string::npos);
}

TEST(Profile, DamagedTracesAreRefused) {
    Scratch scratch;
    EXPECT_THROW(read_trace(scratch / "none"), Failure);
    write_file(scratch / "trace.pages", "");
    for (const char* text : {"b 401000 2 0\n", "b ffffffff80001000 4 -1\nc 0 1 1\n", "c 9 0 1\n",
                             "b ffffffff80001000 4 -1\nn 0 0\nn 7 0\n"}) {
        write_file(scratch / "trace", text);
        EXPECT_THROW(read_trace(scratch / "trace"), Failure) << text;
    }
}

}  // namespace
}  // namespace tool
