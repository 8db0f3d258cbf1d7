// The ring of pages behind a pipe or FIFO (pipe(7)).
//
// Each slot is a page with one run of bytes. A write of at most PIPE_BUF bytes goes into one slot as a whole: into
// what is left of the newest page if it fits there, else into a fresh one, so it is atomic (as in Linux' fs/pipe.c,
// whose filling pattern programs can observe with non-blocking writes). Both ends are woken one waiter at a time;
// who leaves data or room behind wakes the next.
#pragma once

#include <cstdint>

#include "core/intrusive.h"
#include "core/lock.h"
#include "core/memory.h"
#include "core/vector.h"
#include "fs/file.h"
#include "sched/wait_queue.h"

namespace fs {

enum class Blocking : bool { kNo, kYes };

// A pipe without a name is its own inode (in "pipefs"), so that it can be opened again through /proc/self/fd.
class Pipe final : public Inode {
  public:
    // `inode`: the FIFO, null for a pipe without a name. ENOMEM.
    static Result<Ref<Pipe>> create(Ref<Inode> inode);

    // Bytes moved; 0 is end of file. EAGAIN, kRestartSys, EFAULT, and for write ENOMEM, EPIPE (SIGPIPE is sent).
    Result<size_t> read(Destination& destination, Blocking blocking);
    Result<size_t> write(Source& source, Blocking blocking);
    // splice(2) and tee(2). take() moves at most a page of bytes to `buffer`, which may be followed by returning its
    // last `count` bytes; until finish_take() their room stays reserved. Waits for bytes; 0: end of file. EAGAIN,
    // kRestartSys. copy() leaves them and does not wait: bytes from `offset` on, as many as there are.
    Result<size_t> take(std::byte* buffer, size_t size, Blocking blocking);
    void finish_take(const std::byte* rest, size_t count);
    size_t copy(std::byte* buffer, size_t size, size_t offset);
    // EAGAIN, kRestartSys. The end of the other side counts: end of file is readable, a broken pipe writable.
    Result<void> wait_readable(Blocking blocking);
    Result<void> wait_writable(Blocking blocking);

    // Bytes waiting (FIONREAD).
    size_t available();
    size_t size();  // F_GETPIPE_SZ
    Result<size_t> resize(size_t size, bool privileged);

    struct Ends { bool read = false, write = false; };
    // fifo(7): waits for a partner unless both ends are wanted. `*writer_generation` is what a non-blocking reader
    // remembers, so that it sees no POLLHUP before the first writer came. ENXIO, kRestartSys: nothing is open then.
    Result<void> open_ends(Ends ends, Blocking blocking, uint64_t* writer_generation);
    void open_both();  // pipe2: cannot fail or wait
    void close_ends(Ends ends);
    uint32_t poll(PollRegistrar* registrar, Ends ends, uint64_t writer_generation);

    // The FIFO, or itself.
    Inode& node() { return inode_ ? *inode_ : *this; }
    const Inode* fifo() const { return inode_.get(); }
    uint64_t inode_number() const { return inode_number_; }
    FileSystem& file_system() override;
    Attributes attributes() override;
    Result<void> change_attributes(const AttributeChange& change) override;
    Result<Ref<File>> open(const OpenRequest& request) override;  // by /proc/<pid>/fd/N, as fifo(7)

    // The table of open FIFOs (fs/pipe/fifo.cpp).
    core::TreeHook fifo_hook;

    Pipe(Ref<Inode> inode, uint64_t inode_number);
    ~Pipe() override;

  private:
    struct Slot {
        std::byte* page = nullptr;
        uint32_t offset = 0, length = 0;
    };

    uint32_t used_locked() const { return head_ - tail_; }
    bool empty_locked() const { return head_ == tail_; }
    bool full_locked() const { return used_locked() + reserved_ >= slots_.size(); }
    Slot& slot_locked(uint32_t position) { return slots_.data()[position & (slots_.size() - 1)]; }
    std::byte* take_page_locked();  // null: out of memory
    void give_page_locked(std::byte* page);
    void drop_oldest_locked();
    Result<void> wait_for_partner_locked(core::SpinGuard& guard, const uint64_t& generation);

    core::Spinlock lock_{core::Rank::kPipe};
    uint32_t head_ = 0, tail_ = 0;  // next slot to fill, oldest slot; count up for ever
    core::Vector<Slot> slots_;      // a power of two
    uint32_t reserved_ = 0;         // slots kept for what take() may give back
    std::byte* spare_ = nullptr;    // one page kept for the next write
    unsigned reader_count_ = 0, writer_count_ = 0;
    uint64_t reader_generation_ = 0, writer_generation_ = 0;  // opens so far
    // Somebody polls: tell every write, not only the first into an empty pipe (edge-triggered epoll counts on it).
    bool polled_ = false;
    sched::WaitQueue readers_, writers_;
    Ref<Inode> inode_;
    uint64_t inode_number_;
    uint32_t uid_ = 0, gid_ = 0;
    uint16_t permissions_ = 0600;
    Timespec created_, accessed_, modified_;
};

}  // namespace fs
