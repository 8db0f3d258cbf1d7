// Open files of terminals.
#pragma once

#include "fs/path_file.h"
#include "fs/tty/pty.h"

namespace fs::tty {

// The program's side.
class TerminalFile final : public PathFile {
  public:
    TerminalFile(uint32_t flags, const Path& path, Ref<Terminal> terminal)
        : PathFile(flags, path), terminal_(std::move(terminal)) { terminal_->slave_opened(); }
    ~TerminalFile() override { terminal_->slave_closed(); }
    Result<size_t> read(Destination& destination, uint64_t*) override {
        return terminal_->read(destination, non_blocking() ? Blocking::kNo : Blocking::kYes);
    }
    Result<size_t> write(Source& source, uint64_t*) override {
        return terminal_->write(source, non_blocking() ? Blocking::kNo : Blocking::kYes);
    }
    Result<uint64_t> ioctl(uint32_t command, uint64_t argument) override { return terminal_->ioctl(command, argument); }
    uint32_t poll(PollRegistrar* registrar) override { return terminal_->poll(registrar); }

  private:
    Ref<Terminal> terminal_;
};

// /dev/ptmx: its end hangs up the terminal.
class PtyMasterFile final : public PathFile {
  public:
    PtyMasterFile(uint32_t flags, const Path& path, Ref<Pty> pty) : PathFile(flags, path), pty_(std::move(pty)) {}
    ~PtyMasterFile() override { pty_->master_closed(); }
    Result<size_t> read(Destination& destination, uint64_t*) override {
        return pty_->master_read(destination, non_blocking() ? Blocking::kNo : Blocking::kYes);
    }
    Result<size_t> write(Source& source, uint64_t*) override {
        return pty_->master_write(source, non_blocking() ? Blocking::kNo : Blocking::kYes);
    }
    Result<uint64_t> ioctl(uint32_t command, uint64_t argument) override { return pty_->master_ioctl(command, argument); }
    uint32_t poll(PollRegistrar* registrar) override { return pty_->master_poll(registrar); }

  private:
    Ref<Pty> pty_;
};

}  // namespace fs::tty
