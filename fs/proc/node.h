// What /proc and /sys are made of: constant tables of entries, and inodes made from them when they are looked up.
#pragma once

#include <span>

#include "fs/inode.h"
#include "fs/path.h"
#include "fs/proc/text.h"

namespace fs::proc {

// What an entry is about: a thread of a process, and below fd/ a descriptor; below /sys/devices/system/cpu/cpuN a
// processor. All 0 for entries about the machine.
struct Subject {
    int pid = 0, tid = 0, fd = 0;
    unsigned cpu = 0;
};

// One name in a directory. Exactly one of text, link and directory is set.
struct Entry {
    std::string_view name;
    uint16_t permissions = 0444;
    // A file: its content. ESRCH if the process has gone.
    Result<void> (*text)(Text& text, const Subject& subject) = nullptr;
    // What a write does; null: EACCES by the mode bits, EIO for root. `data` is one write's bytes (at most 4095).
    Result<void> (*write)(std::string_view data, const Subject& subject) = nullptr;
    // A symbolic link: its text, and for magic links where it leads.
    Result<core::String> (*link)(const Subject& subject) = nullptr;
    Result<Path> (*follow)(const Subject& subject, const LookupRequest& request) = nullptr;
    // A directory: from a table, or of a class of its own.
    const struct Directory* directory = nullptr;
    Result<Ref<Inode>> (*make)(FileSystem& owner, const Subject& subject) = nullptr;
    FileType make_type = FileType::kDirectory;
    // A file that is read and written in place (mem) instead of as a text.
    Result<Ref<File>> (*open)(const OpenRequest& request, const Subject& subject) = nullptr;
};

struct Directory {
    std::span<const Entry> entries;
};

// Number of an entry about a subject: stable while the subject lives.
uint64_t inode_number(const Subject& subject, std::string_view name);
// Mode bits and owner that the kernel gives: root, or the process's effective ids.
Attributes make_attributes(const Subject& subject, std::string_view name, FileType type, uint16_t permissions);
// The inode of an entry. ENOMEM.
Result<Ref<Inode>> make_node(FileSystem& owner, const Entry& entry, const Subject& subject);
FileType type_of(const Entry& entry);

// Base of directories: attributes and opening; subclasses give names.
class DirectoryNode : public Inode {
  public:
    DirectoryNode(FileSystem& owner, const Subject& subject, std::string_view name, uint16_t permissions)
        : owner_(owner), subject_(subject), name_(name), permissions_(permissions) {}
    FileSystem& file_system() override { return owner_; }
    Attributes attributes() override;
    Result<void> change_attributes(const AttributeChange&) override { return fail(Errno::kPerm); }
    // Nothing can be made here, and Linux says so with ENOENT.
    Result<Ref<Inode>> create(std::string_view, FileType, uint16_t, uint32_t, uint32_t, uint64_t) override {
        return fail(Errno::kNoEnt);
    }
    Result<Ref<Inode>> create_symlink(std::string_view, std::string_view, uint32_t, uint32_t) override {
        return fail(Errno::kNoEnt);
    }
    Result<Ref<File>> open(const OpenRequest& request) override;

  protected:
    // Looks `name` up in a table; ENOENT.
    Result<Ref<Inode>> lookup_in(std::span<const Entry> entries, std::string_view name);
    // Lists a table whose entries have the offsets first, first + 1, ...; false when the sink is full.
    bool list(std::span<const Entry> entries, uint64_t first, uint64_t offset, DirectorySink& sink);

    FileSystem& owner_;
    const Subject subject_;
    const std::string_view name_;
    const uint16_t permissions_;
};

// A directory that is a table.
class TableDirectory final : public DirectoryNode {
  public:
    TableDirectory(FileSystem& owner, const Subject& subject, std::string_view name, uint16_t permissions,
                   const Directory& directory)
        : DirectoryNode(owner, subject, name, permissions), directory_(directory) {}
    Result<Ref<Inode>> lookup(std::string_view name) override { return lookup_in(directory_.entries, name); }
    Result<void> read_directory(uint64_t offset, DirectorySink& sink) override {
        list(directory_.entries, 0, offset, sink);
        return {};
    }

  private:
    const Directory& directory_;
};

// A file system whose root comes from `make_root`.
Result<Ref<FileSystem>> create_text_file_system(std::string_view type_name, uint64_t magic,
                                                Result<Ref<Inode>> (*make_root)(FileSystem& owner));

}  // namespace fs::proc
