#include "mpk/inspect/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "elf_builder.h"
#include "mpk/inspect/safe_form.h"

namespace mpk::inspect {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing_elf::ElfBuilder;

constexpr int kRet = 0xc3, kNop = 0x90;

Inspection inspected(std::span<const std::byte> file) {
    auto result = inspect(MemoryReader(file));
    EXPECT_TRUE(result);
    return std::move(*result);
}

// What a file becomes when all sites are patched, looked at with nothing but the raw scanner: the sequences that are
// left in executable pages must be the residuals, neither more nor fewer.
void expect_only_residuals_left(std::span<const std::byte> file, const Inspection& inspection) {
    std::vector<std::byte> patched(file.begin(), file.end());
    CodeMap map = inspection.map();
    for (const Site& site : map.sites)
        for (uint64_t at = site.offset(); at < site.end(); at++) patched[at] = kTrap;
    std::vector<uint64_t> left, listed;
    for (const PageRange& range : map.pages) {
        auto bytes = std::span(patched).subspan(range.offset, std::min<uint64_t>(range.end, file.size()) - range.offset);
        for (size_t at = find_sequence(bytes); at < bytes.size(); at = find_sequence(bytes, at + 1))
            left.push_back(range.offset + at);
    }
    for (const Residual& residual : inspection.residuals()) listed.push_back(residual.offset);
    EXPECT_EQ(left, listed);
    EXPECT_EQ(map.residuals, listed.size());
}

Inspection isolatable(const std::vector<std::byte>& file) {
    Inspection inspection = inspected(file);
    EXPECT_EQ(inspection.map().verdict, Verdict::kIsolatable) << inspection.map().reason;
    expect_only_residuals_left(file, inspection);
    return inspection;
}

std::string refused(const std::vector<std::byte>& file) {
    Inspection inspection = inspected(file);
    EXPECT_EQ(inspection.map().verdict, Verdict::kNotIsolatable);
    EXPECT_THAT(inspection.map().sites, IsEmpty());
    return std::string(inspection.map().reason);
}

TEST(Inspect, FindsInstructionsOfRing0AtBoundariesOnly) {
    ElfBuilder elf;
    uint64_t hlt = elf.function({0xf4, kRet});
    elf.function({0xb8, 0xf4, 0xfa, 0xee, 0xcf, kRet});  // mov eax, imm: holds hlt, cli, out, iret
    uint64_t out = elf.function({kNop, 0xee, kRet});
    uint64_t mwait = elf.function({0x0f, 0x01, 0xc9, kRet});
    uint64_t popf = elf.function({0x9d, kRet});
    uint64_t interrupt = elf.function({0xcd, 0x80, 0xcd, 0x03, 0xcc, kRet});  // int3 in both forms stays
    Inspection i = isolatable(elf.build());
    EXPECT_THAT(i.map().sites,
                ElementsAre(Site(hlt, 1, SiteKind::kGeneralProtection), Site(out + 1, 1, SiteKind::kGeneralProtection),
                            Site(mwait, 3, SiteKind::kInvalidOpcode), Site(popf, 1, SiteKind::kPopFlags),
                            Site(interrupt, 2, SiteKind::kGeneralProtection)));
    EXPECT_EQ(i.map().residuals, 0u);
}

TEST(Inspect, WrpkruIsEmulated) {
    ElfBuilder elf;
    uint64_t at = elf.function({0x31, 0xc9, 0x31, 0xd2, 0x0f, 0x01, 0xef, kRet});
    EXPECT_THAT(isolatable(elf.build()).map().sites, ElementsAre(Site(at + 4, 3, SiteKind::kWritePkru)));
}

TEST(Inspect, SequenceInsideAnImmediateMovesTheWholeInstruction) {
    ElfBuilder elf;
    uint64_t at = elf.function({kNop, 0xb8, 0x0f, 0x01, 0xef, 0x00, kRet});
    EXPECT_THAT(isolatable(elf.build()).map().sites, ElementsAre(Site(at + 1, 5, SiteKind::kRelocate)));
}

TEST(Inspect, SequenceAcrossInstructions) {
    ElfBuilder elf;
    uint64_t at = elf.function({0x83, 0xe0, 0x0f, 0x09, 0xc2, kRet});  // and eax, 15; or edx, eax: invd in between
    EXPECT_THAT(isolatable(elf.build()).map().sites, ElementsAre(AnyOf(Site(at, 3, SiteKind::kRelocate),
                                                                       Site(at + 3, 2, SiteKind::kRelocate))));
}

TEST(Inspect, TrapMustNotCompleteASequence) {
    // cmp byte [rdx+15], 1 | jne: 0F 01 75 is lmsw. A trap in place of the jump would leave 0F 01 CC, tdcall.
    ElfBuilder elf;
    uint64_t at = elf.function({0x80, 0x7a, 0x0f, 0x01, 0x75, 0x01, kNop, kRet});
    EXPECT_THAT(isolatable(elf.build()).map().sites, ElementsAre(Site(at, 4, SiteKind::kRelocate)));
}

TEST(Inspect, SequenceAcrossPages) {
    ElfBuilder elf;
    elf.pad_to(0x1ffd, kNop);
    elf.bytes({0x83, 0xe0, 0x0f, 0x30, 0xc0, kRet});  // and eax, 15 | xor al, al: wrmsr over the page boundary
    elf.describe(0x1000, elf.code.size());
    auto file = elf.build();
    Inspection i = isolatable(file);
    ASSERT_EQ(i.map().sites.size(), 1u);
    EXPECT_THAT(i.map().pages, ElementsAre(PageRange{0x1000, 0x3000}));
}

TEST(Inspect, TablesBetweenFunctionsStay) {
    ElfBuilder elf;
    elf.function({kNop, kNop, kNop, kNop, kNop, kNop, kNop, kNop, kRet});
    uint64_t table = elf.bytes({0xf4, 0xee, 0x0f, 0x30, 0xfa, 0x0f, 0x01, 0x10, 0x00});
    elf.function({kRet});
    Inspection i = isolatable(elf.build());
    EXPECT_THAT(i.map().sites, IsEmpty());
    ASSERT_EQ(i.residuals().size(), 2u);
    EXPECT_EQ(i.residuals()[0].offset, table + 2);
    EXPECT_EQ(i.residuals()[0].sequence, Sequence::kModelRegister);
    EXPECT_EQ(i.residuals()[1].offset, table + 5);
    EXPECT_EQ(i.residuals()[1].sequence, Sequence::kLoadTable);
}

TEST(Inspect, WrpkruThatIsNotProvenToBeCodeIsRefused) {
    ElfBuilder elf;
    elf.function({kNop, kNop, kNop, kNop, kNop, kNop, kNop, kNop, kRet});
    elf.bytes({0x31, 0xd2, 0x0f, 0x01, 0xef, kRet});  // pkey_set(), if nothing says that there is a function
    EXPECT_THAT(refused(elf.build()), HasSubstr("wrpkru"));
}

void put(std::vector<std::byte>& file, uint64_t offset, std::initializer_list<uint64_t> words) {
    std::memcpy(file.data() + offset, words.begin(), words.size() * sizeof(uint64_t));
}

// A function that only an entry of DT_INIT_ARRAY names. Linkers write its address into the array (static programs, and
// shared ones with DT_RELR, whose entries are addends in place) or into a relocation of it (DT_RELA).
TEST(Inspect, InitArraysPointAtCode) {
    constexpr uint64_t kArray = 0x900, kRelocations = 0xa00, kBase = ElfBuilder::kBase;
    for (bool relr : {false, true}) {
        ElfBuilder elf;
        elf.type = ET_DYN;
        elf.function({kNop, kNop, kNop, kNop, kNop, kNop, kNop, kNop, kRet});
        uint64_t hidden = elf.bytes({0xfa, kRet});
        elf.dynamic = {{DT_INIT_ARRAY, kBase + kArray}, {DT_INIT_ARRAYSZ, 8}};
        if (relr) {
            elf.dynamic.insert(elf.dynamic.end(), {{DT_RELR, kBase + kRelocations}, {DT_RELRSZ, 8}, {DT_RELRENT, 8}});
        } else {
            elf.dynamic.insert(elf.dynamic.end(), {{DT_RELA, kBase + kRelocations}, {DT_RELASZ, 24}, {DT_RELAENT, 24}});
        }
        auto file = elf.build();
        if (relr) put(file, kRelocations, {kBase + kArray}), put(file, kArray, {kBase + hidden});
        else put(file, kRelocations, {kBase + kArray, R_X86_64_RELATIVE, kBase + hidden});
        EXPECT_THAT(isolatable(file).map().sites, ElementsAre(Site(hidden, 1, SiteKind::kGeneralProtection)))
            << (relr ? "DT_RELR" : "DT_RELA");
    }
}

TEST(Inspect, WhatDirectBranchesReachIsCode) {
    ElfBuilder elf;
    elf.entry = elf.bytes({0xe8, 0x02, 0, 0, 0, kRet, 0xf4});  // call over a byte of data
    uint64_t callee = elf.bytes({0x74, 0x01, 0xc3, 0xfa, kRet});  // je +1; ret; cli
    EXPECT_THAT(isolatable(elf.build()).map().sites,
                ElementsAre(Site(callee + 3, 1, SiteKind::kGeneralProtection)));
}

TEST(Inspect, JumpIntoAnInstruction) {
    // je over a LOCK prefix, as glibc has it; the instruction holds wrmsr in its displacement.
    ElfBuilder elf;
    uint64_t at = elf.function({0x74, 0x01, 0xf0, 0x01, 0x87, 0x0f, 0x30, 0x00, 0x00, kRet});  // lock add [rdi+x], eax
    EXPECT_THAT(isolatable(elf.build()).map().sites,
                ElementsAre(Site(at + 2, 7, SiteKind::kRelocate), Site(at + 3, 6, SiteKind::kRelocate)));
}

TEST(Inspect, DataInsideAFunctionEndItsProof) {
    ElfBuilder elf;
    // jmp over two bytes that are no instruction (06 is none in 64-bit code) and a hlt among them
    uint64_t at = elf.function({0xeb, 0x02, 0xf4, 0x06, 0xfa, kRet});
    EXPECT_THAT(isolatable(elf.build()).map().sites, ElementsAre(Site(at + 4, 1, SiteKind::kGeneralProtection)));
}

TEST(Inspect, OverlappingFunctionsAreDecodedOnce) {
    ElfBuilder elf;
    uint64_t at = elf.function({kNop, kNop, 0xf4, kRet});
    for (uint64_t start = at; start < at + 4; start++) elf.describe(start, at + 4 - start);
    EXPECT_THAT(isolatable(elf.build()).map().sites, ElementsAre(Site(at + 2, 1, SiteKind::kGeneralProtection)));
}

TEST(Inspect, BytesBehindTheSegmentOnItsLastPageCount) {
    // The file has bytes there (another segment's, or none's), and they become executable with the page.
    ElfBuilder elf;
    elf.function({kRet});
    auto file = elf.build();
    file[0x1800] = std::byte{0x0f};
    file[0x1801] = std::byte{0x30};
    Inspection i = isolatable(file);
    ASSERT_EQ(i.residuals().size(), 1u);
    EXPECT_EQ(i.residuals()[0].offset, 0x1800u);
}

TEST(Inspect, WhatCannotBeMovedIsRefused) {
    ElfBuilder elf;
    // vpgatherdd xmm0, [rdi+xmm1+0x300f], xmm2: its operand is no single address that a register could hold.
    elf.function({0xc4, 0xe2, 0x69, 0x90, 0x84, 0x0f, 0x0f, 0x30, 0x00, 0x00, kRet});
    EXPECT_THAT(refused(elf.build()), HasSubstr("cannot be moved (offset 0x1006)"));
}

TEST(Inspect, SegmentsThatAreNeverIsolated) {
    ElfBuilder writable;
    writable.function({kRet});
    writable.code_flags = PF_R | PF_W | PF_X;
    EXPECT_THAT(refused(writable.build()), HasSubstr("writable and executable"));
    ElfBuilder stack;
    stack.function({kRet});
    stack.stack_flags = PF_R | PF_W | PF_X;
    EXPECT_THAT(refused(stack.build()), HasSubstr("executable stack"));
    ElfBuilder relocated;
    relocated.function({kRet});
    relocated.dynamic = {{DT_TEXTREL, 0}};
    EXPECT_THAT(refused(relocated.build()), HasSubstr("DT_TEXTREL"));
}

TEST(Inspect, MostOfItMustBeProven) {
    ElfBuilder elf;
    elf.entry = elf.function({kNop, kRet});
    elf.bytes({kNop, kNop, kRet});
    EXPECT_THAT(refused(elf.build()), HasSubstr("less than half"));
    elf.with_eh_frame = false;  // the entry is enough to find what it reaches, and that is not enough
    EXPECT_THAT(refused(elf.build()), HasSubstr("less than half"));
}

TEST(Inspect, BrokenUnwindInformationIsRefused) {
    auto broken = [](std::function<void(std::vector<uint8_t>&)> change) {
        ElfBuilder elf;
        elf.function({kRet});
        elf.function({kRet});
        elf.change_eh_frame = std::move(change);
        return refused(elf.build());
    };
    EXPECT_THAT(broken([](auto& frame) { frame[24] = 0xf0; }), HasSubstr(".eh_frame is broken"));  // length
    EXPECT_THAT(broken([](auto& frame) { frame[28] = 0x70; }), HasSubstr("without CIE"));
    EXPECT_THAT(broken([](auto& frame) { frame[9] = 'q'; }), HasSubstr("unknown kind"));
    EXPECT_THAT(broken([](auto& frame) { frame[36 + 1] = 0x20; }), HasSubstr("leaves its segment"));
}

TEST(Inspect, OtherFilesHaveNoCode) {
    EXPECT_EQ(inspected({}).map().verdict, Verdict::kNoCode);
    std::vector<std::byte> text(100, std::byte{'#'});
    EXPECT_EQ(inspected(text).map().verdict, Verdict::kNoCode);
    ElfBuilder elf;
    elf.function({kRet});
    auto file = elf.build();
    file[18] = std::byte{EM_AARCH64};
    EXPECT_EQ(inspected(file).map().verdict, Verdict::kNoCode);
}

TEST(Inspect, TruncatedFiles) {
    ElfBuilder elf;
    elf.function({0xf4, kRet});
    auto file = elf.build();
    for (size_t size = 0; size < file.size(); size += size < 0x400 ? 1 : 37) {
        // A copy of its own, so that the sanitizer sees the first byte read behind it.
        std::vector<std::byte> part(file.begin(), file.begin() + static_cast<ptrdiff_t>(size));
        EXPECT_NE(inspected(part).map().verdict, Verdict::kIsolatable) << size;
    }
}

class FailingReader final : public Reader {
  public:
    explicit FailingReader(std::span<const std::byte> bytes, unsigned good) : bytes_(bytes), good_(good) {}
    uint64_t size() const override { return bytes_.size(); }
    Result<void> read(uint64_t offset, std::span<std::byte> to) const override {
        if (good_ == 0) return fail(Errno::kIo);
        good_--;
        return MemoryReader(bytes_).read(offset, to);
    }

  private:
    std::span<const std::byte> bytes_;
    mutable unsigned good_;
};

TEST(Inspect, ErrorsOfTheReaderArePassedOn) {
    ElfBuilder elf;
    elf.function({kRet});
    auto file = elf.build();
    unsigned good = 0;
    for (;; good++) {
        auto result = inspect(FailingReader(file, good));
        if (result) break;
        EXPECT_EQ(result.error(), Errno::kIo);
        ASSERT_LT(good, 100u);
    }
    EXPECT_GT(good, 3u);
}

// ---- Files of this machine

std::vector<std::byte> file_bytes(const char* path) {
    std::ifstream stream(path, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(stream)), {});
    std::vector<std::byte> bytes(text.size());
    if (!text.empty()) std::memcpy(bytes.data(), text.data(), text.size());
    return bytes;
}

size_t count(const CodeMap& map, SiteKind kind) {
    return static_cast<size_t>(std::ranges::count(map.sites, kind, &Site::kind));
}

TEST(InspectDebian, LibcHoldsWrpkruAndHlt) {
    auto file = file_bytes("/lib/x86_64-linux-gnu/libc.so.6");
    if (file.empty()) GTEST_SKIP() << "no libc here";
    Inspection i = isolatable(file);
    EXPECT_EQ(count(i.map(), SiteKind::kWritePkru), 1u);           // pkey_set
    EXPECT_GE(count(i.map(), SiteKind::kGeneralProtection), 1u);   // hlt in abort
    EXPECT_GT(i.proven_bytes(), i.executable_bytes() * 9 / 10);
    for (const Site& site : i.map().sites) {
        if (site.kind != SiteKind::kRelocate) continue;
        EXPECT_TRUE(safe_form(std::span(file).subspan(site.offset(), kLongestInstruction))) << site.offset();
    }
}

TEST(InspectDebian, TablesOfLibcryptoAreUnchanged) {
    auto file = file_bytes("/usr/lib/x86_64-linux-gnu/libcrypto.so.3");
    if (file.empty()) GTEST_SKIP() << "no libcrypto here";
    Inspection i = isolatable(file);
    // A linear disassembly of its text finds a thousand of these, all in tables.
    EXPECT_EQ(count(i.map(), SiteKind::kGeneralProtection), 0u);
    EXPECT_EQ(count(i.map(), SiteKind::kInvalidOpcode), 0u);
    EXPECT_GT(i.map().residuals, 0u);
}

TEST(InspectDebian, ProgramsAndLibraries) {
    for (const char* path : {"/bin/bash", "/bin/dash", "/bin/ls", "/usr/sbin/nginx", "/lib64/ld-linux-x86-64.so.2",
                             "/usr/lib/x86_64-linux-gnu/libssl.so.3", "/lib/x86_64-linux-gnu/libz.so.1",
                             "/lib/x86_64-linux-gnu/libpcre2-8.so.0", "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"}) {
        SCOPED_TRACE(path);
        auto file = file_bytes(path);
        if (!file.empty()) isolatable(file);
    }
}

TEST(InspectDebian, FlippedBits) {
    auto file = file_bytes("/bin/true");
    if (file.empty()) GTEST_SKIP() << "no /bin/true here";
    std::mt19937 random(1);
    // Headers, dynamic section, symbols and unwind information are what is parsed; code is decoded whatever it is.
    for (unsigned round = 0; round < 400; round++) {
        auto broken = file;
        for (unsigned flips = 1 + round % 8; flips > 0; flips--) {
            size_t at = round % 2 ? random() % 0x400 : random() % broken.size();
            broken[at] ^= std::byte(1 << random() % 8);
        }
        Inspection i = inspected(broken);
        if (i.map().isolatable()) expect_only_residuals_left(broken, i);
    }
}

}  // namespace
}  // namespace mpk::inspect
