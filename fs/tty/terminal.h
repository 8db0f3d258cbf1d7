// A terminal: a line discipline between programs and a screen with keyboard, which is the host's console or the
// master side of a pseudo-terminal (tty(4), pty(7)); job control (credentials(7), setpgid(2)).
//
// Locks: lock_ (kPipe) guards everything here; the derived class's device lock comes after it. Signals are collected
// under it and sent after it is released, since process groups stand above it in the order.
#pragma once

#include <atomic>

#include "core/intrusive.h"
#include "fs/file.h"
#include "fs/pipe/pipe.h"
#include "fs/tty/byte_ring.h"
#include "fs/tty/line_discipline.h"

namespace fs::tty {

class Terminal : public core::RefCounted, private LineOutput {
  public:
    explicit Terminal(uint64_t device_number);
    ~Terminal() override;

    // The program's side. EIO, EAGAIN, kRestartSys (also after SIGTTIN and SIGTTOU were sent), EFAULT.
    Result<size_t> read(Destination& destination, Blocking blocking);
    Result<size_t> write(Source& source, Blocking blocking);
    virtual Result<uint64_t> ioctl(uint32_t command, uint64_t argument);
    uint32_t poll(PollRegistrar* registrar);
    virtual void slave_opened() {}
    virtual void slave_closed() {}
    // open(2) without O_NOCTTY by a session leader that has no terminal.
    void adopt_by_opener();

    // The other side: bytes from the keyboard. Returns how many were taken.
    size_t receive(const uint8_t* bytes, size_t count);
    Result<void> set_window_size(WindowSize size);
    WindowSize window_size();
    // The line is gone: readers see end of file, writers EIO; SIGHUP and SIGCONT go to the session.
    void hang_up();
    void give_up_session();  // the session leader has left

    uint64_t device_number() const { return device_number_; }
    int session() const { return session_.load(std::memory_order_relaxed); }
    int foreground() const { return foreground_.load(std::memory_order_relaxed); }
    void set_session(int session, int foreground);

    core::ListHook all_hook;  // fs/tty/terminal.cpp

  protected:
    static constexpr size_t kOutputSize = 8192;

    // New output waits in output_. The console sends it, a pseudo-terminal tells its master. Under lock_.
    virtual void output_added_locked() = 0;
    // There is room for input again. No lock held.
    virtual void input_wanted() {}
    // Output that a drain has to wait for. Under lock_.
    virtual bool output_pending_locked() { return false; }
    // The ioctls that a master shares with its slave; `master`: no job control, foreground of the slave.
    enum class Side : bool { kSlave, kMaster };
    Result<uint64_t> common_ioctl(uint32_t command, uint64_t argument, Side side);
    void wake_writers();
    bool stopped_locked() const { return stopped_; }

    core::Spinlock lock_{core::Rank::kPipe};
    ByteRing<kOutputSize> output_;
    bool hung_up_ = false;
    sched::WaitQueue readers_, writers_;
    LineDiscipline discipline_{*this};

  private:
    void emit(uint8_t byte) override;
    void raise(int signal) override { raised_ |= 1ull << (signal - 1); }
    void discard_output() override { output_.clear(); }
    void set_stopped(bool stopped) override { stopped_ = stopped; }

    Result<void> check_foreground(int signal);
    bool is_controlling() const;
    void send_raised(uint64_t raised);
    bool enough_locked(size_t wanted) const;
    Result<void> set_settings(uint32_t command, uint64_t argument, Side side);
    Result<void> drain();
    Result<uint64_t> set_foreground(uint64_t argument, Side side);
    Result<uint64_t> make_controlling(uint64_t argument);

    const uint64_t device_number_;
    std::atomic<int> session_{0}, foreground_{0};
    WindowSize window_;
    uint64_t raised_ = 0;  // signals to send, bits
    bool stopped_ = false;
    bool exclusive_ = false;
};

// The terminal of a session, or null.
Ref<Terminal> terminal_of_session(int session);

}  // namespace fs::tty
