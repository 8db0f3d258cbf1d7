// Content of regular files, descriptors, segments.
#include "fs/regular_file.h"
#include "mm/vma.h"
#include "tree_fixture.h"

#include <random>

namespace fs_test {
namespace {

class Content : public Tree {
  protected:
    static size_t write_at(fs::File& file, std::string_view text, uint64_t offset) {
        file.position = offset;
        return write(file, text);
    }
};

TEST_F(Content, AgreesWithAModel) {
    auto file = *open("/f", fs::kORdWr | fs::kOCreat);
    std::string model;
    std::mt19937 random(11);
    for (int i = 0; i < 3000; i++) {
        uint64_t offset = random() % 40000;
        switch (random() % 4) {
            case 0:
            case 1: {
                std::string text(random() % 9000 + 1, static_cast<char>('a' + i % 26));
                EXPECT_EQ(write_at(*file, text, offset), text.size());
                if (model.size() < offset + text.size()) model.resize(offset + text.size(), '\0');
                model.replace(offset, text.size(), text);
                break;
            }
            case 2:
                ASSERT_TRUE(file->truncate(offset));
                model.resize(offset, '\0');
                break;
            default: {
                size_t size = random() % 20000;
                std::string expected = offset < model.size() ? model.substr(offset, size) : "";
                ASSERT_EQ(read(*file, size, offset), expected);
            }
        }
        ASSERT_EQ(file->attributes().size, model.size());
    }
}

TEST_F(Content, HolesAndSeeks) {
    auto file = *open("/f", fs::kORdWr | fs::kOCreat);
    write_at(*file, "x", 5 * kPageSize);
    EXPECT_EQ(file->attributes().blocks, 8u);
    EXPECT_EQ(read(*file, 3, kPageSize), std::string(3, '\0'));
    EXPECT_EQ(*file->seek(0, 3), 5 * kPageSize);   // SEEK_DATA
    EXPECT_EQ(*file->seek(0, 4), 0u);              // SEEK_HOLE
    EXPECT_EQ(*file->seek(5 * kPageSize, 4), 5 * kPageSize + 1);
    EXPECT_EQ(file->seek(5 * kPageSize + 1, 3).error(), Errno::kNxIo);
    EXPECT_EQ(*file->seek(-1, 2), 5 * kPageSize);
    EXPECT_EQ(file->seek(-1, 0).error(), Errno::kInval);
    EXPECT_EQ(file->seek(INT64_MAX, 2).error(), Errno::kOverflow);
    auto& node = static_cast<fs::RegularFile&>(*file).node();
    ASSERT_TRUE(node.allocate(0, 0, 10 * kPageSize));
    EXPECT_EQ(node.size(), 10 * kPageSize);
    EXPECT_EQ(node.page_cache().page_count(), 10u);
    ASSERT_TRUE(node.allocate(3, kPageSize + 7, 6 * kPageSize));
    EXPECT_EQ(node.page_cache().page_count(), 5u);
    EXPECT_EQ(read(*file, 1, 5 * kPageSize), std::string(1, '\0'));
    EXPECT_EQ(node.allocate(16, 0, 1).error(), Errno::kOpNotSupp);
}

TEST_F(Content, AppendAndModes) {
    make_file("/f", "start");
    auto append = *open("/f", fs::kOWrOnly | fs::kOAppend);
    write_at(*append, "+more", 0);
    EXPECT_EQ(content("/f"), "start+more");
    EXPECT_EQ(append->position, 10u);
    EXPECT_FALSE(append->readable());
    EXPECT_TRUE(append->writable());
}

TEST_F(Content, BadSegments) {
    auto file = *open("/f", fs::kORdWr | fs::kOCreat);
    std::string text = "abcdefgh";
    // The second segment is no user memory: what went before counts.
    fs::IoSegment segments[] = {{reinterpret_cast<uint64_t>(text.data()), 4}, {16, 4}};
    fs::Source source = fs::Source::user(segments);
    EXPECT_EQ(*file->write(source, &file->position), 4u);
    fs::Source again = fs::Source::user({segments + 1, 1});
    EXPECT_EQ(file->write(again, &file->position).error(), Errno::kFault);
    EXPECT_EQ(file->attributes().size, 4u);
    fs::Destination destination = fs::Destination::user({segments + 1, 1});
    uint64_t offset = 0;
    EXPECT_EQ(file->read(destination, &offset).error(), Errno::kFault);
    EXPECT_EQ(offset, 0u);
}

TEST_F(Content, CursorsGoBack) {
    char a[] = "abc", b[] = "", c[] = "defgh";
    fs::IoSegment segments[] = {{reinterpret_cast<uint64_t>(a), 3}, {reinterpret_cast<uint64_t>(b), 0},
                                {reinterpret_cast<uint64_t>(c), 5}};
    fs::Source source = fs::Source::kernel(segments);
    char out[9] = {};
    ASSERT_TRUE(source.take(out, 5));
    EXPECT_STREQ(out, "abcde");
    source.give_back(3);
    EXPECT_EQ(source.done(), 2u);
    ASSERT_TRUE(source.take(out, 8));
    EXPECT_EQ(source.remaining(), 0u);
    EXPECT_EQ(std::string(out, 6), "cdefgh");
}

TEST_F(Content, Times) {
    make_file("/f", "x");
    fs::AttributeChange times;
    times.set_access = times.set_modification = true;
    times.access = {1, 2};
    times.modification = {3, 4};
    EXPECT_EQ(change("/f", times), kOk);
    EXPECT_EQ(attributes("/f").modification.seconds, 3);
    EXPECT_EQ(attributes("/f").access.nanoseconds, 2);
    EXPECT_GE(attributes("/f").change.seconds, 0);
    content("/f");
    EXPECT_NE(attributes("/f").access.nanoseconds, 2);  // relatime: older than the modification
}

TEST_F(Content, SealsOfMemoryFiles) {
    auto inode = *fs::tmpfs::create_unnamed_file(0777, 0, 0);
    auto place = *fs::detached_path(inode, "/memfd:x");
    auto file = *inode->open({fs::kORdWr, &place});
    EXPECT_EQ(file->description()->view(), "/memfd:x");
    EXPECT_EQ(file->control(1033, 2).error(), Errno::kPerm);
    static_cast<fs::tmpfs::RegularNode&>(*inode).allow_sealing();
    write(*file, "sealed");
    EXPECT_TRUE(file->control(1033, 2 | 4 | 8));
    EXPECT_EQ(*file->control(1034, 0), 14u);
    EXPECT_EQ(file->truncate(0).error(), Errno::kPerm);
    fs::IoSegment segment{reinterpret_cast<uint64_t>("no"), 2};
    fs::Source source = fs::Source::kernel({&segment, 1});
    EXPECT_EQ(file->write(source, &file->position).error(), Errno::kPerm);
}

TEST_F(Content, WriteSealWaitsForSharedWriters) {
    auto inode = *fs::tmpfs::create_unnamed_file(0777, 0, 0);
    auto& node = static_cast<fs::tmpfs::RegularNode&>(*inode);
    node.allow_sealing();
    mm::Vma mapping;
    mapping.sharing = mm::Sharing::kShared;
    mapping.max_protection = {true, false, true};
    node.page_cache().add_mapping(mapping);
    EXPECT_FALSE(node.page_cache().has_shared_writer());
    mapping.max_protection.write = true;
    EXPECT_EQ(node.add_seals(node.kSealWrite | node.kSealGrow).error(), Errno::kBusy);
    EXPECT_EQ(node.seals(), 0u);
    EXPECT_TRUE(node.add_seals(node.kSealFutureWrite));
    mapping.sharing = mm::Sharing::kPrivate;
    EXPECT_FALSE(node.page_cache().has_shared_writer());
    node.page_cache().remove_mapping(mapping);
    EXPECT_TRUE(node.add_seals(node.kSealWrite));
}

TEST_F(Content, MemoryComesBack) {
    context->set_working_directory(root);
    make_file("/warm", std::string(100, 'x'));
    unlink("/warm");
    uint64_t before = mm::memory_statistics().free_pages;
    make_file("/big", std::string(1 << 20, 'x'));
    EXPECT_LT(mm::memory_statistics().free_pages, before - 200);
    auto held = *open("/big", fs::kORdOnly);
    unlink("/big");
    EXPECT_EQ(read(*held, 3, 0), "xxx");
    held.reset();
    EXPECT_EQ(mm::memory_statistics().free_pages, before);
}

TEST_F(Content, FullMemoryIsAFullFileSystem) {
    auto file = *open("/f", fs::kORdWr | fs::kOCreat);
    std::string text(3 * kPageSize, 'x');
    EXPECT_GT(test_support::fail_each_allocation([&] {
        fs::IoSegment segment{reinterpret_cast<uint64_t>(text.data()), text.size()};
        fs::Source source = fs::Source::kernel({&segment, 1});
        file->position = 0;
        auto count = file->write(source, &file->position);
        if (!count) EXPECT_EQ(count.error(), Errno::kNoSpc);
        bool whole = count && *count == text.size();
        if (!whole) EXPECT_TRUE(file->truncate(0));
        return whole;
    }), 2u);
}

TEST_F(Content, Descriptors) {
    auto table = *fs::FdTable::create();
    auto file = *open("/f", fs::kORdWr | fs::kOCreat);
    using enum fs::CloseOnExec;
    EXPECT_EQ(*table->install(file, kNo, 1024), 0);
    EXPECT_EQ(*table->install(file, kYes, 1024), 1);
    EXPECT_EQ(*table->install(file, kNo, 1024, 100), 100);
    EXPECT_EQ(*table->install(file, kNo, 1024, 100), 101);
    EXPECT_EQ(*table->install(file, kNo, 1024), 2);
    EXPECT_EQ(table->install(file, kNo, 3).error(), Errno::kMFile);
    EXPECT_TRUE(table->close(1));
    EXPECT_EQ(*table->install(file, kYes, 1024), 1);
    EXPECT_EQ(*table->install_at(70, file, kNo, 1024), 70);
    EXPECT_EQ(table->install_at(1024, file, kNo, 1024).error(), Errno::kBadF);
    EXPECT_EQ(table->install_at(-1, file, kNo, 1024).error(), Errno::kBadF);
    EXPECT_EQ(table->get(3).error(), Errno::kBadF);
    EXPECT_EQ(table->get(-1).error(), Errno::kBadF);
    EXPECT_EQ(table->next_used(3), 70);
    auto copy = *table->clone();
    copy->close_for_exec();
    EXPECT_EQ(copy->get(1).error(), Errno::kBadF);
    EXPECT_TRUE(table->get(1));
    EXPECT_EQ(*table->close_on_exec(1), kYes);
    copy->close_range(50, 100);
    EXPECT_EQ(copy->next_used(3), 101);
    copy->close_all();
    EXPECT_EQ(copy->next_used(0), -1);
    EXPECT_EQ(*copy->install(file, kNo, 1024), 0);
    auto place = *open("/f", fs::kOPath);
    EXPECT_EQ(*table->install(place, kNo, 1024), 3);
    EXPECT_EQ(table->get(3).error(), Errno::kBadF);
    EXPECT_TRUE(table->get_any(3));
    EXPECT_GT(test_support::fail_each_allocation([&] {
        auto fresh = table->clone();
        return fresh.has_value();
    }), 1u);
}

}  // namespace
}  // namespace fs_test
