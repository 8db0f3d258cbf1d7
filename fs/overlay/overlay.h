// The root of the machine: the boot image made writable in memory.
//
// One tree of tmpfs nodes, each of which begins as what the image says and is read from it when first looked up.
// Pages of files stay in the image until they are written; then they are copied one by one. A directory's names
// are copied when it is first changed or listed. So there are no whiteouts, nothing is ever copied up as a whole,
// inode numbers and open files stay the same when a file is first written, hard links hold, and directories of
// the image can be renamed: better than Linux' overlayfs, of which programs see the name and magic number.
//
// Nodes of the image stay in memory once looked up, until their last name is gone.
#pragma once

#include <span>

#include "fs/inode.h"

namespace fs::overlay {

// EINVAL (broken image; logged), ENOMEM. The memory of `image` stays and does not change.
Result<Ref<FileSystem>> create(std::span<const std::byte> image);

}  // namespace fs::overlay
