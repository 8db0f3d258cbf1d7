// What tests of the file tree share: a root, a caller, and short forms of the operations.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "fs/fd_table.h"
#include "fs/mount.h"
#include "fs/path.h"
#include "fs/tmpfs/tmpfs.h"
#include "mm/frames.h"
#include "mm_host.h"

namespace fs_test {

using core::Errno;

constexpr Errno kOk = Errno{0};
template <typename T>
Errno error_of(const core::Result<T>& result) {
    return result ? kOk : result.error();
}

class Tree : public testing::Test {
  protected:
    void SetUp() override { use_root(*fs::make_root(*fs::tmpfs::create("mode=755"))); }
    void TearDown() override {
        context.reset();
        // The mount of a root stays for ever; its tree goes as at an unmount.
        Ref<fs::FileSystem> file_system(&root.inode().file_system());
        root = {};
        fs::forget_file_system(*file_system);
        file_system->unmounted();
    }

    void use_root(fs::Path path) {
        root = path;
        context = *core::make_ref<fs::FsContext>(path, path);
        context->exchange_umask(0);
    }
    fs::LookupRequest request() {
        fs::LookupRequest result;
        result.context = context.get();
        result.identity = identity;
        return result;
    }
    fs::LookupRequest no_follow() {
        fs::LookupRequest result = request();
        result.follow_last = false;
        return result;
    }
    Errno lookup_error(std::string_view path) { return error_of(fs::lookup(path, request())); }
    fs::Path find(std::string_view path) {
        auto found = fs::lookup(path, request());
        EXPECT_TRUE(found) << path;
        return found ? *found : fs::Path{};
    }
    fs::Attributes attributes(std::string_view path) { return fs::lookup(path, no_follow())->inode().attributes(); }

    core::Result<Ref<fs::File>> open(std::string_view path, uint32_t flags, uint16_t mode = 0644) {
        return fs::open(path, flags, mode, request());
    }
    Errno make_file(std::string_view path, std::string_view content = "") {
        auto file = open(path, fs::kOCreat | fs::kOExcl | fs::kOWrOnly);
        if (!file) return file.error();
        if (!content.empty()) { EXPECT_EQ(write(**file, content), content.size()); }
        return kOk;
    }
    Errno mkdir(std::string_view path, uint16_t mode = 0755) {
        return error_of(fs::make_directory(path, mode, request()));
    }
    Errno symlink(std::string_view target, std::string_view path) {
        return error_of(fs::make_symlink(target, path, request()));
    }
    Errno link(std::string_view from, std::string_view to) {
        auto existing = fs::lookup(from, no_follow());
        if (!existing) return existing.error();
        return error_of(fs::make_link(*existing, to, request()));
    }
    Errno unlink(std::string_view path) { return error_of(fs::unlink(path, request())); }
    Errno rmdir(std::string_view path) { return error_of(fs::remove_directory(path, request())); }
    Errno rename(std::string_view from, std::string_view to, unsigned flags = 0) {
        return error_of(fs::rename(from, request(), to, request(), flags));
    }
    Errno change(std::string_view path, const fs::AttributeChange& what) {
        auto found = fs::lookup(path, request());
        if (!found) return found.error();
        return error_of(fs::change_attributes(*found, what, identity));
    }
    Errno truncate(std::string_view path, uint64_t size) {
        fs::AttributeChange what;
        what.set_size = true;
        what.size = size;
        return change(path, what);
    }

    static size_t write(fs::File& file, std::string_view text) {
        fs::IoSegment segment{reinterpret_cast<uint64_t>(text.data()), text.size()};
        fs::Source source = fs::Source::kernel({&segment, 1});
        auto count = file.write(source, &file.position);
        EXPECT_TRUE(count);
        return count ? *count : 0;
    }
    static std::string read(fs::File& file, size_t size, uint64_t offset) {
        std::string text(size, '?');
        fs::IoSegment segment{reinterpret_cast<uint64_t>(text.data()), size};
        fs::Destination destination = fs::Destination::kernel({&segment, 1});
        auto count = file.read(destination, &offset);
        EXPECT_TRUE(count);
        text.resize(count ? *count : 0);
        return text;
    }
    std::string content(std::string_view path) {
        auto file = open(path, fs::kORdOnly);
        EXPECT_TRUE(file) << path;
        return file ? read(**file, 1 << 20, 0) : "";
    }
    // Names of a directory in order, "." and ".." included; some more than kMaxNames if the listing does not end.
    static constexpr size_t kMaxNames = 10000;
    std::vector<std::string> names(std::string_view path, size_t at_a_time = 1000) {
        struct Sink final : fs::DirectorySink {
            std::vector<std::string>* names;
            size_t left;
            bool entry(std::string_view name, uint64_t, fs::FileType, uint64_t) override {
                if (left == 0) return false;
                left--;
                names->push_back(std::string(name));
                return true;
            }
        };
        std::vector<std::string> result;
        auto file = open(path, fs::kORdOnly | fs::kODirectory);
        EXPECT_TRUE(file) << path;
        if (!file) return result;
        for (size_t before = ~size_t{0}; before != result.size() && result.size() < kMaxNames;) {
            before = result.size();
            Sink sink;
            sink.names = &result;
            sink.left = at_a_time;
            EXPECT_TRUE((*file)->read_directory(sink));
        }
        return result;
    }
    std::string path_of(std::string_view path) {
        auto found = fs::lookup(path, no_follow());
        if (!found) return "?";
        auto text = found->to_string(context->root());
        return text ? std::string(text->view()) : "!";
    }

    fs::Path root;
    Ref<fs::FsContext> context;
    fs::Identity identity;
};

}  // namespace fs_test
