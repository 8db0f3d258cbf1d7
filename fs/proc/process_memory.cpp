// /proc/<pid>/maps and mem.
#include <algorithm>

#include "arch/x86_64/pkru.h"
#include "fs/path_file.h"
#include "fs/proc/process_files.h"
#include "fs/proc/process_view.h"
#include "sched/thread.h"

namespace fs::proc {

namespace {

constexpr size_t kNameColumn = 73;  // show_map_vma()

// A process's memory through its address space.
class MemoryFile final : public PathFile {
  public:
    MemoryFile(const OpenRequest& request, Ref<mm::AddressSpace> space)
        : PathFile(request.flags, *request.path), space_(std::move(space)) {}

    Result<size_t> read(Destination& destination, uint64_t* offset) override {
        return transfer(destination.remaining(), offset, [&](std::byte* chunk, size_t count, UserAddr address) -> Result<void> {
            TRY(space_->read_memory(address, {chunk, count}));
            return destination.put(chunk, count);
        });
    }
    Result<size_t> write(Source& source, uint64_t* offset) override {
        return transfer(source.remaining(), offset, [&](std::byte* chunk, size_t count, UserAddr address) -> Result<void> {
            TRY(source.take(chunk, count));
            return space_->write_memory(address, {chunk, count}, true);
        });
    }
    bool seekable() const override { return true; }
    Result<uint64_t> seek(int64_t offset, int whence) override {
        if (whence == 1) offset += static_cast<int64_t>(position);
        else if (whence != 0) return fail(Errno::kInval);
        position = static_cast<uint64_t>(offset);
        return position;
    }

  private:
    template <typename Step>
    Result<size_t> transfer(size_t size, uint64_t* offset, Step step) {
        size_t moved = 0;
        while (moved < size) {
            std::byte chunk[1024];
            uint64_t address = *offset;
            if (address >= core::kUserEnd) break;
            size_t count = std::min({sizeof chunk, size - moved, core::kPageSize - (address & core::kPageMask)});
            if (auto done = step(chunk, count, UserAddr(address)); !done) {
                if (moved > 0) break;
                return fail(done.error() == Errno::kFault ? Errno::kIo : done.error());
            }
            moved += count;
            *offset += count;
        }
        return moved;
    }

    Ref<mm::AddressSpace> space_;
};

}  // namespace

void append_map_line(Text& text, const mm::MapLine& line) {
    size_t start = text.length();
    text.hex(line.range.start.value(), 8) << '-';
    text.hex(line.range.end.value(), 8) << ' ' << (line.protection.read ? 'r' : '-') << (line.protection.write ? 'w' : '-')
                                        << (line.protection.execute ? 'x' : '-')
                                        << (line.sharing == mm::Sharing::kShared ? 's' : 'p') << ' ';
    text.hex(line.offset, 8) << ' ';
    text.hex(line.device >> 8 & 0xfff, 2) << ':';
    text.hex((line.device & 0xff) | (line.device >> 12 & 0xfff00), 2) << ' ' << line.inode << ' ';
    if (!line.name.empty()) {
        while (text.length() - start < kNameColumn) text << ' ';
        for (char byte : line.name) {
            if (byte == '\n') text << "\\012";
            else text << byte;
        }
    }
    text << '\n';
}

namespace {

// Runs `visit_all(space, lines)` with a text that cannot grow, since it runs under the space's lock. If its lines do not
// fit, it runs again with the room that they took and a little more, since others map and unmap meanwhile.
Result<void> list_maps(Text& text, const Subject& subject, void (*visit_all)(mm::AddressSpace& space, Text& lines)) {
    if (!process_view()->may_inspect(subject.tid)) return fail(Errno::kAcces);
    auto space = process_view()->address_space(subject.tid);
    if (!space) return {};
    for (size_t capacity = 4096;;) {
        Text lines(Text::Growth::kFixed);
        TRY(lines.reserve(capacity));
        visit_all(*space, lines);
        if (!lines.overflowed()) {
            text << lines.view();
            return {};
        }
        capacity = lines.length() + lines.length() / 8;
        sched::poll_point();
    }
}

void append_residency(Text& text, const mm::MapLine& line, const mm::AddressSpace::Residency& residency) {
    auto row = [&](std::string_view label, uint64_t pages) {
        (text << label).decimal(pages * (core::kPageSize / 1024), 24 - static_cast<unsigned>(label.size())) << " kB\n";
    };
    uint64_t resident = residency.file_pages + residency.anonymous_pages;
    uint64_t shared = residency.anonymous_pages - residency.unshared_pages;
    row("Size:", line.range.size() >> core::kPageShift);
    row("KernelPageSize:", 1);
    row("MMUPageSize:", 1);
    row("Rss:", resident);
    row("Pss:", resident);
    row("Shared_Clean:", residency.file_pages);
    row("Shared_Dirty:", shared);
    row("Private_Clean:", 0);
    row("Private_Dirty:", residency.unshared_pages);
    row("Referenced:", resident);
    row("Anonymous:", residency.anonymous_pages);
    row("LazyFree:", 0);
    row("AnonHugePages:", residency.huge_pages * (core::kHugePageSize / core::kPageSize));
    row("Swap:", 0);
    row("SwapPss:", 0);
    row("Locked:", 0);
    if (arch::has_protection_keys()) (text << "ProtectionKey:  ").decimal(line.key, 8) << "\n";
}

}  // namespace

Result<void> maps_text(Text& text, const Subject& subject) {
    return list_maps(text, subject, [](mm::AddressSpace& space, Text& lines) {
        space.for_each_map(
            [](void* context, const mm::MapLine& line) { append_map_line(*static_cast<Text*>(context), line); }, &lines);
    });
}

Result<void> smaps_text(Text& text, const Subject& subject) {
    return list_maps(text, subject, [](mm::AddressSpace& space, Text& lines) {
        space.for_each_residency(
            [](void* context, const mm::MapLine& line, const mm::AddressSpace::Residency& residency) {
                append_map_line(*static_cast<Text*>(context), line);
                append_residency(*static_cast<Text*>(context), line, residency);
            },
            &lines);
    });
}

Result<Ref<File>> open_memory(const OpenRequest& request, const Subject& subject) {
    if (!process_view()->may_inspect(subject.tid)) return fail(Errno::kAcces);
    auto space = process_view()->address_space(subject.tid);
    if (!space) return fail(Errno::kSrch);
    return Ref<File>(TRY(core::make_ref<MemoryFile>(request, std::move(space))));
}

}  // namespace fs::proc
