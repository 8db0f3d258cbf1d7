// One open end (or, for a FIFO opened O_RDWR, both ends) of a pipe.
#pragma once

#include "fs/pipe/pipe.h"

namespace fs {

class PipeFile final : public File {
  public:
    static const char kKind[];

    // Adopts ends that Pipe::open() has counted.
    PipeFile(Ref<Pipe> pipe, uint32_t flags, uint64_t writer_generation)
        : File(flags), pipe_(std::move(pipe)), ends_(ends_of(flags)), writer_generation_(writer_generation) {}
    ~PipeFile() override { pipe_->close_ends(ends_); }
    static Pipe::Ends ends_of(uint32_t flags) {
        uint32_t access = flags & kOAccMode;
        return {.read = access != kOWrOnly, .write = access != kORdOnly};
    }

    Result<size_t> read(Destination& destination, uint64_t* offset) override;
    Result<size_t> write(Source& source, uint64_t* offset) override;
    Result<uint64_t> ioctl(uint32_t command, uint64_t argument) override;
    Result<uint64_t> control(int command, uint64_t argument) override;
    uint32_t poll(PollRegistrar* registrar) override;
    Ref<Inode> inode() override { return Ref<Inode>(&pipe_->node()); }
    Attributes attributes() override;
    Result<core::String> description() override;
    const char* kind() const override { return kKind; }

    Pipe& pipe() { return *pipe_; }

  private:
    Blocking blocking() const { return non_blocking() ? Blocking::kNo : Blocking::kYes; }

    Ref<Pipe> pipe_;
    const Pipe::Ends ends_;
    const uint64_t writer_generation_;
};

}  // namespace fs
