#include "fs/tmpfs/regular.h"

#include <algorithm>

#include "fs/path.h"
#include "fs/process_host.h"
#include "fs/regular_file.h"
#include "mm/frames.h"
#include "sched/thread.h"

namespace fs::tmpfs {

namespace {

constexpr uint64_t kMaxSize = 0x7fff'ffff'ffff'f000;  // MAX_LFS_FILESIZE in whole pages
constexpr size_t kPollInterval = 64 << 10;            // bytes between poll points

class ZeroSource final : public mm::PageSource {
  public:
    Result<void> fill(uint64_t, Pfn frame) override {
        std::memset(mm::to_pointer(frame), 0, kPageSize);
        return {};
    }
};
ZeroSource zeros;

struct PageReference {
    Pfn frame;
    ~PageReference() { mm::unref_frame(frame); }
    std::byte* at(uint64_t offset) const { return static_cast<std::byte*>(mm::to_pointer(frame)) + offset; }
};

// A full machine is a full file system to those who write files.
core::Error write_error(Errno error) { return fail(error == Errno::kNoMem ? Errno::kNoSpc : error); }

}  // namespace

mm::PageSource& RegularNode::zero_source() { return zeros; }

RegularNode::~RegularNode() { delete map_name_.load(std::memory_order_acquire); }

std::string_view RegularNode::map_name() const {
    const core::String* name = map_name_.load(std::memory_order_acquire);
    return name ? name->view() : std::string_view();
}

void RegularNode::set_map_name(const Path& path) {
    if (map_name_.load(std::memory_order_relaxed)) return;
    auto text = path.to_string(Path());
    if (!text) return;
    auto* name = new (std::nothrow) core::String(std::move(*text));
    core::String* none = nullptr;
    if (name && !map_name_.compare_exchange_strong(none, name)) delete name;
}

Attributes RegularNode::attributes() {
    Attributes result = Node::attributes();
    result.size = size();
    uint64_t in_image = content_ ? core::align_up(content_->end(), kPageSize) >> core::kPageShift : 0;
    result.blocks = std::max(cache_.page_count(), in_image) * (kPageSize / 512);
    return result;
}

Result<Ref<File>> RegularNode::open(const OpenRequest& request) {
    auto file = TRY(core::make_ref<RegularFile>(request.flags, *request.path, *this));
    TRY(file->begin());
    return file;
}

Result<void> RegularNode::change_attributes(const AttributeChange& change) {
    if (change.set_size) TRY(truncate(change.size));
    if (change.set_permissions || change.set_uid || change.set_gid || change.set_access || change.set_modification)
        change_metadata(change);
    return {};
}

Result<size_t> RegularNode::read(Destination& destination, uint64_t offset) {
    uint64_t end = size();
    if (offset >= end) return size_t{0};
    uint64_t left = std::min<uint64_t>(destination.remaining(), end - offset);
    uint64_t content_bytes = content_end();
    size_t since_poll = 0;
    while (left > 0) {
        uint64_t in_page = offset & core::kPageMask, index = offset >> core::kPageShift;
        size_t step = std::min<uint64_t>(left, kPageSize - in_page);
        Result<Pfn> frame = offset < content_bytes ? cache_.get(index, mm::PageCache::Intent::kRead)
                                                   : cache_.find(index);
        Result<void> copied;
        if (frame) [[likely]] {
            PageReference page{*frame};
            copied = destination.put(page.at(in_page), step);
        } else if (frame.error() == Errno::kNoData) {
            copied = destination.put_zeros(step);  // a hole
        } else {
            copied = fail(frame.error());
        }
        if (!copied) [[unlikely]] {
            if (destination.done() > 0) break;
            return fail(copied.error());
        }
        offset += step;
        left -= step;
        since_poll += step;
        if (since_poll >= kPollInterval && left > 0) {
            sched::poll_point();
            since_poll = 0;
        }
    }
    touch_access();
    return destination.done();
}

Result<size_t> RegularNode::write(Source& source, uint64_t* offset, Placing placing) {
    if (source.remaining() == 0) return size_t{0};
    TurnGuard turn(turn_);
    if (placing == Placing::kAppend) *offset = size();
    if (*offset >= kMaxSize) return fail(Errno::kFBig);
    uint32_t sealed = seals();
    if (sealed & (kSealWrite | kSealFutureWrite)) [[unlikely]] return fail(Errno::kPerm);
    if ((sealed & kSealGrow) && *offset + source.remaining() > size()) [[unlikely]] return fail(Errno::kPerm);
    if (permissions() & 06000) [[unlikely]] {
        if (process_host().caller().uid != 0) clear_set_id_bits();
    }
    auto written = write_pages(source, offset);
    if (source.done() > 0) {
        touch_modification(current_time());
        return source.done();
    }
    return written ? Result<size_t>(source.done()) : write_error(written.error());
}

Result<void> RegularNode::write_pages(Source& source, uint64_t* offset) {
    size_t since_poll = 0;
    while (source.remaining() > 0 && *offset < kMaxSize) {
        uint64_t in_page = *offset & core::kPageMask;
        size_t step = std::min<uint64_t>(source.remaining(), kPageSize - in_page), before = source.done();
        PageReference page{TRY(cache_.get(*offset >> core::kPageShift, mm::PageCache::Intent::kWrite))};
        auto taken = source.take(page.at(in_page), step);
        *offset += source.done() - before;
        if (*offset > size()) size_.store(*offset, std::memory_order_release);
        TRY(std::move(taken));
        since_poll += step;
        if (since_poll >= kPollInterval && source.remaining() > 0) {
            sched::poll_point();
            since_poll = 0;
        }
    }
    return {};
}

Result<void> RegularNode::truncate(uint64_t size) {
    if (size > kMaxSize) return fail(Errno::kFBig);
    TurnGuard turn(turn_);
    uint64_t old_size = this->size();
    if ((size < old_size && (seals() & kSealShrink)) || (size > old_size && (seals() & kSealGrow)))
        return fail(Errno::kPerm);
    if (size < old_size) {
        if (content_) content_->cut(size);
        size_.store(size, std::memory_order_release);
        cache_.truncate(size);
    } else {
        // Nothing lies behind the old end: what mappings wrote there is gone, as POSIX wants.
        cache_.truncate(old_size);
        size_.store(size, std::memory_order_release);
    }
    touch_modification(current_time());
    return {};
}

bool RegularNode::has_data(uint64_t index) {
    if (index << core::kPageShift < content_end()) return true;
    auto frame = cache_.find(index);
    if (frame) mm::unref_frame(*frame);
    return frame.has_value();
}

Result<uint64_t> RegularNode::seek_data(uint64_t offset) {
    uint64_t end = size();
    if (offset >= end) return fail(Errno::kNxIo);
    while (offset < end && !has_data(offset >> core::kPageShift))
        offset = core::align_down(offset, kPageSize) + kPageSize;
    if (offset >= end) return fail(Errno::kNxIo);
    return offset;
}

Result<uint64_t> RegularNode::seek_hole(uint64_t offset) {
    uint64_t end = size();
    if (offset >= end) return fail(Errno::kNxIo);
    while (offset < end && has_data(offset >> core::kPageShift))
        offset = core::align_down(offset, kPageSize) + kPageSize;
    return std::min(offset, end);
}

Result<void> RegularNode::zero_range(uint64_t start, uint64_t end) {
    while (start < end) {
        uint64_t in_page = start & core::kPageMask;
        uint64_t step = std::min(end - start, kPageSize - in_page);
        if (has_data(start >> core::kPageShift)) {
            PageReference page{TRY(cache_.get(start >> core::kPageShift, mm::PageCache::Intent::kWrite))};
            std::memset(page.at(in_page), 0, step);
        }
        start += step;
    }
    return {};
}

Result<void> RegularNode::allocate(unsigned mode, uint64_t offset, uint64_t length) {
    constexpr unsigned kKeepSize = 1, kPunchHole = 2;
    if (mode & ~(kKeepSize | kPunchHole)) return fail(Errno::kOpNotSupp);
    if ((mode & kPunchHole) && !(mode & kKeepSize)) return fail(Errno::kOpNotSupp);
    if (offset > kMaxSize || length > kMaxSize - offset) return fail(Errno::kFBig);
    uint64_t end = offset + length;
    TurnGuard turn(turn_);
    if (mode & kPunchHole) {
        if (seals() & (kSealWrite | kSealFutureWrite)) return fail(Errno::kPerm);
        uint64_t stop = std::min(end, core::align_up(size(), kPageSize));
        uint64_t first = core::align_up(offset, kPageSize), last = core::align_down(stop, kPageSize);
        if (first >= last || content_) {
            // Pages of the image come back when dropped: they are overwritten instead.
            TRY(zero_range(offset, std::max(offset, stop)));
        } else {
            TRY(zero_range(offset, first));
            TRY(zero_range(last, stop));
            cache_.remove(first >> core::kPageShift, last >> core::kPageShift);
        }
        touch_modification(current_time());
        return {};
    }
    if (end > size() && !(mode & kKeepSize) && (seals() & kSealGrow)) return fail(Errno::kPerm);
    size_t since_poll = 0;
    for (uint64_t at = core::align_down(offset, kPageSize); at < end; at += kPageSize) {
        if (at < content_end()) continue;
        auto frame = cache_.get(at >> core::kPageShift, mm::PageCache::Intent::kWrite);
        if (!frame) {
            // fallocate(2) is all or nothing as far as the size goes; pages past the old end are given back.
            cache_.truncate(size());
            return write_error(frame.error());
        }
        mm::unref_frame(*frame);
        since_poll += kPageSize;
        if (since_poll >= kPollInterval) {
            sched::poll_point();
            since_poll = 0;
        }
    }
    if (!(mode & kKeepSize) && end > size()) size_.store(end, std::memory_order_release);
    touch_change(current_time());
    return {};
}

Result<void> RegularNode::add_seals(uint32_t wanted) {
    if (wanted & ~(kSealSeal | kSealShrink | kSealGrow | kSealWrite | kSealFutureWrite)) return fail(Errno::kInval);
    TurnGuard turn(turn_);
    if (seals() & kSealSeal) return fail(Errno::kPerm);
    if ((wanted & ~seals() & kSealWrite) && cache_.has_shared_writer()) return fail(Errno::kBusy);
    seals_.fetch_or(wanted, std::memory_order_relaxed);
    return {};
}

}  // namespace fs::tmpfs
