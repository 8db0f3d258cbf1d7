#include <gtest/gtest.h>

#include "debian/root_builder.h"
#include "elf/closure.h"
#include "elf/elf_file.h"
#include "cli/preflight.h"
#include "support/failure.h"
#include "test_files.h"

namespace tool {
namespace {

TEST(ElfFile, ReadsADynamicProgramOfTheHost) {
    std::optional<ElfFile> elf = parse_elf(read_file("/bin/ls"));
    ASSERT_TRUE(elf);
    EXPECT_EQ(elf->interpreter, "/lib64/ld-linux-x86-64.so.2");
    EXPECT_TRUE(elf->is_executable);
    EXPECT_NE(std::find(elf->needed.begin(), elf->needed.end(), "libc.so.6"), elf->needed.end());
}

TEST(ElfFile, ReadsALibrary) {
    std::optional<ElfFile> elf = parse_elf(read_file("/lib/x86_64-linux-gnu/libc.so.6"));
    ASSERT_TRUE(elf);
    EXPECT_EQ(elf->soname, "libc.so.6");
}

TEST(ElfFile, BrokenFilesAreRefusedOrHarmless) {
    const std::string good = read_file("/bin/true");
    EXPECT_FALSE(parse_elf(""));
    EXPECT_FALSE(parse_elf("#!/bin/sh\n"));
    for (size_t length : {1, 16, 63, 64, 100, 500}) EXPECT_FALSE(parse_elf(std::string_view(good).substr(0, length)));
    for (size_t length = 600; length < good.size(); length += 97) parse_elf(std::string_view(good).substr(0, length));
    for (size_t at = 0; at < 2000 && at < good.size(); ++at) {
        std::string bad = good;
        bad[at] = '\xff';
        parse_elf(bad);
    }
}

Tree tree_with(const std::string& program) {
    Tree tree;
    tree.add("/bin/program", Node::file(read_file(program), {.mode = 0755}));
    return tree;
}

TEST(Closure, NamesLoaderAndLibraries) {
    Tree tree = tree_with("/bin/ls");
    std::vector<std::string> names;
    for (const MissingLibrary& missing : find_missing_libraries(tree, {"/bin/program"})) names.push_back(missing.name);
    ASSERT_GE(names.size(), 2u);
    EXPECT_EQ(names[0], "/lib64/ld-linux-x86-64.so.2");
    EXPECT_NE(std::find(names.begin(), names.end(), "libc.so.6"), names.end());
}

TEST(Closure, FollowsLibrariesAndLinks) {
    Tree tree = tree_with("/bin/true");
    for (const MissingLibrary& missing : find_missing_libraries(tree, {"/bin/program"})) {
        const std::string host = missing.kind == MissingKind::Loader ? missing.name
                                                                     : "/lib/x86_64-linux-gnu/" + missing.name;
        tree.add(missing.kind == MissingKind::Loader ? missing.name : "/usr/lib/" + missing.name,
                 Node::file(read_file(host), {.mode = 0755}));
    }
    EXPECT_TRUE(find_missing_libraries(tree, {"/bin/program"}).empty());
    EXPECT_EQ(check_program(tree, "program", {"PATH=/nowhere:/bin"}), ProgramCheck::Fine);
    EXPECT_EQ(check_program(tree, "program", {"PATH=/nowhere"}), ProgramCheck::NotFound);
    EXPECT_EQ(check_program(tree, "/bin/other", {}), ProgramCheck::NotFound);
}

TEST(Closure, ScriptsNeedTheirInterpreter) {
    Tree tree;
    tree.add("/run.sh", Node::file("#! /bin/dash -e\necho\n", {.mode = 0755}));
    auto missing = find_missing_libraries(tree, {"/run.sh"});
    ASSERT_EQ(missing.size(), 1u);
    EXPECT_EQ(missing[0].name, "/bin/dash");
    EXPECT_EQ(missing[0].kind, MissingKind::ScriptInterpreter);
}

TEST(Preflight, SaysWhatIsMissing) {
    try {
        check_program(tree_with("/bin/ls"), "/bin/program", {});
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_NE(std::string(failure.what()).find("libc.so.6"), std::string::npos);
        EXPECT_FALSE(failure.hint().empty());
    }
}

TEST(Preflight, ImageMustFitIntoMemory) {
    EXPECT_NO_THROW(check_memory(10 << 20, 48 << 20));
    EXPECT_THROW(check_memory(60 << 20, 64 << 20), Failure);
}

TEST(LikelyProviders, DebianNamingComesFirst) {
    const std::vector<PackageFile> packages = {
        {.name = "iproute2"}, {.name = "libc6"}, {.name = "zlib1g"}, {.name = "libssl3"}, {.name = "libpcre2-8-0"}};
    EXPECT_EQ(likely_providers("libssl.so.3", packages).front().name, "libssl3");
    EXPECT_EQ(likely_providers("libpcre2-8.so.0", packages).front().name, "libpcre2-8-0");
    EXPECT_EQ(likely_providers("/lib64/ld-linux-x86-64.so.2", packages).front().name, "libc6");
    EXPECT_EQ(likely_providers("libz.so.1", packages).front().name, "zlib1g");
    EXPECT_EQ(likely_providers("libz.so.1", packages).back().name, "iproute2");
}

TEST(LikelyProviders, NamesArePackageNames) {
    const std::vector<PackageFile> packages = {{.name = "libgssapi-krb5-2"}, {.name = "libssl3"}, {.name = "libllvm14"}};
    EXPECT_EQ(likely_providers("libgssapi_krb5.so.2", packages).front().name, "libgssapi-krb5-2");
    EXPECT_EQ(likely_providers("libcrypto.so.3", packages).front().name, "libssl3");
}

TEST(LikelyProviders, ThenThoseWithTheLongestCommonBeginning) {
    const std::vector<PackageFile> packages = {
        {.name = "perl"}, {.name = "libz3-4"}, {.name = "libc6"}, {.name = "libicu72"}};
    EXPECT_EQ(likely_providers("libicuuc.so.72", packages).front().name, "libicu72");
    EXPECT_EQ(likely_providers("libicuuc.so.72", packages).back().name, "perl");
    EXPECT_EQ(likely_providers(".so.1", packages).size(), packages.size());
}

}  // namespace
}  // namespace tool
