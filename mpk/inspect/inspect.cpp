#include "mpk/inspect/inspect.h"

#include <algorithm>
#include <bit>

#include "mpk/inspect/code.h"
#include "mpk/inspect/decoder.h"
#include "mpk/inspect/eh_frame.h"
#include "mpk/inspect/elf_image.h"
#include "mpk/inspect/safe_form.h"

namespace mpk::inspect {

Result<void> MemoryReader::read(uint64_t offset, std::span<std::byte> to) const {
    if (offset > bytes_.size() || to.size() > bytes_.size() - offset) return fail(Errno::kIo);
    std::ranges::copy(bytes_.subspan(offset, to.size()), to.begin());
    return {};
}

std::span<const std::byte> MemoryReader::view(uint64_t offset, uint64_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) return {};
    return bytes_.subspan(offset, size);
}

CodeMap Inspection::map() const {
    CodeMap map;
    map.verdict = verdict_;
    map.reason = {reason_.data(), reason_.size()};
    map.pages = pages_;
    map.sites = sites_;
    map.residuals = residuals_.size();
    return map;
}

// One run over one file.
class Inspector {
  public:
    explicit Inspector(const Reader& file) : file_(file) {}

    // NOEXEC: refusal() says why the file is not isolatable, or that it is no ELF file at all.
    Result<void> run();
    const Refusal& refusal() const { return refusal_; }
    Inspection take(Verdict verdict);

  private:
    Result<void> find_code();
    Result<void> decode_function(uint64_t begin, uint64_t end);
    Result<void> descend(uint64_t offset);
    Result<void> descend_to_targets();
    Result<void> note(Region& region, const Segment& segment, uint64_t offset, const Instruction& instruction);
    Result<void> mark_target(const Segment& segment, uint64_t offset, const Instruction& instruction);

    Result<void> find_sequences();
    Result<void> resolve(uint64_t offset, SequenceMatch match);
    bool trap_makes_sequence(uint64_t offset) const;
    Result<void> close_over_overlaps();
    Result<void> check_patched();
    const Site* site_at(uint64_t offset) const;

    const Segment* segment_at(uint64_t offset) const {
        for (const Segment& segment : image_.executable())
            if (segment.contains_offset(offset)) return &segment;
        return nullptr;
    }

    const Reader& file_;
    Refusal refusal_;
    ElfImage image_;
    Code code_;
    core::Vector<uint64_t> pending_;  // offsets that a branch leads to and that are not decoded yet
    Inspection result_;
};

Result<void> Inspector::run() {
    image_ = TRY(ElfImage::parse(file_, refusal_));
    code_ = TRY(Code::read(file_, image_));
    for (const Segment& segment : image_.executable()) result_.executable_bytes_ += segment.size;
    for (const Region& region : code_.regions()) TRY(result_.pages_.push_back(region.pages));
    TRY(find_code());
    // What is not proven to be code is neither decoded nor patched: a file that is mostly that was not inspected.
    if (result_.proven_bytes_ * 2 < result_.executable_bytes_)
        return refusal_("less than half of its executable bytes can be proven to be code");
    TRY(find_sequences());
    TRY(close_over_overlaps());
    return check_patched();
}

// ---- Proven code

Result<void> Inspector::find_code() {
    core::Vector<FunctionRange> functions;
    TRY(read_eh_frame(file_, image_, functions, refusal_));
    std::ranges::sort(functions, {}, &FunctionRange::begin);
    uint64_t reached = 0;
    for (const FunctionRange& function : functions) {
        const Segment* segment = image_.executable_at(function.begin);
        const uint64_t begin = segment->offset_of(function.begin), end = segment->offset_of(function.end);
        // Overlapping ones are not decoded twice, however many a hostile file has.
        if (function.begin < reached) TRY(pending_.push_back(begin));
        else TRY(decode_function(begin, end));
        reached = std::max(reached, function.end);
    }
    TRY(image_.for_each_start(file_, [&](uint64_t address) -> Result<void> {
        return pending_.push_back(image_.executable_at(address)->offset_of(address));
    }));
    return descend_to_targets();
}

// Decodes from begin to end. If that does not come out even, there are data inside: then only what is reached from
// the beginning is proven.
Result<void> Inspector::decode_function(uint64_t begin, uint64_t end) {
    const Segment& segment = *segment_at(begin);
    Region& region = *code_.region_at(begin);
    const size_t sites = result_.sites_.size();
    uint64_t at = begin;
    Instruction instruction;
    while (at < end && code_.decode_at(at, end, instruction)) {
        TRY(note(region, segment, at, instruction));
        at += instruction.length;
    }
    if (at == end) {
        result_.proven_bytes_ += end - begin;
        return {};
    }
    for (uint64_t undo = begin; undo < at; undo++) region.boundaries.remove(undo);
    while (result_.sites_.size() > sites) result_.sites_.pop_back();
    TRY(pending_.push_back(begin));
    return {};
}

Result<void> Inspector::note(Region& region, const Segment& segment, uint64_t offset, const Instruction& instruction) {
    region.boundaries.add(offset);
    if (auto kind = powerful_kind(instruction))
        TRY(result_.sites_.push_back(Site(offset, instruction.length, *kind)));
    return mark_target(segment, offset, instruction);
}

Result<void> Inspector::mark_target(const Segment& segment, uint64_t offset, const Instruction& instruction) {
    Flow flow = flow_of(instruction);
    if (!flow.has_target) return {};
    uint64_t address = segment.address_of(offset + instruction.length) + static_cast<uint64_t>(flow.target);
    const Segment* to = segment.contains_address(address) ? &segment : image_.executable_at(address);
    if (!to) return {};
    uint64_t target = to->offset_of(address);
    code_.region_at(target)->targets.add(target);
    return {};
}

// Follows control flow from `offset` until it meets code that is known, or ends.
Result<void> Inspector::descend(uint64_t offset) {
    const Segment* segment = segment_at(offset);
    if (!segment) return {};
    Region& region = *code_.region_at(offset);
    Instruction instruction;
    for (uint64_t at = offset; at < segment->end_offset() && !region.boundaries.contains(at);) {
        if (!code_.decode_at(at, segment->end_offset(), instruction)) return {};
        TRY(note(region, *segment, at, instruction));
        result_.proven_bytes_ += instruction.length;
        at += instruction.length;
        if (!flow_of(instruction).falls_through) return {};
    }
    return {};
}

Result<void> Inspector::descend_to_targets() {
    for (;;) {
        while (!pending_.empty()) {
            uint64_t offset = pending_.back();
            pending_.pop_back();
            TRY(descend(offset));
        }
        // Targets that no instruction begins at. Each round decodes some or is the last.
        for (Region& region : code_.regions()) {
            auto targets = region.targets.words(), known = region.boundaries.words();
            for (size_t i = 0; i < targets.size(); i++) {
                for (uint64_t word = targets[i] & ~known[i]; word; word &= word - 1) {
                    uint64_t offset = region.pages.offset + i * 64 + static_cast<unsigned>(std::countr_zero(word));
                    region.targets.remove(offset);  // also if it cannot be decoded: it is tried once
                    TRY(pending_.push_back(offset));
                }
            }
        }
        if (pending_.empty()) return {};
    }
}

// ---- Forbidden sequences

const Site* Inspector::site_at(uint64_t offset) const {
    const auto& sites = result_.sites_;
    auto found = std::ranges::lower_bound(sites, offset, {}, &Site::offset);
    return found != sites.end() && found->offset() == offset ? &*found : nullptr;
}

Result<void> Inspector::find_sequences() {
    std::ranges::sort(result_.sites_, {}, &Site::offset);
    for (const Region& region : code_.regions()) {
        for (size_t at = find_sequence(region.bytes); at < region.bytes.size(); at = find_sequence(region.bytes, at + 1))
            TRY(resolve(region.pages.offset + at, sequence_at(region.bytes.subspan(at))));
    }
    return {};
}

// Lower is better: what is emulated costs less than what is stepped.
unsigned cost_of(const SafeForm& form) {
    if (form.action != Action::kStep) return 0;
    return form.scratch[0].holds == Scratch::Holds::kNothing ? 1 : 2;
}

// True if a trap at `offset` would complete what stands before it to a forbidden sequence: 0F 01 CC is one.
bool Inspector::trap_makes_sequence(uint64_t offset) const {
    constexpr size_t kBefore = kLongestSequence - 1;
    if (offset < kBefore) return false;
    auto before = code_.bytes_at(offset - kBefore, kBefore);
    std::byte bytes[kBefore + kLongestSequence];
    std::ranges::fill(bytes, kTrap);
    std::ranges::copy(before, bytes + kBefore - before.size());
    return find_sequence(bytes) < kBefore;
}

Result<void> Inspector::resolve(uint64_t offset, SequenceMatch match) {
    bool in_code = false, removed = false;
    unsigned best_cost = ~0u;
    Site best;
    TRY(code_.for_each_overlapping(offset, match.length, [&](uint64_t at, const Instruction& instruction) -> Result<void> {
        in_code = true;
        if (site_at(at)) removed = true;
        auto form = safe_form(code_.bytes_at(at, kLongestInstruction));
        if (removed || !form || cost_of(*form) >= best_cost || trap_makes_sequence(at)) return {};
        best_cost = cost_of(*form);
        best = Site(at, instruction.length, SiteKind::kRelocate);
        return {};
    }));
    if (removed) return {};
    if (!in_code) {
        // It opens the kernel to whoever calls it, and its three bytes hardly stand in a table by chance: a function
        // that the program reaches by a pointer only (pkey_set() of a stripped static program).
        if (match.sequence == Sequence::kWritePkru) {
            return refusal_("wrpkru stands in bytes that cannot be proven to be code", offset);
        }
        TRY(result_.residuals_.push_back({offset, match.sequence}));
        return {};
    }
    if (best_cost == ~0u) return refusal_("a forbidden sequence is part of an instruction that cannot be moved", offset);
    // Sequences come in ascending order, so the new site belongs near the end of those of its kind.
    auto place = std::ranges::upper_bound(result_.sites_, best.offset(), {}, &Site::offset);
    size_t index = static_cast<size_t>(place - result_.sites_.begin());
    TRY(result_.sites_.push_back(best));
    std::rotate(result_.sites_.begin() + index, result_.sites_.end() - 1, result_.sites_.end());
    return {};
}

// Where the program also jumps into an instruction, both readings of its bytes must be sites if one is.
Result<void> Inspector::close_over_overlaps() {
    for (bool changed = true; changed;) {
        core::Vector<Site> added;
        for (const Site& site : std::span<const Site>(result_.sites_)) {
            TRY(code_.for_each_overlapping(
                site.offset(), site.length, [&](uint64_t at, const Instruction& instruction) -> Result<void> {
                    if (site_at(at)) return {};
                    if (!safe_form(code_.bytes_at(at, kLongestInstruction)))
                        return refusal_("an instruction that shares its bytes with another cannot be moved", at);
                    return added.push_back(Site(at, instruction.length, SiteKind::kRelocate));
                }));
        }
        changed = !added.empty();
        for (const Site& site : std::span<const Site>(added)) TRY(result_.sites_.push_back(site));
        std::ranges::sort(result_.sites_, {}, &Site::offset);
        auto rest = std::ranges::unique(result_.sites_, {}, &Site::offset);
        while (!rest.empty() && result_.sites_.end() != rest.begin()) result_.sites_.pop_back();
    }
    return {};
}

// No sequence is left around the sites, and the traps have made no new one.
Result<void> Inspector::check_patched() {
    constexpr uint64_t kAround = kLongestSequence - 1;
    CodeMap map = result_.map();
    for (const Site& site : map.sites) {
        const Region& region = *code_.region_at(site.offset());
        const uint64_t begin = std::max(region.pages.offset, site.offset() < kAround ? 0 : site.offset() - kAround);
        auto bytes = code_.bytes_at(begin, site.end() + kAround - begin);
        std::byte patched[kLongestInstruction + 2 * kAround];
        std::ranges::copy(bytes, patched);
        for (const Site& other : map.overlapping(begin, bytes.size()))
            for (uint64_t at = std::max(begin, other.offset()); at < std::min(other.end(), begin + bytes.size()); at++)
                patched[at - begin] = kTrap;
        std::span<const std::byte> all(patched, bytes.size());
        for (size_t at = find_sequence(all); at < all.size(); at = find_sequence(all, at + 1)) {
            const uint64_t end = at + sequence_at(all.subspan(at)).length;
            const bool touches = std::ranges::any_of(all.subspan(at, end - at), [](std::byte b) { return b == kTrap; });
            if (touches) return refusal_("replacing an instruction would leave a forbidden sequence", begin + at);
        }
    }
    return {};
}

// ---- The result

namespace {

Result<void> append(core::Vector<char>& text, std::string_view more) {
    for (char c : more) TRY(text.push_back(c));
    return {};
}

Result<void> append_hex(core::Vector<char>& text, uint64_t value) {
    bool begun = false;
    for (int shift = 60; shift >= 0; shift -= 4) {
        unsigned digit = value >> shift & 15;
        begun |= digit != 0 || shift == 0;
        if (begun) TRY(text.push_back("0123456789abcdef"[digit]));
    }
    return {};
}

}  // namespace

Inspection Inspector::take(Verdict verdict) {
    result_.verdict_ = verdict;
    if (verdict != Verdict::kIsolatable) result_.sites_.clear();
    if (refusal_.reason) {
        result_.reason_offset_ = refusal_.offset;
        auto& text = result_.reason_;
        text.clear();
        // Too little memory for the text costs the text only.
        if (append(text, refusal_.reason) && refusal_.offset && append(text, " (offset 0x")) {
            if (append_hex(text, refusal_.offset)) (void)append(text, ")");
        }
    }
    return std::move(result_);
}

Result<Inspection> inspect(const Reader& file) {
    Inspector inspector(file);
    auto done = inspector.run();
    if (done) return inspector.take(Verdict::kIsolatable);
    if (done.error() != Errno::kNoExec) return fail(done.error());
    return inspector.take(inspector.refusal().reason ? Verdict::kNotIsolatable : Verdict::kNoCode);
}

}  // namespace mpk::inspect
