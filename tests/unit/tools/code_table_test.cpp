#include "mpk/inspect/code_table.h"

#include <gtest/gtest.h>

#include <cstring>

#include "inspect/file_code.h"
#include "support/files.h"
#include "test_files.h"

namespace tool {
namespace {

using mpk::inspect::CodeTable;
using mpk::inspect::Site;
using mpk::inspect::SiteKind;
using mpk::inspect::Verdict;

// Tables are read in place: 8-aligned, as in the guest.
struct Aligned {
    explicit Aligned(const std::string& text) : words(text.size() / 8 + 1), size(text.size()) {
        std::memcpy(words.data(), text.data(), size);
    }
    std::span<std::byte> bytes() { return {reinterpret_cast<std::byte*>(words.data()), size}; }
    std::vector<uint64_t> words;
    size_t size;
};

std::vector<TableFile> two_files() {
    FileCode good = {.verdict = Verdict::kIsolatable,
                     .pages = {{0x1000, 0x3000}, {0x8000, 0x9000}},
                     .sites = {Site(0x1234, 3, SiteKind::kWritePkru), Site(0x2fff, 5, SiteKind::kRelocate)},
                     .residuals = 7};
    FileCode bad = {.verdict = Verdict::kNotIsolatable, .reason = "it is bad"};
    return {{90, 1000, bad}, {40, 500, good}};
}

TEST(CodeTable, IsReadAsItWasWritten) {
    Aligned table(code_table(two_files()));
    auto opened = CodeTable::open(table.bytes());
    ASSERT_TRUE(opened);
    auto good = opened->find(40, 500);
    ASSERT_TRUE(good);
    EXPECT_TRUE(good->isolatable());
    EXPECT_EQ(good->residuals, 7u);
    EXPECT_EQ(good->sites.size(), 2u);
    EXPECT_EQ(good->find(0x1234)->kind, SiteKind::kWritePkru);
    EXPECT_EQ(good->find(0x1235), nullptr);
    EXPECT_EQ(good->overlapping(0x3000, 0x1000).size(), 1u);  // the one that reaches into the page
    EXPECT_EQ(good->overlapping(0x3004, 0x1000).size(), 0u);
    EXPECT_EQ(good->overlapping(0x1236, 1).size(), 1u);
    EXPECT_TRUE(good->covers(0x1000, 0x2000));
    EXPECT_TRUE(good->covers(0x8000, 1));
    EXPECT_FALSE(good->covers(0x1000, 0x2001));
    EXPECT_FALSE(good->covers(0x0fff, 2));
    EXPECT_FALSE(good->covers(0x7000, 0x2000));
    auto bad = opened->find(90, 1000);
    ASSERT_TRUE(bad);
    EXPECT_FALSE(bad->isolatable());
    EXPECT_EQ(bad->reason, "it is bad");
    EXPECT_FALSE(opened->find(40, 501));  // another file by now
    EXPECT_FALSE(opened->find(41, 500));
}

TEST(CodeTable, AnEmptyOneIsOne) {
    Aligned table(code_table({}));
    auto opened = CodeTable::open(table.bytes());
    ASSERT_TRUE(opened);
    EXPECT_FALSE(opened->find(1, 1));
}

TEST(CodeTable, NothingIsNoProblem) {
    const char* problem = "unchanged";
    EXPECT_FALSE(CodeTable::open({}, &problem));
    EXPECT_EQ(problem, nullptr);
}

// No flipped bit goes unnoticed, whether it is in a count, in a span or in a site; none makes the reader leave the table.
TEST(CodeTable, DamageIsNoticed) {
    Aligned table(code_table(two_files()));
    for (size_t bit = 0; bit < table.size * 8; ++bit) {
        table.bytes()[bit / 8] ^= std::byte(1 << bit % 8);
        EXPECT_FALSE(CodeTable::open(table.bytes())) << bit;
        table.bytes()[bit / 8] ^= std::byte(1 << bit % 8);
    }
    for (size_t size = 0; size < table.size; ++size) {
        EXPECT_FALSE(CodeTable::open(table.bytes().first(size))) << size;
        EXPECT_FALSE(CodeTable::open(table.bytes().subspan(table.size - size))) << size;
    }
    EXPECT_TRUE(CodeTable::open(table.bytes()));
}

TEST(CodeTable, SpansOutsideOfItAreNotFollowed) {
    Aligned table(code_table(two_files()));
    mpk::inspect::TableEntry entry;
    std::memcpy(&entry, table.bytes().data(), sizeof entry);
    entry.site_count = 0xffff'ffff;
    std::memcpy(table.bytes().data(), &entry, sizeof entry);
    mpk::inspect::TableFooter footer;
    auto at = table.bytes().last(sizeof footer);
    std::memcpy(&footer, at.data(), sizeof footer);
    footer.checksum = mpk::inspect::table_checksum({table.words.data(), (table.size - sizeof footer) / 8});
    std::memcpy(at.data(), &footer, sizeof footer);
    auto opened = CodeTable::open(table.bytes());
    ASSERT_TRUE(opened);
    EXPECT_FALSE(opened->find(40, 500));
}

TEST(CodeTable, IsAppendedToAnImageAndCached) {
    if (!fs::exists("/bin/true")) GTEST_SKIP() << "no /bin/true here";
    const std::string program = read_file("/bin/true");
    testing::Scratch scratch;
    const fs::path image = scratch.path() / "image", cache = scratch.path() / "code";
    std::string content(4096, 'x');
    content += program;
    content.resize((content.size() + 4095) / 4096 * 4096);
    write_file(image, content);
    const std::vector<ImageFile> files = {{17, 0, 100}, {33, 4096, program.size()}};
    append_code_table(image, files, cache);
    const std::string whole = read_file(image);
    ASSERT_TRUE(whole.starts_with(content));
    Aligned table(whole.substr(content.size()));
    auto opened = CodeTable::open(table.bytes());
    ASSERT_TRUE(opened);
    ASSERT_EQ(opened->entries().size(), 1u);
    auto map = opened->find(33, program.size());
    ASSERT_TRUE(map);
    EXPECT_TRUE(map->isolatable()) << map->reason;
    EXPECT_FALSE(map->pages.empty());
    // From the cache the same comes out.
    write_file(image, content);
    append_code_table(image, files, cache);
    EXPECT_EQ(read_file(image), whole);
    EXPECT_EQ(std::distance(fs::directory_iterator(cache), fs::directory_iterator()), 1);
}

}  // namespace
}  // namespace tool
