#include "fs/events/anonymous_file.h"

#include "sched/timer.h"

namespace fs {

uint64_t next_anonymous_inode() {
    static std::atomic<uint64_t> next{1000};
    return next.fetch_add(1, std::memory_order_relaxed);
}

Timespec current_time() {
    Nanoseconds now = sched::monotonic_ns() + sched::realtime_offset_ns();
    return {static_cast<int64_t>(now / 1'000'000'000), static_cast<int64_t>(now % 1'000'000'000)};
}

Attributes AnonymousFile::attributes() {
    // One inode for all of them, of no type (Linux' anon_inode_inode).
    Attributes attributes;
    attributes.inode_number = 999;
    attributes.type = FileType{};
    attributes.permissions = 0600;
    return attributes;
}

Result<core::String> AnonymousFile::description() {
    auto text = TRY(core::String::create("anon_inode:"));
    TRY(text.append(name_));
    return text;
}

}  // namespace fs
