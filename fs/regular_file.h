// Open regular files.
#pragma once

#include "fs/path_file.h"
#include "fs/tmpfs/regular.h"

namespace fs {

class RegularFile final : public PathFile {
  public:
    RegularFile(uint32_t flags, const Path& path, tmpfs::RegularNode& node) : PathFile(flags, path), node_(node) {}
    ~RegularFile() override;
    // Counts a writer; before the file is handed out. ETXTBSY.
    Result<void> begin();

    Result<size_t> read(Destination& destination, uint64_t* offset) override;
    Result<size_t> write(Source& source, uint64_t* offset) override;
    bool seekable() const override { return true; }
    Result<uint64_t> seek(int64_t offset, int whence) override;
    Result<uint64_t> ioctl(uint32_t command, uint64_t argument) override;  // FIONREAD
    Result<uint64_t> control(int command, uint64_t argument) override;     // seals
    Result<void> sync() override { return {}; }
    Result<void> truncate(uint64_t size) override { return node_.truncate(size); }
    Result<Ref<mm::Mappable>> mappable() override {
        node_.set_map_name(path_);
        return Ref<mm::Mappable>(&node_);
    }
    const char* kind() const override { return kKind; }

    tmpfs::RegularNode& node() const { return node_; }
    static constexpr char kKind[] = "regular file";

  private:
    tmpfs::RegularNode& node_;  // path_ keeps it
    bool counted_writer_ = false;
};

// lseek(2) for SEEK_SET, SEEK_CUR and SEEK_END, with the position and size given. EINVAL.
Result<uint64_t> seek_position(uint64_t position, uint64_t size, int64_t offset, int whence);

}  // namespace fs
