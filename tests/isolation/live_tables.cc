// live_tables SOCKET KERNEL MODEL TABLES: stops a running machine again and again through its QMP socket, and looks with
// the kernel's own checker (mpk/table_checker.h) at the page tables that its processors have loaded, until it has seen
// TABLES tables of programs that run by MODEL (mpk, ring3). Then alters one entry after the other in the last capture
// and expects the checker to say so. Prints a line for each; ends the machine.
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/processor.h"
#include "mpk/table_checker.h"
#include "tests/lib/qmp.h"

namespace core {
void panic(const char* file, int line, const char* message) {
    std::printf("%s:%d: %s\n", file, line, message);
    std::exit(2);
}
}  // namespace core

namespace {

using arch::Model;
using arch::PageEntry;
using arch::PageTable;
using core::Pfn;
using mpk::Finding;
using mpk::Violation;
using qmp::give_up;
using qmp::Machine;
using qmp::Processor;

// ---- What it had in memory

class Capture {
  public:
    // Changes stay in this process.
    Capture(const char* path, uint64_t size) : size_(size) {
        int file = ::open(path, O_RDONLY);
        memory_ = static_cast<char*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0));
        ::close(file);
        if (memory_ == MAP_FAILED) give_up("the captured memory cannot be read");
    }
    ~Capture() { ::munmap(memory_, size_); }
    Capture(const Capture&) = delete;

    template <typename T>
    T* at(uint64_t physical) const {
        return physical + sizeof(T) <= size_ ? reinterpret_cast<T*>(memory_ + physical) : nullptr;
    }
    PageTable* table(Pfn frame) const { return at<PageTable>(frame.address().value()); }

    // The entry of `level` that maps `address`, or a larger one above it. Null if there is none.
    volatile uint64_t* entry(uint64_t top, uint64_t address, unsigned level) const {
        Pfn frame = Pfn(core::PhysAddr(top));
        for (unsigned now = arch::kTopLevel;; now--) {
            PageTable* found = table(frame);
            if (!found) return nullptr;
            PageEntry entry = found->get(arch::table_index(address, now));
            if (now == level || (entry.is_present() && entry.is_large())) {
                return &found->entries[arch::table_index(address, now)];
            }
            if (!entry.is_present()) return nullptr;
            frame = entry.frame();
        }
    }
    const arch::Processor* processor(uint64_t top) const {
        auto leaf = entry(top, PROCESSOR_BASE, arch::kLeafLevel);
        return leaf ? at<arch::Processor>(PageEntry(*leaf).frame().address().value()) : nullptr;
    }

  private:
    uint64_t size_;
    char* memory_;
};

struct Checked {
    const Capture& capture;
    std::vector<Finding> findings;
    std::set<uint64_t> tables;  // frames that are page tables: no program may map them
};

std::vector<Finding> check(const Capture& capture, uint64_t top, Model model, uint64_t stub_pages) {
    mpk::ExposedList exposed(model, stub_pages);
    Checked checked{capture, {}, {}};
    mpk::CheckedTable table{
        .top = Pfn(core::PhysAddr(top)),
        .model = model,
        .exposed = exposed.pages(),
        .read = [](void* context, Pfn frame) -> const PageTable* {
            auto& self = *static_cast<Checked*>(context);
            self.tables.insert(frame.number());
            return self.capture.table(frame);
        },
        .is_program_frame = nullptr,
        .context = &checked,
    };
    auto report = [](void* context, const Finding& f) { static_cast<Checked*>(context)->findings.push_back(f); };
    mpk::check_table(table, report);  // meets all tables
    checked.findings.clear();
    table.is_program_frame = [](void* context, Pfn frame) {
        auto& self = *static_cast<Checked*>(context);
        return self.capture.table(frame) && !self.tables.contains(frame.number());
    };
    mpk::check_table(table, report);
    return checked.findings;
}

void print(const std::vector<Finding>& findings) {
    for (const Finding& f : findings) {
        std::printf("%s: address 0x%llx, level %u, entry 0x%llx\n", std::string(mpk::name_of(f.violation)).c_str(),
                    static_cast<unsigned long long>(f.address), f.level, static_cast<unsigned long long>(f.entry.raw()));
    }
}

// ---- Alterations

// The first present leaf of the program's half for which `fits` is true: its address.
std::optional<uint64_t> find_page(const Capture& capture, uint64_t top, std::function<bool(PageEntry, bool)> fits,
                                  uint64_t base = 0, unsigned level = arch::kTopLevel, bool writable = true) {
    PageTable* table = capture.table(Pfn(core::PhysAddr(top)));
    unsigned entries = level == arch::kTopLevel ? arch::kFirstKernelSlot : arch::kTableEntries;
    for (unsigned i = 0; table && i < entries; i++) {
        PageEntry entry = table->get(i);
        uint64_t address = base + i * arch::entry_span(level);
        if (!entry.is_present()) continue;
        bool below = writable && entry.is_writable();
        if (level > arch::kLeafLevel && !entry.is_large()) {
            if (auto found = find_page(capture, entry.frame().address().value(), fits, address, level - 1, below)) {
                return found;
            }
        } else if (fits(entry, below)) {
            return address;
        }
    }
    return std::nullopt;
}

class Alterations {
  public:
    Alterations(const Capture& capture, uint64_t top, Model model, uint64_t stub_pages)
        : capture_(capture), top_(top), model_(model), stub_pages_(stub_pages) {}

    void all() {
        auto any = find_page(capture_, top_, [](PageEntry, bool) { return true; });
        auto data = find_page(capture_, top_, [](PageEntry entry, bool writable) {
            return writable && !entry.is_executable();
        });
        if (!any || !data) give_up("the program has no pages");
        constexpr uint64_t kKernel = arch::kKernelImageBase + (2 << 20), kStub = EXPOSED_BASE + EXPOSED_STUBS;
        constexpr uint64_t kKeys = PageEntry::kKeyMask, kUser = PageEntry::kUser, kGlobal = PageEntry::kGlobal;
        alter("a kernel page loses its key", Violation::kKernelKeyMissing, arch::kDirectMapBase, 1, ~kKeys, 0);
        alter("a kernel page becomes global", Violation::kGlobal, kKernel, 1, ~uint64_t{0}, kGlobal);
        alter("a program's page becomes global", Violation::kGlobal, *any, 1, ~uint64_t{0}, kGlobal);
        alter("U/S of the kernel's top-level entry flips", Violation::kTopUserBit, kKernel, 4, ~kUser,
              model_ == Model::kIsolated ? 0 : kUser);
        alter("U/S of a kernel page is cleared", Violation::kKernelUserBit, kKernel, 1, ~kUser, 0);
        alter("the exposed slot opens to keys and ring 3", Violation::kTopUserBit, kStub, 4, ~uint64_t{0}, kUser);
        alter("the IDT becomes writable", Violation::kExposedRights, EXPOSED_BASE + EXPOSED_IDT, 1, ~uint64_t{0},
              PageEntry::kWrite);
        alter("a page of the exposed slot goes", Violation::kExposedMissing, EXPOSED_BASE + EXPOSED_SCRATCH, 1, 0, 0);
        alter("a page is added to the exposed slot", Violation::kExposedExtra, EXPOSED_BASE + 0x1ff000, 1, 0,
              PageEntry::kernel_data(Pfn(256)).raw());
        alter("a program's page gets the kernel's key", Violation::kProgramKernelKey, *any, 1, ~kKeys,
              PageEntry::key_bits(arch::kKernelKey));
        alter("a program maps its page table", Violation::kProgramForeignFrame, *any, 1, ~PageEntry::kFrameMask, top_);
        if (model_ != Model::kIsolated) return;
        alter("a writable page becomes executable", Violation::kProgramWritableCode, *data, 1, ~PageEntry::kNoExecute,
              0);
    }

  private:
    // The entry becomes (entry & keep) | add.
    void alter(const char* what, Violation expected, uint64_t address, unsigned level, uint64_t keep, uint64_t add) {
        volatile uint64_t* entry = capture_.entry(top_, address, level);
        if (!entry) {
            std::printf("%s: there is no such entry\n", what);
            return;
        }
        uint64_t before = *entry;
        *entry = (before & keep) | add;
        bool found = false;
        for (const Finding& finding : check(capture_, top_, model_, stub_pages_)) {
            found |= finding.violation == expected;
        }
        *entry = before;
        std::printf("%s: %s\n", what, found ? "found" : "NOT FOUND");
    }

    const Capture& capture_;
    uint64_t top_;
    Model model_;
    uint64_t stub_pages_;
};

// The value of an absolute symbol of the kernel.
uint64_t symbol_of(const char* kernel, const char* wanted) {
    std::ifstream file(kernel, std::ios::binary);
    std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    if (bytes.size() < sizeof(Elf64_Ehdr)) give_up("no kernel");
    auto header = reinterpret_cast<const Elf64_Ehdr*>(bytes.data());
    auto sections = reinterpret_cast<const Elf64_Shdr*>(bytes.data() + header->e_shoff);
    for (unsigned i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB) continue;
        const char* names = bytes.data() + sections[sections[i].sh_link].sh_offset;
        auto symbols = reinterpret_cast<const Elf64_Sym*>(bytes.data() + sections[i].sh_offset);
        for (uint64_t n = 0; n < sections[i].sh_size / sizeof(Elf64_Sym); n++) {
            if (std::strcmp(names + symbols[n].st_name, wanted) == 0) return symbols[n].st_value;
        }
    }
    give_up(std::string("the kernel has no symbol ") + wanted);
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 5) give_up("usage: live_tables SOCKET KERNEL MODEL TABLES");
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const std::string path = std::string(arguments[1]) + ".memory";
    const uint64_t stub_pages = symbol_of(arguments[2], "stubs_page_count");
    const Model wanted = std::string_view(arguments[3]) == "mpk" ? Model::kIsolated : Model::kConfined;
    const unsigned enough = static_cast<unsigned>(std::atoi(arguments[4]));
    Machine machine(arguments[1]);
    const uint64_t size = machine.memory_size();
    unsigned seen = 0, wrong = 0, others = 0;
    constexpr unsigned kMostStops = 20'000;
    for (unsigned stops = 0; seen < enough && wrong == 0; stops++) {
        if (stops == kMostStops) give_up("no such program runs");
        ::usleep(2'000);
        machine.execute(R"({"execute":"stop"})");
        auto processors = machine.processors();
        bool in_program = false;
        for (const Processor& p : processors) in_program |= p.in_program();
        if (in_program) {
            machine.execute(R"({"execute":"pmemsave","arguments":{"val":0,"size":)" + std::to_string(size) +
                            ",\"filename\":\"" + path + "\"}}");
            Capture capture(path.c_str(), size);
            for (const Processor& p : processors) {
                const arch::Processor* own = capture.processor(p.cr3);
                if (!own) give_up("a table without the processor's page");
                // On its way from one table to the next.
                if (own->loaded_top_table != p.cr3) continue;
                bool program = p.in_program();
                // The kernel notes the model after it has loaded a table of another one.
                PageEntry kernel(*capture.entry(p.cr3, arch::kKernelImageBase, arch::kTopLevel));
                Model model = program ? own->model : kernel.is_user() ? Model::kIsolated : Model::kConfined;
                if (program && (p.ring == 3) != (model == Model::kConfined)) {
                    std::printf("a program of model %u runs in ring %u\n", static_cast<unsigned>(model), p.ring);
                    wrong++;
                }
                auto findings = check(capture, p.cr3, model, stub_pages);
                print(findings);
                wrong += static_cast<unsigned>(findings.size());
                if (!program || model != wanted) others++;
                else if (++seen >= enough && wrong == 0) {
                    std::printf("tables of running programs: %u checked, none wrong\n", enough);
                    Alterations(capture, p.cr3, model, stub_pages).all();
                    break;
                }
            }
        }
        if (seen < enough && wrong == 0) machine.execute(R"({"execute":"cont"})");
    }
    std::fprintf(stderr, "and %u other tables\n", others);
    ::unlink(path.c_str());
    machine.execute(R"({"execute":"quit"})");
    return wrong == 0 ? 0 : 1;
}
