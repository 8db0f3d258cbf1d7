#include "mpk/inspected_text.h"

#include <algorithm>
#include <cstring>

#include "core/lock.h"
#include "core/weakness.h"
#include "mpk/inspect/code_table.h"
#include "sched/thread.h"

namespace mpk {

namespace {

using core::Pfn;
using inspect::CodeMap;
using inspect::PageRange;

struct ByFile {
    bool operator()(const InspectedText& a, const InspectedText& b) const { return a.key() < b.key(); }
    bool operator()(const mm::Mappable* a, const InspectedText& b) const { return a < b.key(); }
    bool operator()(const InspectedText& a, const mm::Mappable* b) const { return a.key() < b; }
};
// The newest text of each file; holds no references, but for those of a few programs of the boot image: they take next
// to no memory, and the next exec need not make them again.
struct Registry {
    static constexpr unsigned kKept = 16;
    core::Spinlock lock{core::Rank::kInode};
    core::Tree<InspectedText, &InspectedText::registry_hook, ByFile> texts;
    core::Ref<InspectedText> kept[kKept];
    unsigned next_kept = 0;
};
Registry registry;
uint64_t boot_image_device = 0;

bool is_boot_image(Pfn frame) { return mm::frame_of(frame).state == mm::Frame::State::kReserved; }

// All pages of a file as they are at one moment; those that can change are copied.
class Snapshot final : public inspect::Reader {
  public:
    ~Snapshot() { for (Pfn frame : frames_) mm::unref_frame(frame); }
    Result<void> take(mm::Mappable& file, uint64_t size) {
        size_ = size;
        uint64_t pages = (size + core::kPageSize - 1) >> core::kPageShift;
        TRY(frames_.reserve(pages));
        for (uint64_t index = 0; index < pages; index++) {
            Pfn page = TRY(file.page_cache().get(index, mm::PageCache::Intent::kRead));
            if (!is_boot_image(page)) {
                auto copy = mm::allocate_frame(mm::Fill::kUninitialized, mm::Frame::State::kFile);
                if (copy) std::memcpy(mm::to_pointer(*copy), mm::to_pointer(page), core::kPageSize);
                mm::unref_frame(page);
                page = TRY(copy);
            }
            (void)frames_.push_back(page);
            if (index % 64 == 63) sched::poll_point();
        }
        return {};
    }
    uint64_t size() const override { return size_; }
    Result<void> read(uint64_t offset, std::span<std::byte> to) const override {
        while (!to.empty()) {
            size_t in_page = offset & core::kPageMask, step = std::min(to.size(), core::kPageSize - in_page);
            if (offset >> core::kPageShift >= frames_.size()) return fail(Errno::kIo);
            std::memcpy(to.data(), mm::to_pointer<std::byte>(frames_[offset >> core::kPageShift]) + in_page, step);
            offset += step;
            to = to.subspan(step);
        }
        return {};
    }
    uint64_t pages() const { return frames_.size(); }
    // With one more reference.
    Pfn share(uint64_t index) const {
        mm::ref_frame(frames_[index]);
        return frames_[index];
    }

  private:
    uint64_t size_ = 0;
    core::Vector<Pfn> frames_;
};

uint64_t first_page(const PageRange& range) { return range.offset >> core::kPageShift; }
uint64_t end_page(const PageRange& range) { return range.end >> core::kPageShift; }

class Policy final : public mm::CodePolicy {
  public:
    Result<core::Ref<mm::Mappable>> inspect(const core::Ref<mm::Mappable>& file, uint64_t first_index,
                                            uint64_t end_index, mm::Reason& reason) override {
        core::Ref<InspectedText> text = TRY(InspectedText::of(file, reason));
        if (!text->covers(first_index, end_index)) {
            reason.set("{}: pages that are no code are mapped for execution", file->map_name());
            return fail(Errno::kAcces);
        }
        if (core::weakened(core::Weakness::kTextSnapshot)) return file;
        return core::Ref<mm::Mappable>(text);
    }
    void confined() override { sched::current().exit_work.fetch_or(sched::kWorkModel, std::memory_order_relaxed); }
} policy;

}  // namespace

void initialize_code_policy(uint64_t image_device) {
    boot_image_device = image_device;
    mm::set_code_policy(&policy);
}

Result<core::Ref<InspectedText>> InspectedText::of(const core::Ref<mm::Mappable>& file, mm::Reason& reason) {
    {
        core::Ref<InspectedText> found;
        core::SpinGuard guard(registry.lock);
        auto it = registry.texts.find(file.get(), ByFile());
        if (it != registry.texts.end() && it->try_ref()) found = core::Ref<InspectedText>::adopt(&*it);
        guard.unlock();
        if (found && found->still_shows_file()) return found;
    }
    auto text = TRY(core::make_ref<InspectedText>(file));
    bool in_table = false;
    if (file->map_device() == boot_image_device) {
        if (auto map = inspect::boot_code_table().find(file->map_inode_number(), text->size_)) {
            TRY(text->take_from_table(*map, in_table));
        }
    }
    if (!in_table) TRY(text->inspect_now(reason));
    if (!text->map_.isolatable()) {
        bool no_code = text->map_.verdict == inspect::Verdict::kNoCode;
        reason.set("{}: {}", file->map_name(), no_code ? "no ELF file for this processor" : text->map_.reason);
        return fail(Errno::kAcces);
    }
    TRY(text->mark_sites());
    core::Ref<InspectedText> dropped;  // after the lock
    core::SpinGuard guard(registry.lock);
    if (auto it = registry.texts.find(file.get(), ByFile()); it != registry.texts.end()) it->registry_hook.unlink();
    registry.texts.insert(*text);
    if (in_table) {
        dropped = std::exchange(registry.kept[registry.next_kept], text);
        registry.next_kept = (registry.next_kept + 1) % Registry::kKept;
    }
    guard.unlock();
    return text;
}

InspectedText* InspectedText::from(mm::Mappable* object) {
    // Nothing else has a plain form.
    return object && object->plain_form() ? static_cast<InspectedText*>(object) : nullptr;
}

// The boot image's table has the map, provided that the file's executable pages still are the image's own.
Result<void> InspectedText::take_from_table(const CodeMap& map, bool& in_place) {
    in_place = false;
    for (const PageRange& range : map.pages) {
        Run run;
        run.first_index = first_page(range);
        TRY(run.frames.reserve(end_page(range) - first_page(range)));
        for (uint64_t index = first_page(range); index < end_page(range); index++) {
            Pfn page = TRY(file_->page_cache().get(index, mm::PageCache::Intent::kRead));
            if (!is_boot_image(page)) {
                mm::unref_frame(page);
                runs_.clear();  // boot-image frames are not counted
                return {};
            }
            (void)run.frames.push_back(page);
        }
        TRY(runs_.push_back(std::move(run)));
    }
    map_ = map;
    in_place = true;
    return {};
}

Result<void> InspectedText::inspect_now(mm::Reason& reason) {
    Snapshot snapshot;
    if (auto taken = snapshot.take(*file_, size_); !taken) {
        // A file that shrinks meanwhile.
        if (taken.error() == Errno::kNoMem) return taken;
        reason.set("{}: cannot be read: {}", file_->map_name(), taken.error());
        return fail(Errno::kAcces);
    }
    inspection_ = TRY(inspect::inspect(snapshot));
    map_ = inspection_.map();
    if (!map_.isolatable()) return {};
    for (const PageRange& range : map_.pages) {
        Run run;
        run.first_index = first_page(range);
        uint64_t end = std::min(end_page(range), snapshot.pages());
        if (end <= run.first_index) continue;
        TRY(run.frames.reserve(end - run.first_index));
        TRY(runs_.reserve(runs_.size() + 1));
        for (uint64_t index = run.first_index; index < end; index++) (void)run.frames.push_back(snapshot.share(index));
        (void)runs_.push_back(std::move(run));
    }
    return {};
}

Result<void> InspectedText::mark_sites() {
    for (Run& run : runs_) {
        TRY(run.site_bits.resize((run.frames.size() + 63) / 64));
        for (uint64_t page = 0; page < run.frames.size(); page++) {
            uint64_t start = (run.first_index + page) << core::kPageShift;
            bool has_site = !map_.overlapping(start, core::kPageSize).empty();
            run.site_bits[page / 64] |= uint64_t{has_site} << (page % 64);
        }
    }
    return {};
}

bool InspectedText::still_shows_file() const {
    if (file_->mapped_size() != size_) return false;
    mm::PageCache& cache = file_->page_cache();
    for (const Run& run : runs_) {
        // Nothing of a boot file was replaced if no page of it is cached; cutting it takes its last pages first.
        bool only_last = cache.page_count() == 0 && is_boot_image(run.frames[0]);
        for (size_t i = only_last ? run.frames.size() - 1 : 0; i < run.frames.size(); i++) {
            auto page = cache.get(run.first_index + i, mm::PageCache::Intent::kRead);
            if (!page) return false;
            bool same = *page == run.frames[i] ||
                        std::memcmp(mm::to_pointer(*page), mm::to_pointer(run.frames[i]), core::kPageSize) == 0;
            mm::unref_frame(*page);
            if (!same) return false;
        }
    }
    return true;
}

InspectedText::~InspectedText() {
    for (const Run& run : runs_) {
        for (Pfn frame : run.frames) mm::unref_frame(frame);
    }
}

void InspectedText::last_reference_dropped() const {
    {
        core::SpinGuard guard(registry.lock);
        auto& hook = const_cast<InspectedText*>(this)->registry_hook;
        if (hook.is_linked()) hook.unlink();
    }
    delete this;
}

const InspectedText::Run* InspectedText::run_of(uint64_t index) const {
    for (const Run& run : runs_) {
        if (index >= run.first_index && index - run.first_index < run.frames.size()) return &run;
    }
    return nullptr;
}

Pfn InspectedText::original_frame(uint64_t index) const {
    const Run* run = run_of(index);
    return run ? run->frames[index - run->first_index] : Pfn();
}

bool InspectedText::covers(uint64_t first_index, uint64_t end_index) const {
    return map_.covers(first_index << core::kPageShift, (end_index - first_index) << core::kPageShift);
}

size_t InspectedText::original_bytes(uint64_t offset, std::span<std::byte> to) const {
    size_t done = 0;
    while (done < to.size()) {
        uint64_t at = offset + done;
        Pfn frame = original_frame(at >> core::kPageShift);
        if (frame == Pfn()) break;
        size_t in_page = at & core::kPageMask, step = std::min(to.size() - done, core::kPageSize - in_page);
        std::memcpy(to.data() + done, mm::to_pointer<std::byte>(frame) + in_page, step);
        done += step;
    }
    return done;
}

std::optional<inspect::SafeForm> InspectedText::safe_form_of(const inspect::Site& site) {
    const unsigned place = site.offset() % Forms::kCount;
    bool has_forms;
    {
        core::SpinGuard guard(forms_lock_);
        has_forms = forms_ != nullptr;
        if (has_forms && forms_->of[place].form.length != 0 && forms_->of[place].offset == site.offset()) {
            return forms_->of[place].form;
        }
    }
    std::byte bytes[inspect::kLongestInstruction];
    auto form = inspect::safe_form({bytes, original_bytes(site.offset(), bytes)});
    if (!form) return form;
    std::unique_ptr<Forms> fresh;  // not needed any more: deleted after the lock
    if (!has_forms) {
        if (auto made = core::make<Forms>()) fresh = std::move(*made);
    }
    core::SpinGuard guard(forms_lock_);
    if (!forms_) forms_ = std::move(fresh);
    if (forms_) forms_->of[place] = {site.offset(), *form};
    guard.unlock();
    return form;
}

Result<Pfn> InspectedText::frame_in_place(uint64_t index) {
    const Run* run = run_of(index);
    if (!run) return fail(Errno::kIo);
    uint64_t page = index - run->first_index;
    if (run->has_site(page)) return fail(Errno::kNoData);
    return run->frames[page];
}

Result<void> InspectedText::fill(uint64_t index, Pfn frame) {
    Pfn original = original_frame(index);
    if (original == Pfn()) return fail(Errno::kIo);
    auto page = mm::to_pointer<std::byte>(frame);
    std::memcpy(page, mm::to_pointer(original), core::kPageSize);
    uint64_t start = index << core::kPageShift, end = start + core::kPageSize;
    for (const inspect::Site& site : map_.overlapping(start, core::kPageSize)) {
        uint64_t from = std::max(site.offset(), start), to = std::min(site.end(), end);
        std::memset(page + (from - start), static_cast<int>(inspect::kTrap), to - from);
    }
    return {};
}

}  // namespace mpk
