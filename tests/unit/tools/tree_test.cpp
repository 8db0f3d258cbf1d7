#include "image/tree.h"

#include <gtest/gtest.h>

#include "debian/deb_archive.h"
#include "support/failure.h"

namespace tool {
namespace {

TEST(Tree, MakesParentsAndFindsWhatWasAdded) {
    Tree tree;
    tree.add("./usr//share/hello", Node::file("hi"));
    ASSERT_TRUE(tree.find("/usr/share/hello"));
    EXPECT_EQ(tree.find("usr/share/./hello")->data, "hi");
    EXPECT_EQ(tree.find("/usr/share/../share/hello")->data, "hi");
    EXPECT_FALSE(tree.find("/usr/share/other"));
    EXPECT_FALSE(tree.find("/usr/share/hello/below"));
    EXPECT_EQ(tree.find("/..")->type, NodeType::Directory);
}

TEST(Tree, FollowsLinksOnTheWay) {
    Tree tree = merged_usr_root();
    tree.add("/bin/true", Node::file("x"));
    EXPECT_TRUE(tree.find("/usr/bin/true"));
    EXPECT_EQ(tree.canonical("/bin/true"), "/usr/bin/true");
    tree.add("/lib/libx.so.1", Node::symlink("libx.so.1.2"));
    tree.add("/lib/libx.so.1.2", Node::file("lib"));
    EXPECT_EQ(tree.canonical("/lib/libx.so.1"), "/usr/lib/libx.so.1.2");
    EXPECT_EQ(tree.find("/lib/libx.so.1", FollowLast::No)->type, NodeType::Symlink);
    tree.add("/abs", Node::symlink("/usr/bin"));
    EXPECT_EQ(tree.canonical("/abs/true"), "/usr/bin/true");
}

TEST(Tree, LinksInCirclesLeadNowhere) {
    Tree tree;
    tree.add("/a", Node::symlink("b"));
    tree.add("/b", Node::symlink("a"));
    EXPECT_FALSE(tree.find("/a"));
    EXPECT_EQ(tree.canonical("/a"), "");
}

TEST(Tree, DirectoryOnALinkToADirectoryChangesNothing) {
    Tree tree = merged_usr_root();
    tree.add("/lib", Node::directory({.mode = 0700}));
    EXPECT_EQ(tree.find("/lib", FollowLast::No)->type, NodeType::Symlink);
    EXPECT_EQ(tree.find("/usr/lib")->meta.mode, 0755u);
}

TEST(Tree, DirectoryOnADirectoryTakesOverMetadataOnly) {
    Tree tree;
    tree.add("/d/file", Node::file(""));
    tree.add("/d", Node::directory({.mode = 0700, .uid = 5}));
    EXPECT_EQ(tree.find("/d")->meta.mode, 0700u);
    EXPECT_EQ(tree.find("/d")->meta.uid, 5u);
    EXPECT_TRUE(tree.find("/d/file"));
}

TEST(Tree, RefusesToReplaceADirectoryAndAFileAsParent) {
    Tree tree;
    tree.add("/d/file", Node::file(""));
    EXPECT_THROW(tree.add("/d", Node::file("")), Failure);
    EXPECT_THROW(tree.add("/d/file/x", Node::file("")), Failure);
    EXPECT_THROW(tree.add("/", Node::file("")), Failure);
}

TEST(Tree, RemovesAndWalksInByteOrder) {
    Tree tree;
    tree.add("/b", Node::file(""));
    tree.add("/a/x", Node::file(""));
    tree.add("/B", Node::file(""));
    std::string order;
    tree.walk([&](const std::string& path, const auto&) { order += path + " "; });
    EXPECT_EQ(order, "/ /B /a /a/x /b ");
    tree.remove("/a");
    tree.remove("/nothing");
    EXPECT_FALSE(tree.find("/a/x"));
}

}  // namespace
}  // namespace tool
