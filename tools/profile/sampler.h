// Samples a running machine by time, where its instructions cannot be counted (KVM).
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <thread>

#include "profile/gdb_remote.h"
#include "profile/trace.h"

namespace tool {

/// Stops the machine every `interval`, notes where each processor is, and lets it go on, in a thread of its own until the
/// machine ends. The kernel's callers are found by its frame pointers; of a program only the innermost function is.
class Sampler {
  public:
    Sampler(std::filesystem::path socket, std::chrono::milliseconds interval);
    /// Waits for the machine's end.
    ~Sampler();
    Sampler(const Sampler&) = delete;
    Sampler& operator=(const Sampler&) = delete;

    /// Once the machine has ended: a trace in which each execution is a sample and each block one instruction.
    Trace finish();

  private:
    void run();
    void take(GdbRemote& machine);
    uint32_t block_of(GdbRemote& machine, uint64_t address);

    std::filesystem::path socket_;
    std::chrono::milliseconds interval_;
    Trace trace_;
    std::map<std::pair<uint64_t, int32_t>, uint32_t> blocks_;
    std::map<std::string, int32_t> pages_;
    std::map<std::pair<uint32_t, uint32_t>, uint32_t> nodes_;
    std::map<std::pair<uint32_t, uint32_t>, uint64_t> counts_;
    std::atomic<bool> ended_ = false;
    std::thread thread_;
};

}  // namespace tool
