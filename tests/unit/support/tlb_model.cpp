#include "tlb_model.h"

#include <sstream>

namespace test_support {

namespace {
std::string name_of(unsigned cpu, unsigned pcid, const char* what, uint64_t address) {
    std::ostringstream text;
    text << "processor " << cpu << ", PCID " << pcid << ": " << what << std::hex << " of 0x" << address;
    return text.str();
}
}  // namespace

void TlbModel::load(unsigned cpu, uint64_t top_table, arch::Model model, const arch::TlbState& space) {
    Cpu& self = cpus_[cpu];
    auto choice = self.pcids.load(space.id, model, space.generation.load());
    self.pcid = choice.pcid;
    self.top = top_table;
    if (choice.keeps) kept_loads_++;
    else self.cached[choice.pcid] = {};
}

void TlbModel::load_kernel_table(unsigned cpu) {
    Cpu& self = cpus_[cpu];
    self.pcid = self.pcids.load_kernel_table().pcid;
    self.top = 0;
}

void TlbModel::flush(const arch::FlushRequest& request) {
    for (unsigned cpu = 0; cpu < kCpus; cpu++) {
        if (!(request.cpus >> cpu & 1)) continue;
        Cpu& self = cpus_[cpu];
        self.pcids.note(request);
        Cached& cached = self.cached[self.pcid];
        if (request.everything) cached = {};
        if (request.pages() == 0) continue;
        cached.uppers.clear();  // INVLPG of any page
        cached.pages.erase(cached.pages.lower_bound(request.start), cached.pages.lower_bound(request.end));
    }
}

void TlbModel::flush_page(unsigned cpu, uint64_t address) {
    Cached& cached = cpus_[cpu].cached[cpus_[cpu].pcid];
    cached.uppers.clear();
    cached.pages.erase(address);
}

TlbModel::Upper TlbModel::upper_at(uint64_t top, uint64_t address) {
    bool writable = true;
    uint64_t table = top;
    for (int shift = 39; shift > 12; shift -= 9) {
        uint64_t entry = walker::table_at(table)[address >> shift & 511];
        if (!(entry & 1) || (shift == 21 && (entry >> 7 & 1))) return {};
        writable &= entry >> 1 & 1;
        table = entry & 0x000ffffffffff000;
    }
    return {table, writable};
}

void TlbModel::remember_all() {
    for (Cpu& cpu : cpus_) {
        if (cpu.top == 0) continue;
        Cached& cached = cpu.cached[cpu.pcid];
        walker::for_each(cpu.top, 39, 0, [&](uint64_t address, uint64_t entry) {
            if (!(entry & 1)) return;
            cached.pages.emplace(address, walker::look_up(cpu.top, address));
            const uint64_t base = address & ~uint64_t{0x1fffff};
            if (Upper upper = upper_at(cpu.top, base); upper.table != 0) cached.uppers.emplace(base, upper);
        });
    }
}

std::string TlbModel::first_stale() const {
    for (unsigned cpu = 0; cpu < kCpus; cpu++) {
        const Cpu& self = cpus_[cpu];
        auto found = self.cached.find(self.pcid);
        if (self.top == 0 || found == self.cached.end()) continue;
        for (const auto& [address, page] : found->second.pages) {
            walker::Page now = walker::look_up(self.top, address);
            const bool is_right = now.present && now.physical == page.physical && now.key == page.key &&
                                  (now.writable || !page.writable) && (now.executable || !page.executable);
            if (!is_right) return name_of(cpu, self.pcid, "translation", address);
        }
        for (const auto& [base, upper] : found->second.uppers) {
            Upper now = upper_at(self.top, base);
            const bool is_right = now.table == upper.table && (now.writable || !upper.writable);
            if (!is_right) return name_of(cpu, self.pcid, "leaf table", base);
        }
    }
    return {};
}

}  // namespace test_support
