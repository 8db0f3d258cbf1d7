#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "image/boot_image.h"
#include "image/directory_source.h"
#include "image/erofs_format.h"
#include "image/erofs_reader.h"
#include "image/erofs_writer.h"
#include "support/failure.h"
#include "test_files.h"

namespace tool {
namespace {

using testing::Scratch;

/// All that an image must keep, as text, for comparison.
std::string listing(const Tree& tree) {
    std::string text;
    std::map<const Node*, std::string> first_name;
    tree.walk([&](const std::string& path, const std::shared_ptr<Node>& node) {
        auto [known, is_new] = first_name.try_emplace(node.get(), path);
        text += path + " type " + std::to_string(static_cast<int>(node->type)) + " mode " +
                std::to_string(node->meta.mode) + " owner " + std::to_string(node->meta.uid) + ":" +
                std::to_string(node->meta.gid) + " time " + std::to_string(node->meta.mtime) + "." +
                std::to_string(node->meta.mtime_ns) + " device " + std::to_string(node->device_major) + ":" +
                std::to_string(node->device_minor);
        if (!is_new) text += " same as " + known->second;
        if (node->type == NodeType::Regular || node->type == NodeType::Symlink) text += " content " + node->content();
        text += "\n";
    });
    return text;
}

void expect_fsck(const fs::path& image) {
    if (!testing::has_program("fsck.erofs")) GTEST_SKIP() << "erofs-utils are not installed";
    CommandResult check = run_command_line({"fsck.erofs", image.string()});
    EXPECT_EQ(check.status, 0) << check.output << check.errors;
    EXPECT_EQ(check.errors.find("<E>"), std::string::npos) << check.errors;
}

Tree varied_tree() {
    Tree tree;
    const Metadata odd = {.mode = 04751, .uid = 70000, .gid = 100000, .mtime = 1234567890, .mtime_ns = 987654321};
    tree.add("/bin/program", Node::file(std::string(10000, 'p'), odd));
    tree.add("/bin/hard-link", tree.find("/bin/program"));
    tree.add("/empty", Node::file(""));
    tree.add("/one-block", Node::file(std::string(4096, 'b')));
    tree.add("/-sorts-before-dot", Node::file("x"));
    tree.add("/,so-does-this", Node::file("y"));
    tree.add("/\xc3\xa4-umlaut", Node::file("z"));
    tree.add("/link", Node::symlink("bin/program"));
    tree.add("/long-link", Node::symlink(std::string(4090, 'l')));
    tree.add("/empty-directory", Node::directory({.mode = 01777}));
    auto device = std::make_shared<Node>();
    device->type = NodeType::CharDevice;
    device->device_major = 10;
    device->device_minor = 0x12345;
    tree.add("/device", device);
    auto fifo = std::make_shared<Node>();
    fifo->type = NodeType::Fifo;
    tree.add("/fifo", fifo);
    return tree;
}

TEST(Erofs, KeepsEverything) {
    Scratch scratch;
    const Tree tree = varied_tree();
    ImageSummary summary = write_erofs(tree, scratch / "image");
    EXPECT_EQ(summary.bytes, fs::file_size(scratch / "image"));
    EXPECT_EQ(listing(read_erofs(scratch / "image")), listing(tree));
    expect_fsck(scratch / "image");
}

TEST(Erofs, SameTreeSameBytes) {
    Scratch scratch;
    write_erofs(varied_tree(), scratch / "one");
    write_erofs(varied_tree(), scratch / "two");
    EXPECT_EQ(read_file(scratch / "one"), read_file(scratch / "two"));
}

// Sizes around the limits: a directory that fills blocks exactly, whose tail just fits behind its inode, or not.
TEST(Erofs, DirectoriesOfEverySize) {
    Scratch scratch;
    Tree tree;
    for (int count = 0; count < 700; count += 7) {
        const std::string folder = "/d" + std::to_string(count);
        tree.add(folder, Node::directory());
        for (int i = 0; i < count; ++i)
            tree.add(folder + "/" + std::string(static_cast<size_t>(1 + i % 40), 'n') + std::to_string(i), Node::file(""));
    }
    tree.add("/long/" + std::string(255, 'x'), Node::file("long"));
    for (int i = 0; i < 60; ++i) tree.add("/long/" + std::to_string(i) + std::string(250, 'y'), Node::file(""));
    write_erofs(tree, scratch / "image");
    EXPECT_EQ(listing(read_erofs(scratch / "image")), listing(tree));
    expect_fsck(scratch / "image");
}

TEST(Erofs, FilesLieOnWholeBlocksAndTheRestIsZero) {
    Scratch scratch;
    Tree tree;
    tree.add("/file", Node::file(std::string(5000, '\xff')));
    write_erofs(tree, scratch / "image");
    const Tree back = read_erofs(scratch / "image");
    const uint64_t offset = back.find("/file")->host_offset;
    EXPECT_EQ(offset % erofs::kBlockSize, 0u);
    const std::string image = read_file(scratch / "image");
    EXPECT_EQ(image.size() % erofs::kBlockSize, 0u);
    EXPECT_EQ(image.substr(offset + 5000, 8192 - 5000), std::string(8192 - 5000, '\0'));
}

TEST(Erofs, DamagedImagesAreRefused) {
    Scratch scratch;
    write_erofs(varied_tree(), scratch / "image");
    const std::string good = read_file(scratch / "image");
    write_file(scratch / "short", good.substr(0, 3000));
    EXPECT_THROW(read_erofs(scratch / "short"), Failure);
    // One byte of the metadata changed at a time: never more than a Failure, whatever it hits.
    for (size_t at = 1024; at < 4096; at += 3) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 0x55);
        write_file(scratch / "bad", bad);
        EXPECT_THROW(read_erofs(scratch / "bad"), Failure) << at;  // the checksum covers this block
    }
    for (size_t at = 4096; at < 12288; at += 5) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 0xff);
        write_file(scratch / "bad", bad);
        try {
            read_erofs(scratch / "bad");
        } catch (const Failure&) {
        }
    }
}

TEST(Erofs, TakesADirectoryOfTheHost) {
    Scratch scratch;
    write_file(scratch / "root/a/file", "content");
    fs::create_symlink("a/file", scratch / "root/link");
    fs::create_hard_link(scratch / "root/a/file", scratch / "root/hard");
    ::chmod((scratch / "root/a/file").c_str(), 0640);
    Tree tree;
    add_directory(tree, scratch / "root");
    EXPECT_EQ(tree.find("/hard"), tree.find("/a/file"));
    EXPECT_EQ(tree.find("/a/file")->meta.mode, 0640u);
    EXPECT_EQ(tree.find("/a/file")->meta.uid, 0u) << "files of an ordinary user become root's";
    write_erofs(tree, scratch / "image");
    EXPECT_EQ(read_erofs(scratch / "image").find("/link")->content(), "content");
    expect_fsck(scratch / "image");
}

TEST(Erofs, FileThatShrinksWhileWritingIsNoticed) {
    Scratch scratch;
    write_file(scratch / "root/file", "long content");
    Tree tree;
    add_directory(tree, scratch / "root");
    write_file(scratch / "root/file", "short");
    EXPECT_THROW(write_erofs(tree, scratch / "image"), Failure);
}

TEST(ImageCache, MakesAnImageOnce) {
    Scratch scratch;
    ImageCache cache(scratch.path() / "images");
    int made = 0;
    auto make = [&](Tree& tree) {
        ++made;
        tree.add("/x", Node::file("x"));
    };
    const fs::path first = cache.get("key", make);
    EXPECT_EQ(cache.get("key", make), first);
    EXPECT_EQ(made, 1);
    cache.get("other", make);
    EXPECT_EQ(made, 2);
    for (int i = 0; i < 30; ++i) cache.get("k" + std::to_string(i), make);
    size_t images = 0;
    for (const auto& entry : fs::directory_iterator(scratch.path() / "images"))
        images += entry.path().extension() == ".erofs";
    EXPECT_LE(images, 17u) << "old images are removed";
}

TEST(HashDirectory, SeesChanges) {
    Scratch scratch;
    auto hash = [&] {
        ContentHash result;
        hash_directory(result, scratch / "root");
        return result.hex();
    };
    write_file(scratch / "root/file", "one");
    const std::string before = hash();
    EXPECT_EQ(hash(), before);
    write_file(scratch / "root/file", "two");
    EXPECT_NE(hash(), before);
}

TEST(Crc32c, KnownValue) {
    // "123456789" gives 0xE3069283 with the usual inversions (RFC 3720 B.4 uses the same polynomial).
    EXPECT_EQ(~erofs::crc32c(~0u, "123456789", 9), 0xE3069283u);
}

}  // namespace
}  // namespace tool
