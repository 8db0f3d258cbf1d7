// Descriptors that stand for processes (pidfd_open(2)): poll tells of the end, pidfd_send_signal(2) signals.
#pragma once

#include "fs/file.h"
#include "process/process.h"

namespace process {

class PidFile final : public fs::File {
  public:
    explicit PidFile(Ref<Process> process, uint32_t flags) : File(flags | fs::kORdWr), process_(std::move(process)) {}
    static constexpr char kKind[] = "pidfd";
    const char* kind() const override { return kKind; }
    uint32_t poll(fs::PollRegistrar* registrar) override;
    Result<size_t> read(fs::Destination&, uint64_t*) override { return fail(Errno::kInval); }
    Result<size_t> write(fs::Source&, uint64_t*) override { return fail(Errno::kInval); }
    fs::Attributes attributes() override;
    Result<core::String> description() override { return core::String::create("anon_inode:[pidfd]"); }
    Process& process() const { return *process_; }

  private:
    Ref<Process> process_;
};

// EBADF unless `fd` is a pidfd.
Result<Ref<Process>> process_of_pidfd(Thread& thread, int fd);
// The same, and /proc/<pid> opened as a directory stands for its process too (pidfd_send_signal(2)).
Result<Ref<Process>> process_to_signal(Thread& thread, int fd);

// CLONE_PIDFD's descriptor: closed again unless committed.
class PidFdReservation {
  public:
    PidFdReservation() = default;
    PidFdReservation(PidFdReservation&& other) { *this = std::move(other); }
    PidFdReservation& operator=(PidFdReservation&& other) {
        std::swap(files_, other.files_);
        std::swap(number_, other.number_);
        return *this;
    }
    ~PidFdReservation();
    static Result<PidFdReservation> create(Thread& parent, const Ref<Process>& process);
    int32_t number() const { return number_; }
    void commit() { number_ = -1; }

  private:
    Ref<fs::FdTable> files_;
    int32_t number_ = -1;
};

}  // namespace process
