// Replacing the program of a process (execve(2)), and making the first one's.
#pragma once

#include <span>
#include <string_view>

#include "arch/x86_64/user_state.h"
#include "process/argument_stack.h"
#include "process/elf.h"
#include "process/process.h"

namespace process {

// A file that is about to run, or runs: nobody can open it for writing (ETXTBSY) while this lives.
class ExecutableFile {
  public:
    // EACCES: not a regular file, no execute permission, or a noexec mount; ETXTBSY; errors of look-up.
    static Result<ExecutableFile> open(std::string_view path, const fs::LookupRequest& request);
    ExecutableFile(ExecutableFile&& other) : ExecutableFile() { *this = std::move(other); }
    ExecutableFile& operator=(ExecutableFile&& other);
    ~ExecutableFile() { release(); }

    fs::Inode& inode() const { return *inode_; }
    const fs::Path& path() const { return path_; }
    const Ref<mm::Mappable>& mappable() const { return mappable_; }
    uint64_t size() const { return mappable_->mapped_size(); }
    // The file's first page, or less if the file is shorter, where it lies in memory.
    std::span<const std::byte> head() const { return head_; }
    // Reads exactly the bytes there are, up to the size of `destination`.
    Result<size_t> read(uint64_t offset, std::span<std::byte> destination) const;
    // Gives the write exclusion to the caller (Process::executable_dentry).
    void keep() { inode_.reset(); }

  private:
    ExecutableFile() = default;
    void release();
    fs::Path path_;
    Ref<fs::Inode> inode_;         // null: keep() was called, or nothing is open
    Ref<mm::Mappable> mappable_;
    Pfn head_page_;                // referenced
    std::span<const std::byte> head_;
};

// Who executes.
struct ProgramContext {
    fs::FsContext* fs_context = nullptr;
    Credentials* credentials = nullptr;
    uint64_t stack_limit = 8 << 20;
    uint32_t personality = 0;
    bool may_gain_privileges = true;
};

struct ProgramRequest {
    std::string_view path;          // as the program gave it
    std::string_view display_name;  // AT_EXECFN and what scripts are told: `path`, or /dev/fd/N/path for execveat
    Ref<fs::File> start;            // execveat's directory
    bool empty_path = false, follow = true;
    bool name_goes_away = false;    // display_name is a close-on-exec descriptor: scripts get ENOENT
    StringBlock arguments, environment;
};

// Everything of a new program that can fail, made before the old one is touched.
struct PreparedProgram {
    Ref<mm::AddressSpace> address_space;
    Ref<Credentials> credentials;
    bool gains_privileges = false;
    Ref<fs::Dentry> dentry;
    Ref<fs::Mount> mount;
    arch::TrapFrame frame{};
    ProgramLayout layout;
    StackImage stack;  // with the auxiliary vector
    char name[16] = {};

    PreparedProgram() = default;
    PreparedProgram(PreparedProgram&&) = default;
    PreparedProgram& operator=(PreparedProgram&&) = default;
    // Ends the write exclusion unless adopt_program() has taken it.
    ~PreparedProgram();
};

// ENOENT (also a missing interpreter, which is logged), EACCES (also a program that isolation=mpk does not start, which
// is logged), ENOEXEC, ELOOP, E2BIG, ENOMEM, ETXTBSY, EINVAL.
// Changes `request`'s arguments (scripts).
Result<PreparedProgram> prepare_program(const ProgramContext& context, ProgramRequest& request);
// Moves what belongs to the process out of `program`. No failure. Caller: the process's only thread, or the process
// has not started.
void adopt_program(Process& process, Thread& thread, PreparedProgram& program);

// execve(2) of the running thread: on success the frame is the new program's and the old one is gone. On failure the
// caller goes on, except that siblings may have ended (EAGAIN, ENOMEM after the last check).
Result<void> execute(Thread& thread, arch::TrapFrame& frame, ProgramRequest& request);

// Maps the vDSO into a new program and returns where (AT_SYSINFO_EHDR); set at boot, none before.
using VdsoMapper = Result<UserAddr> (*)(mm::AddressSpace& space);
void set_vdso_mapper(VdsoMapper mapper);

}  // namespace process
