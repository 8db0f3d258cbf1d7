// Path resolution, permissions, mounts.
#include "tree_fixture.h"

namespace fs_test {
namespace {

class Paths : public Tree {};

TEST_F(Paths, ComponentsDotsAndSlashes) {
    EXPECT_EQ(mkdir("/a"), kOk);
    EXPECT_EQ(mkdir("/a/b"), kOk);
    EXPECT_EQ(make_file("/a/b/c", "text"), kOk);
    EXPECT_EQ(path_of("//a///b/.//c"), "/a/b/c");
    EXPECT_EQ(path_of("/a/b/../../a/./b/.."), "/a");
    EXPECT_EQ(path_of("/../.."), "/");
    EXPECT_EQ(lookup_error("/a/b/c/"), Errno::kNotDir);
    EXPECT_EQ(lookup_error("/a/b/c/d"), Errno::kNotDir);
    EXPECT_EQ(lookup_error("/a/b/c/."), Errno::kNotDir);
    EXPECT_EQ(lookup_error("/a/b/c/.."), Errno::kNotDir);
    EXPECT_EQ(lookup_error("/a/x"), Errno::kNoEnt);
    EXPECT_EQ(lookup_error("/a/x/.."), Errno::kNoEnt);
    EXPECT_EQ(lookup_error(""), Errno::kNoEnt);
    EXPECT_EQ(lookup_error(std::string(256, 'n')), Errno::kNameTooLong);
    EXPECT_EQ(lookup_error(std::string(255, 'n')), Errno::kNoEnt);
    EXPECT_EQ(content("a/b/c"), "text");
}

TEST_F(Paths, NegativeEntriesVanishOnCreation) {
    for (int i = 0; i < 3; i++) EXPECT_EQ(lookup_error("/new"), Errno::kNoEnt);
    EXPECT_EQ(make_file("/new"), kOk);
    EXPECT_EQ(lookup_error("/new"), kOk);
    EXPECT_EQ(unlink("/new"), kOk);
    EXPECT_EQ(lookup_error("/new"), Errno::kNoEnt);
    EXPECT_EQ(mkdir("/new"), kOk);
    EXPECT_EQ(lookup_error("/new/"), kOk);
    EXPECT_EQ(lookup_error("/target"), Errno::kNoEnt);
    EXPECT_EQ(rename("/new", "/target"), kOk);
    EXPECT_EQ(lookup_error("/new"), Errno::kNoEnt);
    EXPECT_EQ(lookup_error("/target"), kOk);
}

TEST_F(Paths, SymbolicLinks) {
    EXPECT_EQ(mkdir("/real"), kOk);
    EXPECT_EQ(make_file("/real/file", "x"), kOk);
    EXPECT_EQ(symlink("real", "/relative"), kOk);
    EXPECT_EQ(symlink("/real", "/absolute"), kOk);
    EXPECT_EQ(symlink("../real/file", "/real/up"), kOk);
    EXPECT_EQ(symlink("relative/", "/twice"), kOk);
    EXPECT_EQ(symlink("nowhere", "/dangling"), kOk);
    EXPECT_EQ(path_of("/relative/file"), "/real/file");
    EXPECT_EQ(path_of("/absolute/./file"), "/real/file");
    EXPECT_EQ(content("/relative/up"), "x");
    EXPECT_EQ(path_of("/twice/file"), "/real/file");
    EXPECT_EQ(path_of("/twice"), "/twice");
    EXPECT_EQ(path_of("/twice/"), "/real");
    EXPECT_EQ(path_of("/relative/.."), "/");
    EXPECT_EQ(lookup_error("/dangling"), Errno::kNoEnt);
    EXPECT_EQ(error_of(open("/relative", fs::kORdOnly | fs::kONoFollow)), Errno::kLoop);
    EXPECT_EQ(error_of(open("/dangling", fs::kORdOnly | fs::kOCreat | fs::kOExcl)), Errno::kExist);
    EXPECT_EQ(error_of(open("/dangling", fs::kOWrOnly | fs::kOCreat)), kOk);
    EXPECT_EQ(attributes("/nowhere").type, fs::FileType::kRegular);
    EXPECT_EQ(attributes("/dangling").size, 7u);
}

TEST_F(Paths, LoopsAndLongChains) {
    EXPECT_EQ(symlink("loop", "/loop"), kOk);
    EXPECT_EQ(lookup_error("/loop"), Errno::kLoop);
    EXPECT_EQ(lookup_error("/loop/x"), Errno::kLoop);
    EXPECT_EQ(make_file("/link0"), kOk);
    for (int i = 1; i <= 41; i++)
        EXPECT_EQ(symlink("link" + std::to_string(i - 1), "/link" + std::to_string(i)), kOk);
    EXPECT_EQ(lookup_error("/link40"), kOk);
    EXPECT_EQ(lookup_error("/link41"), Errno::kLoop);
}

TEST_F(Paths, WorkingDirectoryAndRoot) {
    EXPECT_EQ(mkdir("/jail"), kOk);
    EXPECT_EQ(mkdir("/jail/inner"), kOk);
    EXPECT_EQ(symlink("/inner", "/jail/link"), kOk);
    context->set_working_directory(find("/jail/inner"));
    EXPECT_EQ(path_of(".."), "/jail");
    context->set_root(find("/jail"));
    EXPECT_EQ(path_of("/inner"), "/inner");
    EXPECT_EQ(path_of("../../../.."), "/");
    EXPECT_EQ(path_of("/link/"), "/inner");
    fs::Path outside = root;
    EXPECT_EQ(outside.to_string(context->root())->view(), "(unreachable)/");
    context->set_root(root);
    EXPECT_EQ(rmdir("/jail/inner"), kOk);
    EXPECT_EQ(context->working_directory().to_string(root)->view(), "/jail/inner (deleted)");
    EXPECT_EQ(make_file("here"), Errno::kNoEnt);
    EXPECT_EQ(path_of(".."), "/jail");
}

TEST_F(Paths, DescriptorStart) {
    EXPECT_EQ(mkdir("/d"), kOk);
    EXPECT_EQ(make_file("/d/f", "in d"), kOk);
    auto at = request();
    at.start = *open("/d", fs::kOPath);
    EXPECT_TRUE(fs::lookup("f", at));
    EXPECT_TRUE(fs::lookup("/d/f", at));
    at.start = *open("/d/f", fs::kORdOnly);
    EXPECT_EQ(fs::lookup("f", at).error(), Errno::kNotDir);
    at.empty_path = true;
    EXPECT_EQ(fs::lookup("", at)->inode().attributes().size, 4u);
}

TEST_F(Paths, Permissions) {
    EXPECT_EQ(mkdir("/closed", 0700), kOk);
    EXPECT_EQ(make_file("/closed/f"), kOk);
    EXPECT_EQ(mkdir("/sticky", 0777), kOk);
    fs::AttributeChange mode;
    mode.set_permissions = true;
    mode.permissions = 01777;
    EXPECT_EQ(change("/sticky", mode), kOk);
    EXPECT_EQ(make_file("/sticky/root"), kOk);
    EXPECT_EQ(make_file("/readable"), kOk);

    identity = {1000, 1000, nullptr, 0};
    EXPECT_EQ(lookup_error("/closed/f"), Errno::kAcces);
    EXPECT_EQ(lookup_error("/closed/.."), Errno::kAcces);
    EXPECT_EQ(make_file("/mine"), Errno::kAcces);
    EXPECT_EQ(error_of(open("/readable", fs::kOWrOnly)), Errno::kAcces);
    EXPECT_EQ(error_of(open("/readable", fs::kORdOnly)), kOk);
    EXPECT_EQ(error_of(open("/readable", fs::kORdOnly | fs::kOTrunc)), Errno::kAcces);
    EXPECT_EQ(make_file("/sticky/mine"), kOk);
    EXPECT_EQ(unlink("/sticky/root"), Errno::kPerm);
    EXPECT_EQ(rename("/sticky/root", "/sticky/x"), Errno::kPerm);
    EXPECT_EQ(change("/readable", mode), Errno::kPerm);
    EXPECT_EQ(unlink("/sticky/mine"), kOk);
    identity = {0, 0, nullptr, 0};
    EXPECT_EQ(fs::check_access(find("/readable").inode(), fs::kAccessExecute, identity).error(), Errno::kAcces);
    EXPECT_EQ(lookup_error("/closed/f"), kOk);
}

TEST_F(Paths, SetIdBitsAndGroups) {
    EXPECT_EQ(mkdir("/shared", 0777), kOk);
    fs::AttributeChange owner;
    owner.set_gid = true;
    owner.gid = 50;
    EXPECT_EQ(change("/shared", owner), kOk);
    fs::AttributeChange mode;
    mode.set_permissions = true;
    mode.permissions = 02777;
    EXPECT_EQ(change("/shared", mode), kOk);
    identity = {1000, 1000, nullptr, 0};
    EXPECT_EQ(mkdir("/shared/sub"), kOk);
    EXPECT_EQ(attributes("/shared/sub").gid, 50u);
    EXPECT_EQ(attributes("/shared/sub").permissions, 02755);
    EXPECT_EQ(make_file("/shared/file"), kOk);
    EXPECT_EQ(attributes("/shared/file").gid, 50u);
    mode.permissions = 06755;
    EXPECT_EQ(change("/shared/file", mode), kOk);
    EXPECT_EQ(attributes("/shared/file").permissions, 04755);  // not in group 50
    identity = {0, 0, nullptr, 0};
    owner.gid = 60;
    EXPECT_EQ(change("/shared/file", owner), kOk);
    EXPECT_EQ(attributes("/shared/file").permissions, 0755);
}

TEST_F(Paths, Mounts) {
    EXPECT_EQ(mkdir("/m"), kOk);
    EXPECT_EQ(make_file("/m/below"), kOk);
    EXPECT_TRUE(fs::mount(*fs::tmpfs::create(""), find("/m"), "tmpfs"));
    EXPECT_EQ(lookup_error("/m/below"), Errno::kNoEnt);
    EXPECT_EQ(make_file("/m/above", "1"), kOk);
    EXPECT_EQ(path_of("/m/above"), "/m/above");
    EXPECT_EQ(path_of("/m/.."), "/");
    EXPECT_EQ(rename("/m/above", "/elsewhere"), Errno::kXDev);
    EXPECT_EQ(link("/m/above", "/elsewhere"), Errno::kXDev);
    EXPECT_EQ(rmdir("/m"), Errno::kBusy);
    EXPECT_EQ(rename("/m", "/n"), Errno::kBusy);
    EXPECT_NE(attributes("/m").inode_number, 0u);
    EXPECT_NE(find("/m").inode().file_system().device_number(), find("/").inode().file_system().device_number());
    {
        auto held = open("/m/above", fs::kORdOnly);
        EXPECT_EQ(error_of(fs::unmount(find("/m"), false)), Errno::kBusy);
    }
    find("/m").mount->set_flags(fs::kMountReadOnly);
    EXPECT_EQ(make_file("/m/x"), Errno::kRoFs);
    EXPECT_EQ(error_of(open("/m/above", fs::kOWrOnly)), Errno::kRoFs);
    EXPECT_EQ(unlink("/m/above"), Errno::kRoFs);
    EXPECT_EQ(error_of(fs::unmount(find("/m"), false)), kOk);
    EXPECT_EQ(lookup_error("/m/below"), kOk);
    EXPECT_EQ(error_of(fs::unmount(find("/m"), false)), Errno::kInval);
    EXPECT_EQ(error_of(fs::unmount(find("/"), false)), Errno::kInval);
}

TEST_F(Paths, LazyUnmountKeepsOpenFiles) {
    EXPECT_EQ(mkdir("/m"), kOk);
    EXPECT_TRUE(fs::mount(*fs::tmpfs::create("size=1m,mode=700"), find("/m"), "tmpfs"));
    EXPECT_EQ(attributes("/m/").permissions, 0700);
    EXPECT_EQ(make_file("/m/f", "still here"), kOk);
    auto file = *open("/m/f", fs::kORdOnly);
    EXPECT_EQ(error_of(fs::unmount(find("/m"), true)), kOk);
    EXPECT_EQ(lookup_error("/m/f"), Errno::kNoEnt);
    EXPECT_EQ(read(*file, 100, 0), "still here");
    EXPECT_EQ(error_of(fs::tmpfs::create("size=lots")), Errno::kInval);
}

TEST_F(Paths, OpenFlags) {
    EXPECT_EQ(mkdir("/d"), kOk);
    EXPECT_EQ(make_file("/f", "12345"), kOk);
    EXPECT_EQ(error_of(open("/d", fs::kOWrOnly)), Errno::kIsDir);
    EXPECT_EQ(error_of(open("/d", fs::kORdOnly | fs::kOCreat)), Errno::kIsDir);
    EXPECT_EQ(error_of(open("/new/", fs::kORdOnly | fs::kOCreat)), Errno::kIsDir);
    EXPECT_EQ(error_of(open("/f", fs::kORdOnly | fs::kODirectory)), Errno::kNotDir);
    EXPECT_EQ(error_of(open("/f", fs::kOWrOnly | fs::kOCreat | fs::kOExcl)), Errno::kExist);
    EXPECT_EQ((*open("/f", fs::kORdWr | fs::kOCreat | fs::kOCloExec | fs::kOAppend))->flags(),
              fs::kORdWr | fs::kOAppend | fs::kOLargeFile);
    EXPECT_EQ(error_of(open("/f", fs::kOWrOnly | fs::kOTrunc)), kOk);
    EXPECT_EQ(attributes("/f").size, 0u);
    // A file without a name, which link() may give one.
    auto unnamed = open("/d", fs::kORdWr | fs::kOTmpFile, 0600);
    ASSERT_TRUE(unnamed);
    write(**unnamed, "anonymous");
    EXPECT_EQ((*unnamed)->attributes().link_count, 0u);
    EXPECT_EQ(names("/d").size(), 2u);
    EXPECT_EQ(error_of(fs::make_link(*(*unnamed)->path(), "/d/named", request())), kOk);
    EXPECT_EQ(content("/d/named"), "anonymous");
    // An unlinked file may not come back.
    auto gone = *open("/f", fs::kORdOnly);
    EXPECT_EQ(unlink("/f"), kOk);
    EXPECT_EQ(error_of(fs::make_link(*gone->path(), "/back", request())), Errno::kNoEnt);
}

TEST_F(Paths, RunningProgramsAreNotWritten) {
    EXPECT_EQ(make_file("/program"), kOk);
    fs::Path place = find("/program");
    ASSERT_TRUE(place.inode().begin_execution());
    EXPECT_EQ(error_of(open("/program", fs::kOWrOnly)), Errno::kTxtBsy);
    EXPECT_EQ(truncate("/program", 0), Errno::kTxtBsy);
    place.inode().end_execution();
    auto writer = open("/program", fs::kOWrOnly);
    EXPECT_EQ(error_of(place.inode().begin_execution()), Errno::kTxtBsy);
    writer->reset();
    EXPECT_TRUE(place.inode().begin_execution());
    place.inode().end_execution();
}

TEST_F(Paths, DeepTreesCostNoStack) {
    std::string path;
    context->set_working_directory(root);
    for (int i = 0; i < 20000; i++) {
        ASSERT_EQ(mkdir("d"), kOk);
        context->set_working_directory(find("d"));
    }
    EXPECT_EQ(context->working_directory().to_string(root).error(), Errno::kNameTooLong);
    context->set_working_directory(root);
    EXPECT_TRUE(rename("/d", "/moved") == kOk);
}

TEST_F(Paths, NamesThatARemovedDirectoryHadNotAreForgotten) {
    const size_t before = fs::dentry_statistics().cached;
    ASSERT_EQ(mkdir("/short-lived"), kOk);
    for (int i = 0; i < 10; i++) EXPECT_EQ(lookup_error("/short-lived/absent" + std::to_string(i)), Errno::kNoEnt);
    EXPECT_EQ(fs::dentry_statistics().cached, before + 11);
    ASSERT_EQ(rmdir("/short-lived"), kOk);
    EXPECT_EQ(fs::dentry_statistics().cached, before);
}

TEST_F(Paths, TheCacheIsBounded) {
    for (int i = 0; i < 12000; i++) EXPECT_EQ(lookup_error("/absent" + std::to_string(i)), Errno::kNoEnt);
    auto statistics = fs::dentry_statistics();
    EXPECT_LE(statistics.cached, statistics.limit + 64);
}

}  // namespace
}  // namespace fs_test
