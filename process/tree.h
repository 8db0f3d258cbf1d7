// The one table of all processes, and its lock (Rank::kProcessTree).
#pragma once

#include <atomic>

#include "core/lock.h"
#include "process/pid_table.h"
#include "process/process.h"

namespace process {

struct ProcessTree {
    core::Spinlock lock{core::Rank::kProcessTree};
    PidTable pids;                       // under lock
    std::atomic<unsigned> threads{0};    // living threads of programs
    std::atomic<uint64_t> forks{0};      // processes and threads ever made
};
ProcessTree& tree();

// A number reserved for a thread that is being made; freed again unless committed.
class PidReservation {
  public:
    // EAGAIN, ENOMEM.
    static Result<PidReservation> create();
    PidReservation(PidReservation&& other) : number_(std::exchange(other.number_, nullptr)) {}
    ~PidReservation();
    int number() const { return number_->number; }
    PidNumber* commit() { return std::exchange(number_, nullptr); }

  private:
    explicit PidReservation(PidNumber* number) : number_(number) {}
    PidNumber* number_;
};

// Drops one use of a number; the caller holds the tree lock and puts what is returned (or null) into free_number()
// after releasing it.
PidNumber* release_number_locked(PidNumber& number);
void free_number(PidNumber* number);

// Moves a process into another group or session (numbers are held and released). Tree lock held. Returns the number
// to free as above.
PidNumber* set_group_locked(Process& process, PidNumber& group);
PidNumber* set_session_locked(Process& process, PidNumber& session);

// Takes a dead process out of the table: its parent has seen it, or does not care. Tree lock held; the caller calls
// finish() after releasing it.
struct Reaped {
    Process* process = nullptr;
    PidNumber* numbers[3] = {};
    void finish();
};
[[nodiscard]] Reaped reap_locked(Process& process);

}  // namespace process
