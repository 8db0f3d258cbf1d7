// /dev/pts: one name for each pseudo-terminal whose master is open, and ptmx (Linux' devpts).
#include "core/log.h"
#include "fs/device.h"
#include "fs/directory_file.h"
#include "fs/events/anonymous_file.h"
#include "fs/tty/pty.h"

namespace fs {

namespace {

constexpr uint64_t kDevPtsMagic = 0x1cd1;
constexpr uint64_t kRootNumber = 1, kPtmxNumber = 2, kFirstNumber = 3;

class PtsNode final : public Inode {
  public:
    // `pty` null: ptmx.
    PtsNode(FileSystem& owner, Ref<tty::Pty> pty) : owner_(owner), pty_(std::move(pty)) {}
    FileSystem& file_system() override { return owner_; }
    Attributes attributes() override {
        Attributes attributes;
        attributes.type = FileType::kCharacter;
        if (!pty_) {
            attributes.inode_number = kPtmxNumber;
            attributes.permissions = 0666;
            attributes.device_number = make_device(5, 2);
            return attributes;
        }
        attributes.inode_number = kFirstNumber + pty_->index();
        attributes.permissions = 0620;
        attributes.uid = pty_->uid();
        attributes.gid = 5;  // tty, as Debian mounts it
        attributes.device_number = pty_->device_number();
        attributes.access = attributes.modification = attributes.change = pty_->created();
        return attributes;
    }
    // grantpt(3) has nothing to change: owner and mode are right from the start.
    Result<void> change_attributes(const AttributeChange&) override { return {}; }
    Result<Ref<File>> open(const OpenRequest& request) override { return open_device(*this, request); }

  private:
    FileSystem& owner_;
    Ref<tty::Pty> pty_;
};

class PtsRoot final : public Inode {
  public:
    explicit PtsRoot(FileSystem& owner) : owner_(owner) {}
    FileSystem& file_system() override { return owner_; }
    Attributes attributes() override {
        Attributes attributes;
        attributes.inode_number = kRootNumber;
        attributes.type = FileType::kDirectory;
        attributes.permissions = 0755;
        attributes.link_count = 2;
        attributes.access = attributes.modification = attributes.change = created_;
        return attributes;
    }
    Result<Ref<Inode>> lookup(std::string_view name) override {
        if (name == "ptmx") return Ref<Inode>(TRY(core::make_ref<PtsNode>(owner_, nullptr)));
        int index = 0;
        if (name.empty() || name.size() > 4 || (name.size() > 1 && name[0] == '0')) return fail(Errno::kNoEnt);
        for (char digit : name) {
            if (digit < '0' || digit > '9') return fail(Errno::kNoEnt);
            index = index * 10 + (digit - '0');
        }
        auto pty = tty::Pty::find(index);
        if (!pty) return fail(Errno::kNoEnt);
        return Ref<Inode>(TRY(core::make_ref<PtsNode>(owner_, std::move(pty))));
    }
    Result<Ref<File>> open(const OpenRequest& request) override {
        return Ref<File>(TRY(core::make_ref<DirectoryFile>(request.flags, *request.path)));
    }
    Result<void> read_directory(uint64_t offset, DirectorySink& sink) override {
        if (offset == 0 && !sink.entry("ptmx", kPtmxNumber, FileType::kCharacter, 1)) return {};
        int from = offset == 0 ? 0 : static_cast<int>(offset - 1);
        for (int index; (index = tty::Pty::next_index(from)) >= 0; from = index + 1) {
            char name[8];
            auto text = klog::format(name, sizeof name, "{}", index);
            if (!sink.entry(text, kFirstNumber + index, FileType::kCharacter, static_cast<uint64_t>(index) + 2)) return {};
        }
        return {};
    }

  private:
    FileSystem& owner_;
    const Timespec created_ = current_time();
};

class PtsFileSystem final : public FileSystem {
  public:
    Result<void> initialize() {
        root_ = TRY(core::make_ref<PtsRoot>(*this));
        return {};
    }
    Ref<Inode> root() override { return root_; }
    FileSystemStatistics statistics() override { return {kDevPtsMagic, core::kPageSize, 0, 0, 0, 0, 255}; }
    std::string_view type_name() const override { return "devpts"; }
    uint64_t device_number() const override { return device_; }
    bool volatile_names() const override { return true; }

  private:
    const uint64_t device_ = allocate_device_number();
    Ref<Inode> root_;
};

}  // namespace

Result<Ref<FileSystem>> create_pts_file_system() {
    auto file_system = TRY(core::make_ref<PtsFileSystem>());
    TRY(file_system->initialize());
    return Ref<FileSystem>(std::move(file_system));
}

}  // namespace fs
