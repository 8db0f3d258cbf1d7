// Files without an inode: epoll, eventfd, timerfd, signalfd (Linux' anon_inode).
#pragma once

#include <string_view>

#include "fs/file.h"

namespace fs {

// A number for the next file without a directory entry; never 0, never the same.
uint64_t next_anonymous_inode();
Timespec current_time();

class AnonymousFile : public File {
  public:
    // `name`: "[eventfd]"; a literal.
    AnonymousFile(uint32_t flags, std::string_view name) : File(flags), name_(name) {}

    // Goes nowhere, and is no error (Linux' noop_llseek()).
    Result<uint64_t> seek(int64_t, int) override { return 0; }
    Attributes attributes() override;
    Result<core::String> description() override;  // "anon_inode:[eventfd]"

  private:
    std::string_view name_;
};

}  // namespace fs
