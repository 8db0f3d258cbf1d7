// What open files answer unless their kind knows better.
#include "fs/file.h"

#include "fs/path_file.h"
#include "fs/locks.h"
#include "sched/thread.h"

namespace fs {

void TurnLock::wait() { sched::yield(); }

Result<size_t> File::read(Destination&, uint64_t*) { return fail(Errno::kInval); }
Result<size_t> File::write(Source&, uint64_t*) { return fail(Errno::kInval); }
Result<uint64_t> File::seek(int64_t, int) { return fail(Errno::kSPipe); }
Result<uint64_t> File::ioctl(uint32_t, uint64_t) { return fail(Errno::kNotTy); }
Result<uint64_t> File::control(int, uint64_t) { return fail(Errno::kInval); }
uint32_t File::poll(PollRegistrar*) { return kPollIn | kPollOut | kPollRdNorm | kPollWrNorm; }

PathFile::PathFile(uint32_t flags, const Path& path) : File(flags), path_(path) {}

PathFile::~PathFile() {
    if (path_.inode().locks.load(std::memory_order_acquire)) [[unlikely]] release_file_locks(path_.inode(), *this);
}

Result<core::String> PathFile::description() { return path_.to_string(Path()); }

void PathFile::descriptor_closed(const void* owner) {
    if (path_.inode().locks.load(std::memory_order_acquire)) [[unlikely]] release_owner_locks(path_.inode(), owner);
}

}  // namespace fs
