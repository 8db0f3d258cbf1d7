// /proc/<pid>/fd and fdinfo: one name for each open descriptor.
#include "fs/events/anonymous_file.h"
#include "fs/fd_table.h"
#include "fs/proc/process_files.h"
#include "fs/proc/process_view.h"

namespace fs::proc {

namespace {

Result<Ref<File>> file_of(const Subject& subject) {
    auto files = process_view()->files(subject.tid);
    if (!files) return fail(Errno::kNoEnt);
    auto file = files->get_any(subject.fd);
    if (!file) return fail(Errno::kNoEnt);
    return file;
}

// The link's mode bits tell how the file is open (proc(5)).
class DescriptorLink final : public Inode {
  public:
    DescriptorLink(FileSystem& owner, const Subject& subject) : owner_(owner), subject_(subject) {}
    FileSystem& file_system() override { return owner_; }
    Attributes attributes() override {
        Attributes attributes = make_attributes(subject_, "fd", FileType::kSymlink, 0);
        attributes.size = 64;
        attributes.permissions = 0;
        if (auto file = file_of(subject_)) {
            if ((*file)->readable()) attributes.permissions |= 0500;
            if ((*file)->writable()) attributes.permissions |= 0300;
        }
        return attributes;
    }
    Result<core::String> read_link() override {
        auto file = TRY(file_of(subject_));
        return file->description();
    }
    Result<Path> follow_magic_link(const LookupRequest&) override {
        if (!process_view()->may_inspect(subject_.tid)) return fail(Errno::kAcces);
        auto file = TRY(file_of(subject_));
        if (const Path* path = file->path()) return *path;
        auto inode = file->inode();
        if (!inode) return fail(Errno::kNxIo);  // anonymous files cannot be opened again
        auto name = TRY(file->description());
        return detached_path(std::move(inode), name);
    }

  private:
    FileSystem& owner_;
    const Subject subject_;
};

Result<void> info_text(Text& text, const Subject& subject) {
    auto file = TRY(file_of(subject));
    uint32_t flags = file->flags();
    auto files = process_view()->files(subject.tid);
    if (files) {
        auto close_on_exec = files->close_on_exec(subject.fd);
        if (close_on_exec && *close_on_exec == CloseOnExec::kYes) flags |= kOCloExec;
    }
    char octal[16];
    unsigned digits = 0;
    for (uint32_t rest = flags; rest != 0 || digits < 7; rest >>= 3) octal[15 - digits++] = static_cast<char>('0' + (rest & 7));
    uint64_t inode = file->attributes().inode_number;
    text << "pos:\t" << file->position << "\nflags:\t" << std::string_view(octal + 16 - digits, digits) << "\nmnt_id:\t"
         << (file->path() ? file->path()->mount->id() : 0u) << "\nino:\t" << inode << '\n';
    core::String extra;
    TRY(file->append_info(extra));
    text << extra.view();
    return {};
}

constexpr Entry kInfoEntry{.name = "fdinfo", .permissions = 0444, .text = info_text};

// Names are the numbers in use. `kLinks` makes fd, the other fdinfo.
enum class Kind : bool { kLinks, kInfos };

class DescriptorDirectory final : public DirectoryNode {
  public:
    DescriptorDirectory(FileSystem& owner, const Subject& subject, Kind kind)
        : DirectoryNode(owner, subject, kind == Kind::kLinks ? "fd" : "fdinfo", 0500), kind_(kind) {}

    Result<Ref<Inode>> lookup(std::string_view name) override {
        Subject own = subject_;
        own.fd = parse_number(name);
        if (own.fd < 0) return fail(Errno::kNoEnt);
        if (!process_view()->may_inspect(subject_.tid)) return fail(Errno::kAcces);
        TRY(file_of(own));
        if (kind_ == Kind::kLinks) return Ref<Inode>(TRY(core::make_ref<DescriptorLink>(owner_, own)));
        return make_node(owner_, kInfoEntry, own);
    }
    Result<void> read_directory(uint64_t offset, DirectorySink& sink) override {
        if (!process_view()->may_inspect(subject_.tid)) return fail(Errno::kAcces);
        auto files = process_view()->files(subject_.tid);
        if (!files) return {};
        Subject own = subject_;
        for (int fd = static_cast<int>(offset); (fd = files->next_used(fd)) >= 0; fd++) {
            own.fd = fd;
            char digits[12];
            auto name = klog::format(digits, sizeof digits, "{}", fd);
            FileType type = kind_ == Kind::kLinks ? FileType::kSymlink : FileType::kRegular;
            if (!sink.entry(name, inode_number(own, "fd"), type, static_cast<uint64_t>(fd) + 1)) return {};
        }
        return {};
    }

  private:
    const Kind kind_;
};

}  // namespace

Result<Ref<Inode>> make_descriptor_directory(FileSystem& owner, const Subject& subject) {
    return Ref<Inode>(TRY(core::make_ref<DescriptorDirectory>(owner, subject, Kind::kLinks)));
}
Result<Ref<Inode>> make_descriptor_info_directory(FileSystem& owner, const Subject& subject) {
    return Ref<Inode>(TRY(core::make_ref<DescriptorDirectory>(owner, subject, Kind::kInfos)));
}

}  // namespace fs::proc
