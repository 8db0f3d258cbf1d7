// Renames, links and listings; allocation failures.
#include "fs/device.h"
#include "tree_fixture.h"

#include <map>
#include <random>
#include <set>

namespace fs_test {
namespace {

constexpr unsigned kNoReplace = 1, kExchange = 2;
class Names : public Tree {};

TEST_F(Names, RenameReplacesAndRefuses) {
    make_file("/a", "a");
    make_file("/b", "b");
    mkdir("/d");
    mkdir("/e");
    make_file("/e/x");
    EXPECT_EQ(rename("/a", "/b", kNoReplace), Errno::kExist);
    EXPECT_EQ(rename("/a", "/b"), kOk);
    EXPECT_EQ(content("/b"), "a");
    EXPECT_EQ(lookup_error("/a"), Errno::kNoEnt);
    EXPECT_EQ(rename("/b", "/d"), Errno::kIsDir);
    EXPECT_EQ(rename("/d", "/b"), Errno::kNotDir);
    EXPECT_EQ(rename("/d", "/e"), Errno::kNotEmpty);
    EXPECT_EQ(rename("/e", "/d"), kOk);
    EXPECT_EQ(lookup_error("/d/x"), kOk);
    EXPECT_EQ(rename("/d", "/d/inside"), Errno::kInval);
    EXPECT_EQ(mkdir("/d/sub"), kOk);
    EXPECT_EQ(rename("/d/sub", "/d"), Errno::kNotEmpty);
    EXPECT_EQ(rename("/d", "/d/sub/deeper"), Errno::kInval);
    EXPECT_EQ(rename("/missing", "/q"), Errno::kNoEnt);
    EXPECT_EQ(rename("/b/", "/q"), Errno::kNotDir);
    EXPECT_EQ(rename("/b", "/q/"), Errno::kNotDir);
    EXPECT_EQ(rename("/d/", "/dd/"), kOk);
    EXPECT_EQ(rename("/.", "/q"), Errno::kBusy);
    EXPECT_EQ(rename("/b", "/dd/.."), Errno::kBusy);
    EXPECT_EQ(rename("/b", "/c", 8), Errno::kInval);
    EXPECT_EQ(rename("/b", "/b"), kOk);
}

TEST_F(Names, RenameKeepsOpenAndCachedPlaces) {
    mkdir("/one");
    mkdir("/two");
    mkdir("/one/dir");
    make_file("/one/dir/f", "f");
    fs::Path held = find("/one/dir/f");
    uint32_t links_one = attributes("/one").link_count;
    EXPECT_EQ(rename("/one/dir", "/two/moved"), kOk);
    EXPECT_EQ(held.to_string(root)->view(), "/two/moved/f");
    EXPECT_EQ(path_of("/two/moved/.."), "/two");
    EXPECT_EQ(attributes("/one").link_count, links_one - 1);
    EXPECT_EQ(attributes("/two").link_count, 3u);
    EXPECT_EQ(content("/two/moved/f"), "f");
}

TEST_F(Names, Exchange) {
    make_file("/f", "file");
    mkdir("/p");
    mkdir("/p/d");
    make_file("/p/d/in");
    EXPECT_EQ(rename("/f", "/nothing", kExchange), Errno::kNoEnt);
    EXPECT_EQ(rename("/f", "/p/d", kExchange | kNoReplace), Errno::kInval);
    EXPECT_EQ(rename("/f", "/p/d", kExchange), kOk);
    EXPECT_EQ(content("/p/d"), "file");
    EXPECT_EQ(lookup_error("/f/in"), kOk);
    EXPECT_EQ(attributes("/p").link_count, 2u);
    EXPECT_EQ(attributes("/").link_count, 4u);
    EXPECT_EQ(path_of("/f/in"), "/f/in");
    EXPECT_EQ(rename("/p", "/p/d", kExchange), Errno::kInval);
}

TEST_F(Names, HardLinks) {
    make_file("/a", "shared");
    EXPECT_EQ(link("/a", "/b"), kOk);
    EXPECT_EQ(attributes("/b").link_count, 2u);
    EXPECT_EQ(attributes("/a").inode_number, attributes("/b").inode_number);
    EXPECT_EQ(rename("/a", "/b"), kOk);  // two names of one file: nothing happens
    EXPECT_EQ(lookup_error("/a"), kOk);
    EXPECT_EQ(unlink("/a"), kOk);
    EXPECT_EQ(content("/b"), "shared");
    EXPECT_EQ(attributes("/b").link_count, 1u);
    mkdir("/d");
    EXPECT_EQ(link("/d", "/dd"), Errno::kPerm);
    EXPECT_EQ(link("/b", "/d"), Errno::kExist);
    symlink("b", "/s");
    EXPECT_EQ(link("/s", "/t"), kOk);
    EXPECT_EQ(attributes("/t").type, fs::FileType::kSymlink);
}

TEST_F(Names, RemovalErrors) {
    mkdir("/d");
    make_file("/d/f");
    EXPECT_EQ(rmdir("/d"), Errno::kNotEmpty);
    EXPECT_EQ(rmdir("/d/f"), Errno::kNotDir);
    EXPECT_EQ(unlink("/d"), Errno::kIsDir);
    EXPECT_EQ(unlink("/d/f/"), Errno::kNotDir);
    EXPECT_EQ(rmdir("/d/."), Errno::kInval);
    EXPECT_EQ(rmdir("/d/.."), Errno::kNotEmpty);
    EXPECT_EQ(rmdir("/"), Errno::kBusy);
    EXPECT_EQ(unlink("/"), Errno::kIsDir);
    EXPECT_EQ(mkdir("/"), Errno::kExist);
    EXPECT_EQ(mkdir("/d/f/x"), Errno::kNotDir);
    EXPECT_EQ(mkdir("/d/."), Errno::kExist);
    EXPECT_EQ(mkdir("/new/"), kOk);
    EXPECT_EQ(error_of(fs::make_node("/fifo/", fs::FileType::kFifo, 0600, 0, request())), Errno::kNoEnt);
    EXPECT_EQ(error_of(fs::make_node("/fifo", fs::FileType::kFifo, 0600, 0, request())), kOk);
    EXPECT_EQ(error_of(fs::make_node("/null", fs::FileType::kCharacter, 0600, 0x103, request())), kOk);
    EXPECT_EQ(attributes("/null").device_number, 0x103u);
    EXPECT_EQ(unlink("/d/f"), kOk);
    auto held = *open("/d", fs::kORdOnly);
    EXPECT_EQ(rmdir("/d"), kOk);
    EXPECT_EQ(held->attributes().link_count, 0u);
}

TEST_F(Names, ListingsStayRightWhileNamesChange) {
    for (int i = 0; i < 50; i++) make_file("/f" + std::to_string(i));
    auto all = names("/", 7);
    EXPECT_EQ(all.size(), 52u);
    EXPECT_EQ(all[0], ".");
    EXPECT_EQ(all[1], "..");
    EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 52u);
    // rm -r reads some, removes them, reads on.
    auto file = *open("/", fs::kORdOnly | fs::kODirectory);
    struct Sink final : fs::DirectorySink {
        std::vector<std::string> names;
        bool entry(std::string_view name, uint64_t, fs::FileType, uint64_t) override {
            if (names.size() == 5) return false;
            names.push_back(std::string(name));
            return true;
        }
    };
    size_t removed = 0;
    for (;;) {
        Sink sink;
        ASSERT_TRUE(file->read_directory(sink));
        if (sink.names.empty()) break;
        for (auto& name : sink.names) {
            if (name[0] != 'f') continue;
            EXPECT_EQ(unlink("/" + name), kOk);
            removed++;
        }
    }
    EXPECT_EQ(removed, 50u);
    EXPECT_EQ(names("/").size(), 2u);
}

// Tables number their entries from 0: the last of two ends at the number of "..".
TEST_F(Names, ListingsOfTablesEnd) {
    fs::Path before = root;
    use_root(*fs::make_root(*fs::create_sys_file_system()));
    for (size_t at_a_time : {1, 2, 3, 4, 1000}) {
        EXPECT_EQ(names("/devices/system", at_a_time), (std::vector<std::string>{".", "..", "cpu", "node"}));
        EXPECT_EQ(names("/devices", at_a_time), (std::vector<std::string>{".", "..", "system"}));
    }
    use_root(before);
}

// A random walk of operations on two directories beside a map that says what must be there.
TEST_F(Names, AgreesWithAModel) {
    std::mt19937 random(7);
    mkdir("/0");
    mkdir("/1");
    std::map<std::string, std::string> model;  // path -> content
    auto some_path = [&] { return "/" + std::to_string(random() % 2) + "/n" + std::to_string(random() % 12); };
    for (int i = 0; i < 4000; i++) {
        std::string path = some_path(), other = some_path();
        switch (random() % 5) {
            case 0: {
                std::string text = std::to_string(i);
                EXPECT_EQ(make_file(path, text), model.count(path) ? Errno::kExist : kOk);
                model.try_emplace(path, text);
                break;
            }
            case 1:
                EXPECT_EQ(unlink(path), model.erase(path) ? kOk : Errno::kNoEnt);
                break;
            case 2:
                if (!model.count(path)) {
                    EXPECT_EQ(rename(path, other), Errno::kNoEnt);
                } else {
                    EXPECT_EQ(rename(path, other), kOk);
                    if (path != other) {
                        model[other] = model[path];
                        model.erase(path);
                    }
                }
                break;
            case 3: {
                bool both = model.count(path) && model.count(other);
                EXPECT_EQ(rename(path, other, kExchange), both ? kOk : Errno::kNoEnt);
                if (both) std::swap(model[path], model[other]);
                break;
            }
            default:
                if (model.count(path)) EXPECT_EQ(content(path), model[path]);
                else EXPECT_EQ(lookup_error(path), Errno::kNoEnt);
        }
        if (i % 500 == 0) fs::shrink_dentries(5);
    }
    EXPECT_EQ(names("/0").size() + names("/1").size(), model.size() + 4);
}

TEST_F(Names, EveryAllocationMayFail) {
    mkdir("/d");
    make_file("/d/target", "t");
    symlink("d", "/link");
    int n = 0;
    auto attempt = [&](auto operation) {
        EXPECT_GT(test_support::fail_each_allocation([&] {
            n++;
            return operation();
        }), 0u);
    };
    attempt([&] {
        return make_file("/link/f" + std::to_string(n)) == kOk;
    });
    attempt([&] { return mkdir("/m" + std::to_string(n)) == kOk; });
    attempt([&] { return symlink("x", "/s" + std::to_string(n)) == kOk; });
    attempt([&] { return link("/d/target", "/l" + std::to_string(n)) == kOk; });
    attempt([&] {
        if (lookup_error("/d/target") == Errno::kNoEnt) return rename("/d/r", "/d/target") == kOk;
        return rename("/d/target", "/d/r") == kOk;
    });
    EXPECT_TRUE(lookup_error("/d/r") == kOk || lookup_error("/d/target") == kOk);
}

}  // namespace
}  // namespace fs_test
