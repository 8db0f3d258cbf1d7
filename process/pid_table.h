// The pid number space: who holds which number as thread, process, process group or session.
#pragma once

#include <cstdint>

#include "core/intrusive.h"
#include "core/result.h"
#include "process/process.h"

namespace process {

// One number in use. It stays while anybody holds it: a thread, a process (also a zombie), or members of the group
// or session that it names, so that a new process never gets a number that still names an old group.
struct PidNumber {
    int number = 0;
    uint32_t users = 0;
    Thread* thread = nullptr;    // not referenced: it clears the field when it leaves
    Process* process = nullptr;  // referenced until reaped
    core::List<Process, &Process::group_hook> group;
    core::List<Process, &Process::session_hook> session;
    core::TreeHook hook;
    bool operator<(const PidNumber& other) const { return number < other.number; }
};

// Not locked: the caller holds the tree lock. Numbers ascend and wrap, as in Linux: after kMaximum - 1 the search
// goes on at kFirstAfterWrap.
class PidTable {
  public:
    static constexpr int kMaximum = 32768;       // /proc/sys/kernel/pid_max
    static constexpr int kFirstAfterWrap = 300;  // RESERVED_PIDS

    // Puts `fresh` (from the caller, so that nothing is allocated here) into the table under the next free number
    // with one user. EAGAIN if all numbers are taken; `fresh` is then untouched.
    Result<void> insert(PidNumber& fresh);
    PidNumber* find(int number);
    // The first number > `after`, or null.
    PidNumber* next(int after);
    void hold(PidNumber& number) { number.users++; }
    // The last release takes it out of the table and returns true: the caller frees it (outside of the lock).
    [[nodiscard]] bool release(PidNumber& number);
    int last() const { return last_; }

  private:
    struct ByNumber {
        bool operator()(const PidNumber& a, const PidNumber& b) const { return a.number < b.number; }
        bool operator()(const PidNumber& a, int b) const { return a.number < b; }
        bool operator()(int a, const PidNumber& b) const { return a < b.number; }
    };
    int first_free(int from, int end);
    core::Tree<PidNumber, &PidNumber::hook, ByNumber> tree_;
    int last_ = 0;
};

}  // namespace process
