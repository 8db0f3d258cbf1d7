#include <gtest/gtest.h>

#include "debian/deb_archive.h"
#include "debian/root_builder.h"
#include "relay/log_filter.h"
#include "support/failure.h"
#include "test_files.h"

namespace tool {
namespace {

using testing::Scratch;

/// A package made by Debian's own tool, with the compression that is asked for.
fs::path build_deb(const Scratch& scratch, const std::string& compression) {
    const fs::path root = scratch / "package";
    write_file(root / "DEBIAN/control",
               "Package: sample\nVersion: 1\nArchitecture: amd64\nMaintainer: none <none@localhost>\nDescription: sample\n");
    write_file(root / "bin/program", "#!/bin/sh\n");
    fs::permissions(root / "bin/program", fs::perms(04755));
    write_file(root / "usr/share/doc/sample/copyright", "text");
    fs::create_directories(root / "usr/lib");
    write_file(root / "usr/lib/libsample.so.1.2", "library");
    fs::create_symlink("libsample.so.1.2", root / "usr/lib/libsample.so.1");
    fs::create_hard_link(root / "usr/lib/libsample.so.1.2", root / "usr/lib/hard");
    const fs::path deb = scratch / ("sample-" + compression + ".deb");
    CommandResult built = run_command_line({"dpkg-deb", "-Z" + compression, "--root-owner-group", "--build",
                                            root.string(), deb.string()});
    EXPECT_TRUE(built.ok()) << built.errors;
    return deb;
}

TEST(DebArchive, KeepsWhatThePackageSays) {
    if (!testing::has_program("dpkg-deb")) GTEST_SKIP() << "dpkg is not installed";
    for (const char* compression : {"xz", "gzip", "zstd", "none"}) {
        Scratch scratch;
        Tree tree = merged_usr_root();
        add_deb(tree, build_deb(scratch, compression), documentation_patterns());
        std::shared_ptr<Node> program = tree.find("/usr/bin/program");
        ASSERT_TRUE(program) << compression;
        EXPECT_EQ(program->meta.mode, 04755u);
        EXPECT_EQ(program->meta.uid, 0u);
        EXPECT_EQ(program->data, "#!/bin/sh\n");
        EXPECT_EQ(tree.canonical("/lib/libsample.so.1"), "/usr/lib/libsample.so.1.2");
        EXPECT_EQ(tree.find("/usr/lib/hard"), tree.find("/usr/lib/libsample.so.1.2"));
        EXPECT_FALSE(tree.find("/usr/share/doc/sample/copyright")) << "documentation is left out";
        EXPECT_EQ(tree.find("/bin", FollowLast::No)->type, NodeType::Symlink);
    }
}

TEST(DebArchive, RefusesWhatIsNoPackage) {
    Scratch scratch;
    write_file(scratch / "text.deb", "this is no package");
    Tree tree;
    EXPECT_THROW(add_deb(tree, scratch / "text.deb"), Failure);
    EXPECT_THROW(add_deb(tree, scratch / "missing.deb"), Failure);
    if (!testing::has_program("dpkg-deb")) return;
    const std::string good = read_file(build_deb(scratch, "xz"));
    for (size_t length = 0; length < good.size(); length += good.size() / 20) {
        write_file(scratch / "cut.deb", good.substr(0, length));
        EXPECT_THROW(add_deb(tree, scratch / "cut.deb"), Failure) << length;
    }
}

TEST(LogFilter, MakesLinesOfPieces) {
    Scratch scratch;
    std::FILE* file = std::fopen((scratch / "out").c_str(), "w");
    LogFilter filter(nullptr, file);
    filter.feed("[0.1] wa");
    filter.feed("rn: one\r\n[0.2] error: two\n");
    filter.finish();
    filter.finish();
    std::fclose(file);
    EXPECT_EQ(read_file(scratch / "out"), "kernel: [0.1] warn: one\nkernel: [0.2] error: two\n");
}

TEST(LogFilter, ShowsTheEndOfALogThatWentToAFile) {
    Scratch scratch;
    std::FILE* log = std::fopen((scratch / "log").c_str(), "w");
    std::FILE* errors = std::fopen((scratch / "errors").c_str(), "w");
    LogFilter filter(log, errors);
    for (int i = 0; i < 100; ++i) filter.feed(std::to_string(i) + "\n");
    filter.show_tail();
    std::fclose(log);
    std::fclose(errors);
    const std::string shown = read_file(scratch / "errors");
    EXPECT_TRUE(shown.ends_with("kernel: 98\nkernel: 99\n"));
    EXPECT_EQ(shown.find("kernel: 10\n"), std::string::npos);
}

}  // namespace
}  // namespace tool
