// Actions and the pending set: no locks, no scheduler, so that host tests can drive it alone.
#include <bit>
#include <new>

#include "process/signal.h"

namespace process {

namespace {

// Signals that a fault of the program itself raises are delivered before all others, so that their handler sees the
// registers of the fault (kernel/signal.c, next_signal()).
constexpr SignalSet kSynchronous{1ull << (kSigSegv - 1) | 1ull << (kSigBus - 1) | 1ull << (kSigIll - 1) |
                                 1ull << (kSigTrap - 1) | 1ull << (kSigFpe - 1) | 1ull << (kSigSys - 1)};

}  // namespace

SignalActions& SignalActions::operator=(const SignalActions& other) {
    changed_ = other.changed_;
    ignored_ = other.ignored_;
    for (uint64_t bits = changed_.bits; bits != 0; bits &= bits - 1) {
        int index = std::countr_zero(bits);
        of_[index].action = other.of_[index].action;
    }
    return *this;
}

void SignalActions::reset_handlers() {
    changed_ = ignored_;
    SignalAction ignore;
    ignore.handler = kSigIgn;
    for (uint64_t bits = ignored_.bits; bits != 0; bits &= bits - 1) of_[std::countr_zero(bits)].action = ignore;
}

void free_entry(QueuedSignal* entry) {
    if (entry && !entry->taken) delete entry;
}

void free_entries(PendingSignals::EntryList& entries) {
    while (!entries.empty()) {
        QueuedSignal& entry = entries.front();
        entries.pop_front();
        free_entry(&entry);
    }
}

PendingSignals::~PendingSignals() { free_entries(entries_); }

QueuedSignal* PendingSignals::add(int signal, QueuedSignal* entry) {
    bool was_pending = set_.has(signal);
    set_.add(signal);
    if (signal < kSigRtMin && was_pending) return entry;
    if (entry) {
        entry->info.signal = signal;
        entries_.push_back(*entry);
    }
    return nullptr;
}

bool PendingSignals::queued(int signal) const {
    for (const QueuedSignal& entry : entries_) {
        if (entry.info.signal == signal) return true;
    }
    return false;
}

bool PendingSignals::take(SignalSet wanted, SignalInfo& info, QueuedSignal*& entry) {
    entry = nullptr;
    SignalSet candidates = set_ & wanted;
    if (candidates.empty()) return false;
    if (!(candidates & kSynchronous).empty()) candidates = candidates & kSynchronous;
    int signal = __builtin_ctzll(candidates.bits) + 1;
    for (QueuedSignal& queued_entry : entries_) {
        if (queued_entry.info.signal != signal) continue;
        entry = &queued_entry;
        break;
    }
    if (entry) {
        entries_.erase(entries_.iterator_to(*entry));
        info = entry->info;
        if (entry->taken) entry->taken(*entry, info);
    } else {
        info = SignalInfo{};
        info.signal = signal;
        info.code = kSiUser;
    }
    if (signal < kSigRtMin || !queued(signal)) set_.remove(signal);
    return true;
}

void PendingSignals::drop(SignalSet which, EntryList& dropped) {
    if ((set_ & which).empty()) return;
    set_ = set_ & ~which;
    for (auto it = entries_.begin(); it != entries_.end();) {
        QueuedSignal& entry = *it++;
        if (!which.has(entry.info.signal)) continue;
        entries_.erase(entries_.iterator_to(entry));
        if (entry.taken) {
            SignalInfo unused = entry.info;
            entry.taken(entry, unused);
        }
        dropped.push_back(entry);
    }
}

void PendingSignals::remove(QueuedSignal& entry) {
    for (QueuedSignal& queued_entry : entries_) {
        if (&queued_entry != &entry) continue;
        int signal = entry.info.signal;
        entries_.erase(entries_.iterator_to(entry));
        if (!queued(signal)) set_.remove(signal);
        return;
    }
}

}  // namespace process
