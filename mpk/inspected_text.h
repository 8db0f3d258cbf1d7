// The executable pages of a file as isolated programs execute them: inspected, with a trap in place of every site, and
// never changing.
//
// One object per file and content, shared by all processes that map it for execution. Pages of the boot image that
// hold no site are mapped in place; pages with sites are copied and patched when they are first touched; pages of
// files that were written since boot are copied at once and inspected in that copy, so that no write through another
// name, mapping or descriptor shows up in them. Looking a text up again compares the file with what the text shows:
// another content is another text.
//
// It goes with its last mapping; those of the boot image that were used last stay for the next exec. Lock: the registry
// of texts (Rank::kInode).
#pragma once

#include <memory>
#include <optional>

#include "core/intrusive.h"
#include "core/lock.h"
#include "core/vector.h"
#include "mm/code_policy.h"
#include "mm/frames.h"
#include "mpk/inspect/code_map.h"
#include "mpk/inspect/inspect.h"
#include "mpk/inspect/safe_form.h"

namespace mpk {

class InspectedText final : public mm::Mappable, mm::PageSource {
  public:
    // The text of `file`, found or made. EACCES: the file cannot run isolated, and `reason` says why. ENOMEM, EIO.
    static Result<core::Ref<InspectedText>> of(const core::Ref<mm::Mappable>& file, mm::Reason& reason);
    // `object` if it is a text, else null.
    static InspectedText* from(mm::Mappable* object);

    // All of these pages (numbers in the file) were inspected.
    bool covers(uint64_t first_index, uint64_t end_index) const;
    // The site that begins at this byte of the file; null.
    const inspect::Site* site_at(uint64_t offset) const { return map_.find(offset); }
    // How the instruction of a site is carried out elsewhere; nothing as inspect::safe_form(). Forms are kept, because
    // decoding would take most of a trap's time.
    std::optional<inspect::SafeForm> safe_form_of(const inspect::Site& site);
    // Up to 15 bytes of the file from `offset`, as they were inspected. Returns how many there are.
    size_t original_bytes(uint64_t offset, std::span<std::byte> to) const;

    mm::PageCache& page_cache() override { return cache_; }
    uint64_t mapped_size() const override { return size_; }
    std::string_view map_name() const override { return file_->map_name(); }
    uint64_t map_inode_number() const override { return file_->map_inode_number(); }
    uint64_t map_device() const override { return file_->map_device(); }
    core::Ref<mm::Mappable> plain_form() override { return file_; }

    core::TreeHook registry_hook;
    const mm::Mappable* key() const { return file_.get(); }

    explicit InspectedText(const core::Ref<mm::Mappable>& file)
        : file_(file), size_(file->mapped_size()), cache_(static_cast<mm::PageSource&>(*this)) {}
    ~InspectedText() override;

  private:
    // Inspected pages that follow each other in the file, as they are there: boot-image frames, or copies of ours.
    struct Run {
        uint64_t first_index = 0;
        core::Vector<core::Pfn> frames;
        // Bit n: page n holds a site. Faults ask for many pages at once.
        core::Vector<uint64_t> site_bits;
        bool has_site(uint64_t page) const { return site_bits[page / 64] >> (page % 64) & 1; }
    };
    // Forms of sites that have trapped, each at the place that its offset's low bits say.
    struct Forms {
        static constexpr unsigned kCount = 64;
        struct { uint64_t offset = 0; inspect::SafeForm form; } of[kCount];  // length 0: none
    };
    Result<core::Pfn> frame_in_place(uint64_t index) override;
    Result<void> fill(uint64_t index, core::Pfn frame) override;
    void last_reference_dropped() const override;

    Result<void> take_from_table(const inspect::CodeMap& map, bool& in_place);
    Result<void> inspect_now(mm::Reason& reason);
    Result<void> mark_sites();
    bool still_shows_file() const;
    const Run* run_of(uint64_t index) const;         // null: not inspected
    core::Pfn original_frame(uint64_t index) const;  // Pfn(0): not inspected

    const core::Ref<mm::Mappable> file_;
    const uint64_t size_;  // the file's when it was inspected
    inspect::CodeMap map_;
    inspect::Inspection inspection_;  // what map_ refers to, unless it is the boot image's table
    core::Vector<Run> runs_;
    core::Spinlock forms_lock_{core::Rank::kInode};
    std::unique_ptr<Forms> forms_;  // made at the first trap, if there is memory
    mm::PageCache cache_;
};

// Makes inspection the policy of isolated spaces. `image_device`: map_device() of the boot image's files, whose code
// maps are in inspect::boot_code_table().
void initialize_code_policy(uint64_t image_device);

}  // namespace mpk
