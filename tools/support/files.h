// Small helpers around files of the host.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace tool {

namespace fs = std::filesystem;

/// The whole content of a file; throws Failure if it cannot be read.
std::string read_file(const fs::path& path);

/// Replaces a file atomically: a reader sees the old content or the new one. Makes missing parent folders.
void write_file(const fs::path& path, std::string_view content);

/// A folder that is removed, with all in it, when the object goes.
class TemporaryFolder {
  public:
    /// Made inside `parent`, so that its files can be renamed to places beside it.
    explicit TemporaryFolder(const fs::path& parent);
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const fs::path& path() const { return path_; }

  private:
    fs::path path_;
};

/// An exclusive lock on a file, held while the object lives; a second tool waits.
class FileLock {
  public:
    explicit FileLock(const fs::path& path);
    ~FileLock();
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;

  private:
    int fd_ = -1;
};

}  // namespace tool
