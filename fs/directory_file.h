// Open directories (getdents64(2)).
#pragma once

#include "fs/path_file.h"

namespace fs {

// Positions: 0 is ".", 1 is "..", then the offsets of the inode plus 2.
class DirectoryFile : public PathFile {
  public:
    using PathFile::PathFile;
    Result<size_t> read(Destination&, uint64_t*) override { return fail(Errno::kIsDir); }
    bool seekable() const override { return true; }
    Result<uint64_t> seek(int64_t offset, int whence) override;
    Result<void> sync() override { return {}; }
    // Starts at `position` and advances it. The caller holds position_lock. ENOENT once the directory is removed.
    Result<void> read_directory(DirectorySink& sink) override;
    const char* kind() const override { return kKind; }
    static constexpr char kKind[] = "directory";
    // The process whose directory this is (/proc/<pid>), as ProcessView::process() gave it; null for all others.
    virtual core::RefCounted* process() const { return nullptr; }
};

}  // namespace fs
