// The machine's root: images made by mkfs.erofs, changes on top of them, broken images.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "fs/erofs/format.h"
#include "fs/erofs/image.h"
#include "tree_fixture.h"

namespace fs_test {
namespace {

namespace host = std::filesystem;

// A small tree made into an image by the reference tool; empty if it is not installed.
std::vector<std::byte> make_image(const char* options) {
    host::path folder = host::temp_directory_path() / ("isounik-root-" + std::to_string(getpid()));
    host::remove_all(folder);
    host::create_directories(folder / "tree/usr/lib/many");
    auto put = [&](const char* name, const std::string& text) { std::ofstream(folder / "tree" / name) << text; };
    put("small", "small file\n");
    put("empty", "");
    put("page", std::string(4096, 'p'));
    put("large", std::string(10000, 'L') + "end");
    put("usr/lib/libc.so", std::string(5000, 'c'));
    for (int i = 0; i < 500; i++) put(("usr/lib/many/file" + std::to_string(i)).c_str(), std::to_string(i));
    host::create_symlink("usr/lib", folder / "tree/lib");
    host::create_hard_link(folder / "tree/small", folder / "tree/usr/hard");
    host::permissions(folder / "tree/page", host::perms(0751));
    std::string command = std::string("mkfs.erofs ") + options + " " + (folder / "image").string() + " " +
                          (folder / "tree").string() + " > /dev/null 2>&1";
    std::vector<std::byte> image;
    if (std::system(command.c_str()) == 0) {
        image.resize(host::file_size(folder / "image"));
        std::ifstream(folder / "image", std::ios::binary)
            .read(reinterpret_cast<char*>(image.data()), static_cast<std::streamsize>(image.size()));
    }
    host::remove_all(folder);
    return image;
}

class BootRoot : public Tree {
  protected:
    void SetUp() override {}
    void TearDown() override {
        if (!context) return;
        Tree::TearDown();
        for (unsigned i = 0; i < image_frames; i++) mm::frame_of(image_start + i).state = mm::Frame::State::kKernel;
        mm::free_frames(image_start, image_order);
    }
    // Puts the image where the boot loader would: into memory of its own.
    std::span<std::byte> place(const std::vector<std::byte>& image) {
        image_order = 0;
        while ((kPageSize << image_order) < image.size()) image_order++;
        image_frames = 1u << image_order;
        image_start = *mm::allocate_frames(image_order, mm::Fill::kZeroed, mm::Frame::State::kKernel);
        for (unsigned i = 0; i < image_frames; i++) mm::frame_of(image_start + i).state = mm::Frame::State::kReserved;
        auto* memory = static_cast<std::byte*>(mm::to_pointer(image_start));
        std::copy(image.begin(), image.end(), memory);
        return {memory, image.size()};
    }
    bool start(const char* options) {
        auto image = make_image(options);
        if (image.empty()) return false;
        bytes = place(image);
        auto made = fs::make_boot_root(bytes);
        EXPECT_TRUE(made);
        if (!made) return false;
        use_root(*made);
        return true;
    }
    void check_tree() {
        EXPECT_EQ(content("/small"), "small file\n");
        EXPECT_EQ(content("/empty"), "");
        EXPECT_EQ(content("/page"), std::string(4096, 'p'));
        EXPECT_EQ(content("/large"), std::string(10000, 'L') + "end");
        EXPECT_EQ(content("/lib/libc.so"), std::string(5000, 'c'));
        EXPECT_EQ(path_of("/lib/libc.so"), "/usr/lib/libc.so");
        for (int i = 0; i < 500; i++)
            ASSERT_EQ(content("/usr/lib/many/file" + std::to_string(i)), std::to_string(i));
        EXPECT_EQ(lookup_error("/usr/lib/many/file500"), Errno::kNoEnt);
        EXPECT_EQ(lookup_error("/aaaa"), Errno::kNoEnt);
        EXPECT_EQ(lookup_error("/zzzz"), Errno::kNoEnt);
        EXPECT_EQ(attributes("/page").permissions, 0751);
        EXPECT_EQ(attributes("/usr/hard").inode_number, attributes("/small").inode_number);
        EXPECT_EQ(attributes("/small").link_count, 2u);
        EXPECT_EQ(names("/usr/lib/many").size(), 502u);
    }

    std::span<std::byte> bytes;
    core::Pfn image_start;
    unsigned image_order = 0, image_frames = 0;
};

#define START_OR_SKIP(options) \
    if (!start(options)) GTEST_SKIP() << "mkfs.erofs is not there"

TEST_F(BootRoot, CompactInodesAndInlineData) {
    START_OR_SKIP("-Eforce-inode-compact");
    check_tree();
}

TEST_F(BootRoot, ExtendedInodes) {
    START_OR_SKIP("-Eforce-inode-extended");
    check_tree();
    EXPECT_GT(attributes("/small").modification.seconds, 1'000'000'000);
}

TEST_F(BootRoot, PagesAreUsedInPlaceUntilWritten) {
    START_OR_SKIP("-Eforce-inode-extended");
    auto place = find("/large");
    auto& cache = place.inode().page_cache();
    auto frame = *cache.get(0, mm::PageCache::Intent::kRead);
    EXPECT_GE(frame, image_start);
    EXPECT_LT(frame.number(), image_start.number() + image_frames);
    mm::unref_frame(frame);
    uint64_t number = attributes("/large").inode_number;
    auto before = *open("/large", fs::kORdOnly);
    auto writer = *open("/large", fs::kORdWr);
    writer->position = 5000;
    write(*writer, "written");
    EXPECT_EQ(read(*before, 7, 5000), "written");
    EXPECT_EQ(read(*before, 4, 0), "LLLL");
    EXPECT_EQ(attributes("/large").inode_number, number);
    EXPECT_EQ(cache.page_count(), 1u);
    // Cut and grown again: what was cut is zero.
    EXPECT_EQ(truncate("/large", 100), kOk);
    EXPECT_EQ(truncate("/large", 10003), kOk);
    EXPECT_EQ(content("/large"), std::string(100, 'L') + std::string(9903, '\0'));
    auto append = *open("/page", fs::kOWrOnly | fs::kOAppend);
    write(*append, "more");
    EXPECT_EQ(content("/page"), std::string(4096, 'p') + "more");
    EXPECT_EQ(std::to_integer<char>(bytes[0]), 0);  // the image itself is untouched
}

TEST_F(BootRoot, NamesChange) {
    START_OR_SKIP("-Eforce-inode-extended");
    auto held = *open("/usr/lib/many/file7", fs::kORdOnly);
    EXPECT_EQ(unlink("/usr/lib/many/file7"), kOk);
    EXPECT_EQ(lookup_error("/usr/lib/many/file7"), Errno::kNoEnt);
    EXPECT_EQ(read(*held, 10, 0), "7");
    EXPECT_EQ(names("/usr/lib/many").size(), 501u);
    EXPECT_EQ(rename("/usr/lib", "/usr/lib2"), kOk);  // a directory of the image
    EXPECT_EQ(lookup_error("/lib/libc.so"), Errno::kNoEnt);
    EXPECT_EQ(content("/usr/lib2/many/file8"), "8");
    EXPECT_EQ(make_file("/usr/lib2/many/file7", "new"), kOk);
    EXPECT_EQ(content("/usr/lib2/many/file7"), "new");
    EXPECT_GT(attributes("/usr/lib2/many/file7").inode_number, bytes.size() / 32);
    EXPECT_EQ(rmdir("/usr/lib2/many"), Errno::kNotEmpty);
    EXPECT_EQ(unlink("/small"), kOk);
    EXPECT_EQ(attributes("/usr/hard").link_count, 1u);
    EXPECT_EQ(content("/usr/hard"), "small file\n");
    for (auto& name : names("/usr/lib2/many"))
        if (name[0] != '.') { EXPECT_EQ(unlink("/usr/lib2/many/" + name), kOk); }
    EXPECT_EQ(rmdir("/usr/lib2/many"), kOk);
    EXPECT_EQ(find("/").inode().file_system().statistics().type_magic, 0x794c7630u);
}

TEST_F(BootRoot, EveryAllocationMayFail) {
    START_OR_SKIP("-Eforce-inode-extended");
    int n = 0;
    EXPECT_GT(test_support::fail_each_allocation([&] {
        n++;
        fs::AttributeChange times;
        times.set_modification = true;
        if (change("/usr/lib/many/file9", times) != kOk) return false;
        return mkdir("/usr/lib/many/new" + std::to_string(n)) == kOk;
    }), 500u);
    EXPECT_EQ(content("/usr/lib/many/file9"), "9");
}

// Whatever a broken image says, walking it ends in an error or in some answer, never in a fault.
void walk_all(const fs::erofs::Image& image, uint64_t nid, int depth) {
    auto inode = image.inode(nid);
    if (!inode) return;
    uint64_t sum = 0;
    for (std::byte b : inode->body) sum += std::to_integer<uint8_t>(b);
    for (std::byte b : inode->tail) sum += std::to_integer<uint8_t>(b);
    if (inode->type == fs::FileType::kSymlink) (void)image.link_target(*inode);
    if (inode->type != fs::FileType::kDirectory) return;
    (void)image.lookup(*inode, "usr");
    (void)image.lookup(*inode, "zzz" + std::to_string(sum % 10));
    struct Sink final : fs::erofs::Image::Sink {
        std::vector<uint64_t> nids;
        core::Result<void> entry(std::string_view name, uint64_t nid, fs::FileType) override {
            EXPECT_FALSE(name.empty());
            if (nids.size() < 20) nids.push_back(nid);
            return {};
        }
    } sink;
    (void)image.list(*inode, sink);
    if (depth < 4)
        for (uint64_t child : sink.nids) walk_all(image, child, depth + 1);
}

TEST(BrokenImages, BitFlipsNeverFault) {
    auto image = make_image("-Eforce-inode-extended");
    if (image.empty()) GTEST_SKIP() << "mkfs.erofs is not there";
    std::mt19937 random(5);
    int opened = 0;
    for (int i = 0; i < 3000; i++) {
        // A copy of exactly that size, so that the sanitizer sees one byte too far.
        std::vector<std::byte> broken(image);
        for (unsigned flips = random() % 3 + 1; flips > 0; flips--)
            broken[1024 + random() % (i % 2 ? 4096 : broken.size() - 1024)] ^= std::byte(1 << random() % 8);
        // Without the checksum, so that the flips get further than the super block.
        broken[1032] &= ~std::byte{1};
        if (auto read = fs::erofs::Image::open(broken)) {
            opened++;
            walk_all(*read, read->root_nid(), 0);
        }
    }
    EXPECT_GT(opened, 1000);
    for (size_t size : {size_t{0}, size_t{100}, size_t{4096}, image.size() / 2, image.size() - 1}) {
        std::vector<std::byte> cut(image.begin(), image.begin() + static_cast<long>(size));
        EXPECT_EQ(error_of(fs::erofs::Image::open(cut)), Errno::kInval);
    }
}

TEST(BrokenImages, TheChecksumIsChecked) {
    auto image = make_image("-Eforce-inode-extended");
    if (image.empty()) GTEST_SKIP() << "mkfs.erofs is not there";
    EXPECT_TRUE(fs::erofs::Image::open(image));
    if (!std::to_integer<int>(image[1032] & std::byte{1})) GTEST_SKIP() << "made without a checksum";
    image[1100] ^= std::byte{1};
    EXPECT_EQ(error_of(fs::erofs::Image::open(image)), Errno::kInval);
}

}  // namespace
}  // namespace fs_test
