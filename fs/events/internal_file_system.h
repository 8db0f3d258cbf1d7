// File systems that are never mounted: where pipes and the standard streams have their inodes.
#pragma once

#include "fs/inode.h"

namespace fs {

class InternalFileSystem final : public FileSystem {
  public:
    InternalFileSystem(std::string_view name, uint64_t magic)
        : name_(name), magic_(magic), device_(allocate_device_number()) {}
    Ref<Inode> root() override { return nullptr; }
    FileSystemStatistics statistics() override { return {magic_, core::kPageSize, 0, 0, 0, 0, 255}; }
    std::string_view type_name() const override { return name_; }
    uint64_t device_number() const override { return device_; }

  private:
    std::string_view name_;
    uint64_t magic_, device_;
};

}  // namespace fs
