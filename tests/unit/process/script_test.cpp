#include "process/script.h"

#include <gtest/gtest.h>

#include <string>

using namespace process;

namespace {

TEST(Script, TakesInterpreterAndOneArgument) {
    auto line = parse_script("#!/bin/sh\necho\n");
    ASSERT_TRUE(line);
    EXPECT_EQ(line->interpreter, "/bin/sh");
    EXPECT_FALSE(line->has_argument);

    line = parse_script("#! \t/usr/bin/env  -S  a b \t\n");
    ASSERT_TRUE(line);
    EXPECT_EQ(line->interpreter, "/usr/bin/env");
    EXPECT_EQ(line->argument, "-S  a b");
    EXPECT_TRUE(line->has_argument);
}

TEST(Script, WorksWithoutEndOfLine) {
    auto line = parse_script("#!/bin/sh");
    ASSERT_TRUE(line);
    EXPECT_EQ(line->interpreter, "/bin/sh");
}

TEST(Script, NeedsAnInterpreter) {
    for (const char* text : {"#!", "#!\n", "#!  \t \n", "#!   "}) {
        EXPECT_EQ(parse_script(text).error(), Errno::kNoExec) << text;
    }
}

TEST(Script, CutsArgumentsButNotPaths) {
    std::string head = "#!/bin/sh " + std::string(300, 'a');
    auto line = parse_script(std::string_view(head).substr(0, kExecHeadSize));
    ASSERT_TRUE(line);
    EXPECT_EQ(line->interpreter, "/bin/sh");
    EXPECT_EQ(line->argument.size(), kExecHeadSize - 10);

    std::string path = "#!/" + std::string(300, 'a');
    EXPECT_EQ(parse_script(std::string_view(path).substr(0, kExecHeadSize)).error(), Errno::kNoExec);
}

TEST(Script, StopsAtNul) {
    using namespace std::literals;
    auto line = parse_script("#!/bin/sh\0 -x\n"sv);
    ASSERT_TRUE(line);
    EXPECT_EQ(line->interpreter, "/bin/sh");
    EXPECT_FALSE(line->has_argument);
}

}  // namespace
