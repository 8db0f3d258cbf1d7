#include "profile/sampler.h"

#include <algorithm>
#include <cstring>

#include "support/failure.h"

namespace tool {

namespace {

constexpr uint64_t kPageSize = 4096;
constexpr unsigned kMaxCallers = 64;

bool is_kernel(uint64_t address) { return address >> 63 != 0; }

}  // namespace

Sampler::Sampler(std::filesystem::path socket, std::chrono::milliseconds interval)
    : socket_(std::move(socket)), interval_(interval) {
    trace_.nodes.resize(2);  // no call, and boot
    thread_ = std::thread([this] { run(); });
}

Sampler::~Sampler() {
    ended_ = true;
    if (thread_.joinable()) thread_.join();
}

Trace Sampler::finish() {
    ended_ = true;
    thread_.join();
    for (const auto& [place, count] : counts_) trace_.counts.push_back({place.first, place.second, count});
    return std::move(trace_);
}

void Sampler::run() {
    try {
        GdbRemote machine(socket_);
        while (!ended_) {
            machine.go_on();
            std::this_thread::sleep_for(interval_);
            machine.stop();
            for (const std::string& processor : machine.processors()) {
                machine.select(processor);
                take(machine);
            }
        }
    } catch (const Failure&) {  // the machine has ended, as all do
    }
}

void Sampler::take(GdbRemote& machine) {
    const GdbRemote::Registers now = machine.registers();
    std::vector<uint64_t> callers;  // the innermost first
    if (is_kernel(now.rip)) {
        for (uint64_t frame = now.rbp; is_kernel(frame) && callers.size() < kMaxCallers;) {
            const std::optional<std::string> words = machine.memory(frame, 16);
            if (!words) break;
            uint64_t next, caller;
            std::memcpy(&next, words->data(), 8);
            std::memcpy(&caller, words->data() + 8, 8);
            if (!is_kernel(caller)) break;
            callers.push_back(caller - 1);  // within the call, not behind it
            if (next <= frame) break;       // callers lie higher
            frame = next;
        }
    }
    uint32_t node = Trace::kNoCall;
    for (size_t i = callers.size(); i-- > 0;) {
        const uint32_t block = block_of(machine, callers[i]);
        auto [entry, is_new] = nodes_.try_emplace({node, block}, static_cast<uint32_t>(trace_.nodes.size()));
        if (is_new) trace_.nodes.push_back({node, block});
        node = entry->second;
    }
    ++counts_[{node, block_of(machine, now.rip)}];
}

uint32_t Sampler::block_of(GdbRemote& machine, uint64_t address) {
    int32_t page = -1;
    if (!is_kernel(address)) {
        // The same address may be other code in another process.
        const std::optional<std::string> bytes = machine.memory(address & ~(kPageSize - 1), kPageSize);
        auto [entry, is_new] = pages_.try_emplace(bytes.value_or(std::string(kPageSize, '\0')),
                                                  static_cast<int32_t>(trace_.pages.size()));
        if (is_new) trace_.pages.push_back(entry->first);
        page = entry->second;
    }
    auto [entry, is_new] = blocks_.try_emplace({address, page}, static_cast<uint32_t>(trace_.blocks.size()));
    if (is_new) trace_.blocks.push_back({.address = address, .instructions = 1, .page = page});
    return entry->second;
}

}  // namespace tool
