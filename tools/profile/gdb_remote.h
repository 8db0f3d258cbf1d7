// A client of QEMU's gdb stub: stops the machine, reads registers and memory, lets it go on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "support/unique_fd.h"

namespace tool {

/// The remote serial protocol (gdb's manual, appendix E), as far as sampling needs it. Every call throws Failure when the
/// machine has ended.
class GdbRemote {
  public:
    struct Registers {
        uint64_t rip, rbp, rsp;
    };

    /// Connects to a Unix socket that QEMU listens on, waiting for it; that stops the machine.
    explicit GdbRemote(const std::filesystem::path& socket);

    void go_on();
    void stop();
    /// Numbers of the processors, of a stopped machine.
    std::vector<std::string> processors();
    /// Chooses the processor that the next calls are about.
    void select(const std::string& processor);
    Registers registers();
    /// nullopt if an address is not mapped.
    std::optional<std::string> memory(uint64_t address, size_t size);

  private:
    void send(const std::string& payload);
    std::string receive();
    std::string ask(const std::string& payload);
    char byte();

    UniqueFd socket_;
    std::string pending_;
    size_t next_ = 0;
};

}  // namespace tool
