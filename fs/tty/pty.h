// Pseudo-terminals (pty(7)): a terminal whose keyboard and screen are another program's descriptor.
#pragma once

#include "fs/tty/terminal.h"

namespace fs::tty {

inline constexpr uint32_t kPtySlaveMajor = 136;
inline constexpr int kPtyMax = 1024;

class Pty final : public Terminal {
  public:
    // With the lowest free number. ENOSPC when all are taken, ENOMEM.
    static Result<Ref<Pty>> create();
    // The pair of number `index` whose master is open, or null.
    static Ref<Pty> find(int index);
    // The smallest number >= `from` in use, or -1.
    static int next_index(int from);

    int index() const { return index_; }
    bool locked() const { return locked_.load(); }  // unlockpt(3) was not called
    uint32_t uid() const { return uid_; }
    uint32_t gid() const { return gid_; }
    Timespec created() const { return created_; }

    Result<size_t> master_read(Destination& destination, Blocking blocking);
    Result<size_t> master_write(Source& source, Blocking blocking);
    Result<uint64_t> master_ioctl(uint32_t command, uint64_t argument);
    uint32_t master_poll(PollRegistrar* registrar);
    void master_closed();
    void slave_opened() override;
    void slave_closed() override;

    explicit Pty(int index);
    ~Pty() override;

  private:
    void output_added_locked() override { master_readers_.wake_all(kPollIn | kPollRdNorm); }
    void input_wanted() override { master_writers_.wake_all(kPollOut | kPollWrNorm); }

    const int index_;
    std::atomic<bool> locked_{true};
    uint32_t uid_ = 0, gid_ = 0;
    Timespec created_;
    int slaves_ = 0;            // open files of the program's side
    bool slaves_gone_ = false;  // there were some, and all have closed
    sched::WaitQueue master_readers_, master_writers_;
};

}  // namespace fs::tty
