// /proc/<pid>/mounts and mountinfo (proc(5)).
#include "fs/device.h"
#include "fs/mount.h"
#include "fs/path.h"
#include "fs/proc/process_files.h"
#include "fs/proc/process_view.h"

namespace fs::proc {

namespace {

// Space, tab, newline and backslash as octal (mangle() in Linux).
void append_escaped(Text& text, std::string_view name) {
    for (char byte : name) {
        if (byte == ' ') text << "\\040";
        else if (byte == '\t') text << "\\011";
        else if (byte == '\n') text << "\\012";
        else if (byte == '\\') text << "\\134";
        else text << byte;
    }
}

void append_options(Text& text, uint32_t flags) {
    text << (flags & kMountReadOnly ? "ro" : "rw");
    if (flags & kMountNoSuid) text << ",nosuid";
    if (flags & kMountNoDev) text << ",nodev";
    if (flags & kMountNoExec) text << ",noexec";
}

struct Visit {
    Text& text;
    Path root;
    bool detailed;
};

void append_mount(void* context, Mount& mount) {
    auto& visit = *static_cast<Visit*>(context);
    Text& text = visit.text;
    Path point = mount.mount_point();
    core::String place;
    if (!point.empty()) {
        // Named from the place below, not from what is mounted on it.
        auto name = point.to_string(visit.root);
        if (!name) return;
        place = std::move(*name);
    }
    std::string_view where = point.empty() ? "/" : place.view();
    std::string_view type = mount.file_system().type_name();
    std::string_view source = mount.source().empty() ? std::string_view("none") : mount.source();
    if (visit.detailed) {
        uint64_t device = mount.file_system().device_number();
        text << mount.id() << ' ' << (point.empty() ? 0u : point.mount->id()) << ' ' << device_major(device) << ':'
             << device_minor(device) << " / ";
        append_escaped(text, where);
        text << ' ';
        append_options(text, mount.flags());
        text << " - " << type << ' ';
        append_escaped(text, source);
        text << ' ' << (mount.flags() & kMountReadOnly ? "ro" : "rw") << '\n';
        return;
    }
    append_escaped(text, source);
    text << ' ';
    append_escaped(text, where);
    text << ' ' << type << ' ';
    append_options(text, mount.flags());
    text << " 0 0\n";
}

Result<void> list_mounts(Text& text, const Subject& subject, bool detailed) {
    auto context = process_view()->fs_context(subject.tid ? subject.tid : process_view()->current_tid());
    if (!context) return fail(Errno::kInval);
    Visit visit{text, context->root(), detailed};
    for_each_mount(&append_mount, &visit);
    return {};
}

}  // namespace

Result<void> mounts_text(Text& text, const Subject& subject) { return list_mounts(text, subject, false); }
Result<void> mountinfo_text(Text& text, const Subject& subject) { return list_mounts(text, subject, true); }

}  // namespace fs::proc
