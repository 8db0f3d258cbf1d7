#include "fs/proc/node.h"

#include <algorithm>

#include "fs/directory_file.h"
#include "fs/events/anonymous_file.h"
#include "fs/proc/process_view.h"
#include "fs/regular_file.h"

namespace fs::proc {

namespace {

constexpr size_t kWriteMax = 4095;

// The text is made when a read begins at its start, so that one pass sees one state (Linux' seq_file).
class TextFile final : public PathFile {
  public:
    TextFile(const OpenRequest& request, const Entry& entry, const Subject& subject)
        : PathFile(request.flags, *request.path), entry_(entry), subject_(subject) {}

    Result<size_t> read(Destination& destination, uint64_t* offset) override {
        if (!entry_.text) return fail(Errno::kInval);
        uint64_t position = offset ? *offset : 0;
        bool made;
        {
            core::SpinGuard guard(lock_);
            made = made_;
        }
        if (position == 0 || !made) {
            Text fresh;
            TRY(entry_.text(fresh, subject_));
            if (fresh.failed()) return fail(Errno::kNoMem);
            core::SpinGuard guard(lock_);
            std::swap(text_, fresh);
            made_ = true;
        }
        core::SpinGuard guard(lock_);
        std::string_view content = text_.view();
        if (position >= content.size()) return 0;
        size_t count = std::min<size_t>(content.size() - position, destination.remaining());
        TRY(destination.put(content.data() + position, count));
        if (offset) *offset = position + count;
        return count;
    }

    Result<size_t> write(Source& source, uint64_t* offset) override {
        if (!entry_.write) return fail(Errno::kIo);
        char data[kWriteMax + 1];
        size_t count = std::min(source.remaining(), kWriteMax);
        TRY(source.take(data, count));
        TRY(entry_.write({data, count}, subject_));
        if (offset) *offset += count;
        return count;
    }

    bool seekable() const override { return true; }
    Result<uint64_t> seek(int64_t offset, int whence) override {
        if (whence > 1) return fail(Errno::kInval);
        position = TRY(seek_position(position, 0, offset, whence));
        return position;
    }

  private:
    const Entry& entry_;
    const Subject subject_;
    core::Spinlock lock_{core::Rank::kFile};
    Text text_;
    bool made_ = false;
};

// Files and links.
class LeafNode final : public Inode {
  public:
    LeafNode(FileSystem& owner, const Entry& entry, const Subject& subject)
        : owner_(owner), entry_(entry), subject_(subject) {}
    FileSystem& file_system() override { return owner_; }
    Attributes attributes() override {
        return make_attributes(subject_, entry_.name, type_of(entry_), entry_.permissions);
    }
    // Opening with O_TRUNC truncates nothing, and writers may do it (echo x > /proc/...).
    Result<void> change_attributes(const AttributeChange& change) override {
        if (change.set_size) return {};
        return fail(Errno::kPerm);
    }
    Result<Ref<File>> open(const OpenRequest& request) override {
        if (entry_.open) return entry_.open(request, subject_);
        return Ref<File>(TRY(core::make_ref<TextFile>(request, entry_, subject_)));
    }
    Result<core::String> read_link() override {
        if (!entry_.link) return fail(Errno::kInval);
        return entry_.link(subject_);
    }
    Result<Path> follow_magic_link(const LookupRequest& request) override {
        if (!entry_.follow) return fail(Errno::kNoData);
        return entry_.follow(subject_, request);
    }

  private:
    FileSystem& owner_;
    const Entry& entry_;
    const Subject subject_;
};

class TextFileSystem final : public FileSystem {
  public:
    TextFileSystem(std::string_view type_name, uint64_t magic) : type_name_(type_name), magic_(magic) {}
    Ref<Inode> root() override { return root_; }
    FileSystemStatistics statistics() override { return {magic_, core::kPageSize, 0, 0, 0, 0, 255}; }
    std::string_view type_name() const override { return type_name_; }
    uint64_t device_number() const override { return device_; }
    bool volatile_names() const override { return true; }
    void unmounted() override { root_.reset(); }
    void set_root(Ref<Inode> root) { root_ = std::move(root); }

  private:
    const std::string_view type_name_;
    const uint64_t magic_;
    const uint64_t device_ = allocate_device_number();
    Ref<Inode> root_;
};

}  // namespace

FileType type_of(const Entry& entry) {
    if (entry.link) return FileType::kSymlink;
    if (entry.directory) return FileType::kDirectory;
    if (entry.make) return entry.make_type;
    return FileType::kRegular;
}

uint64_t inode_number(const Subject& subject, std::string_view name) {
    uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    auto mix = [&](uint64_t value) { hash = (hash ^ value) * 0x100000001b3; };
    for (char byte : name) mix(static_cast<uint8_t>(byte));
    mix(static_cast<uint32_t>(subject.tid));
    mix(static_cast<uint32_t>(subject.fd));
    mix(subject.cpu);
    // As Linux' numbers look: above the static ones, within 32 bits.
    return 0xf0000000 | (hash & 0x0fffffff);
}

Attributes make_attributes(const Subject& subject, std::string_view name, FileType type, uint16_t permissions) {
    Attributes attributes;
    attributes.inode_number = inode_number(subject, name);
    attributes.type = type;
    attributes.permissions = type == FileType::kSymlink ? 0777 : permissions;
    if (type == FileType::kDirectory) attributes.link_count = 2;
    if (type == FileType::kSymlink && subject.fd != 0) attributes.size = 64;
    attributes.access = attributes.modification = attributes.change = current_time();
    if (subject.tid != 0 && process_view()) {
        if (auto status = process_view()->status(subject.tid)) {
            attributes.uid = status->euid;
            attributes.gid = status->egid;
        }
    }
    return attributes;
}

Result<Ref<Inode>> make_node(FileSystem& owner, const Entry& entry, const Subject& subject) {
    if (entry.make) return entry.make(owner, subject);
    if (entry.directory) {
        return Ref<Inode>(TRY(core::make_ref<TableDirectory>(owner, subject, entry.name, 0555, *entry.directory)));
    }
    return Ref<Inode>(TRY(core::make_ref<LeafNode>(owner, entry, subject)));
}

Attributes DirectoryNode::attributes() { return make_attributes(subject_, name_, FileType::kDirectory, permissions_); }

Result<Ref<File>> DirectoryNode::open(const OpenRequest& request) {
    return Ref<File>(TRY(core::make_ref<DirectoryFile>(request.flags, *request.path)));
}

Result<Ref<Inode>> DirectoryNode::lookup_in(std::span<const Entry> entries, std::string_view name) {
    for (const Entry& entry : entries) {
        if (entry.name == name) return make_node(owner_, entry, subject_);
    }
    return fail(Errno::kNoEnt);
}

bool DirectoryNode::list(std::span<const Entry> entries, uint64_t first, uint64_t offset, DirectorySink& sink) {
    for (size_t i = 0; i < entries.size(); i++) {
        uint64_t own = first + i;
        if (own < offset) continue;
        if (!sink.entry(entries[i].name, inode_number(subject_, entries[i].name), type_of(entries[i]), own + 1)) return false;
    }
    return true;
}

Result<Ref<FileSystem>> create_text_file_system(std::string_view type_name, uint64_t magic,
                                                Result<Ref<Inode>> (*make_root)(FileSystem& owner)) {
    auto file_system = TRY(core::make_ref<TextFileSystem>(type_name, magic));
    file_system->set_root(TRY(make_root(*file_system)));
    return Ref<FileSystem>(std::move(file_system));
}

}  // namespace fs::proc
