#include "fs/pipe/pipe_file.h"

#include "arch/x86_64/user_copy.h"
#include "core/log.h"
#include "fs/pipe.h"
#include "fs/process_host.h"

namespace fs {

const char PipeFile::kKind[] = "pipe";

namespace {
constexpr uint32_t kFionRead = 0x541b;

Pipe* pipe_of(File& file) {
    return file.kind() == PipeFile::kKind ? &static_cast<PipeFile&>(file).pipe() : nullptr;
}
}  // namespace

Result<size_t> PipeFile::read(Destination& destination, uint64_t*) {
    if (!ends_.read) return fail(Errno::kBadF);
    return pipe_->read(destination, blocking());
}

Result<size_t> PipeFile::write(Source& source, uint64_t*) {
    if (!ends_.write) return fail(Errno::kBadF);
    return pipe_->write(source, blocking());
}

Result<uint64_t> PipeFile::ioctl(uint32_t command, uint64_t argument) {
    if (command != kFionRead) return fail(Errno::kNotTy);
    TRY(arch::copy_out(UserOut<int>(argument), static_cast<int>(pipe_->available())));
    return 0;
}

Result<uint64_t> PipeFile::control(int command, uint64_t argument) {
    constexpr int kSetPipeSize = 1031, kGetPipeSize = 1032;  // fcntl(2)
    if (command == kGetPipeSize) return pipe_->size();
    // Linux takes an unsigned int.
    if (command == kSetPipeSize) return pipe_->resize(static_cast<uint32_t>(argument), process_host().caller().uid == 0);
    return fail(Errno::kInval);
}

uint32_t PipeFile::poll(PollRegistrar* registrar) { return pipe_->poll(registrar, ends_, writer_generation_); }

Attributes PipeFile::attributes() { return pipe_->node().attributes(); }

Result<core::String> PipeFile::description() {
    char text[40];
    return core::String::create(klog::format(text, sizeof text, "pipe:[{}]", pipe_->inode_number()));
}

Result<PipePair> create_pipe(uint32_t flags) {
    auto pipe = TRY(Pipe::create(nullptr));
    auto* read_end = new (std::nothrow) PipeFile(pipe, (flags & kONonBlock) | kORdOnly, 0);
    auto* write_end = new (std::nothrow) PipeFile(pipe, (flags & kONonBlock) | kOWrOnly, 0);
    pipe->open_both();
    PipePair pair{Ref<File>::adopt(read_end), Ref<File>::adopt(write_end)};
    if (!read_end || !write_end) return fail(Errno::kNoMem);
    return pair;
}

Result<size_t> pipe_size(File& file) {
    Pipe* pipe = pipe_of(file);
    if (!pipe) return fail(Errno::kBadF);
    return pipe->size();
}

Result<size_t> set_pipe_size(File& file, size_t size, bool privileged) {
    Pipe* pipe = pipe_of(file);
    if (!pipe) return fail(Errno::kBadF);
    return pipe->resize(size, privileged);
}

}  // namespace fs
