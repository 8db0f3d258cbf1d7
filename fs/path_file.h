// Open files that were found by a path: base of regular files, directories and device files.
#pragma once

#include "fs/file.h"
#include "fs/path.h"

namespace fs {

// Holds the path (and so the mount), answers attributes() and description(), and releases file locks.
class PathFile : public File {
  public:
    PathFile(uint32_t flags, const Path& path);
    ~PathFile() override;
    Ref<Inode> inode() override { return path_.dentry->inode_ref(); }
    Attributes attributes() override { return path_.dentry->inode().attributes(); }
    Result<core::String> description() override;
    void descriptor_closed(const void* owner) override;
    const Path* path() const override { return &path_; }

  protected:
    Path path_;
};

// open(2) with O_PATH: only a place.
class PlaceFile final : public PathFile {
  public:
    using PathFile::PathFile;
    uint32_t poll(PollRegistrar*) override { return kPollNval; }
};

}  // namespace fs
