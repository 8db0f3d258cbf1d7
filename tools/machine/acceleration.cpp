#include "machine/acceleration.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "support/failure.h"
#include "support/strings.h"
#include "support/unique_fd.h"

namespace tool {

namespace {

bool processor_has_virtualisation() {
    std::ifstream cpuinfo("/proc/cpuinfo");
    for (std::string line; std::getline(cpuinfo, line);) {
        if (!line.starts_with("flags")) continue;
        for (const std::string& flag : split(line, ' '))
            if (flag == "vmx" || flag == "svm") return true;
        return false;
    }
    return false;
}

/// The exit status of the child that tries: which step failed.
enum ProbeStep { kWorks = 0, kApi, kMachine, kMemory, kProcessor, kRegisters, kRun };

constexpr const char* kStepNames[] = {"",
                                      "it speaks another version of the interface",
                                      "it cannot make a machine",
                                      "it cannot give a machine memory",
                                      "it cannot make a processor",
                                      "it cannot set registers",
                                      "it cannot run an instruction"};

// A page with one HLT at address 0, in real mode: what Documentation/virt/kvm/api.rst asks of a minimal machine.
ProbeStep run_one_instruction(int kvm) {
    if (::ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) return kApi;
    int machine = ::ioctl(kvm, KVM_CREATE_VM, 0);
    if (machine < 0) return kMachine;
    void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return kMemory;
    *static_cast<unsigned char*>(page) = 0xF4;  // hlt
    kvm_userspace_memory_region region = {};
    region.memory_size = 4096;
    region.userspace_addr = reinterpret_cast<uint64_t>(page);
    if (::ioctl(machine, KVM_SET_USER_MEMORY_REGION, &region) != 0) return kMemory;
    int processor = ::ioctl(machine, KVM_CREATE_VCPU, 0);
    int shared_size = ::ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (processor < 0 || shared_size < static_cast<int>(sizeof(kvm_run))) return kProcessor;
    void* shared =
        ::mmap(nullptr, static_cast<size_t>(shared_size), PROT_READ | PROT_WRITE, MAP_SHARED, processor, 0);
    if (shared == MAP_FAILED) return kProcessor;
    kvm_sregs system = {};
    if (::ioctl(processor, KVM_GET_SREGS, &system) != 0) return kRegisters;
    system.cs.base = 0;
    system.cs.selector = 0;
    kvm_regs registers = {};
    registers.rflags = 2;
    if (::ioctl(processor, KVM_SET_SREGS, &system) != 0 || ::ioctl(processor, KVM_SET_REGS, &registers) != 0)
        return kRegisters;
    if (::ioctl(processor, KVM_RUN, 0) != 0) return kRun;
    return static_cast<kvm_run*>(shared)->exit_reason == KVM_EXIT_HLT ? kWorks : kRun;
}

}  // namespace

std::string probe_kvm() {
    UniqueFd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
    if (!kvm) return std::string("/dev/kvm cannot be opened: ") + std::strerror(errno);
    if (!processor_has_virtualisation()) return "the processor offers no hardware virtualisation (vmx or svm)";
    pid_t child = ::fork();
    if (child < 0) return "cannot fork";
    if (child == 0) {
        ::alarm(2);
        ::_exit(run_one_instruction(kvm.get()));
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status)) return "/dev/kvm opens, but a trial machine does not end";
    if (WEXITSTATUS(status) == kWorks) return {};
    return std::string("/dev/kvm opens, but ") + kStepNames[WEXITSTATUS(status) <= kRun ? WEXITSTATUS(status) : kRun];
}

AccelerationChoice choose_acceleration(std::string_view wanted) {
    if (wanted == "tcg") return {Acceleration::Tcg, "as asked"};
    std::string problem = probe_kvm();
    if (wanted == "kvm") {
        if (!problem.empty())
            throw Failure("KVM cannot be used: " + problem, "leave --accel out, or use --accel tcg");
        return {Acceleration::Kvm, "as asked"};
    }
    if (problem.empty()) return {Acceleration::Kvm, "a trial machine ran"};
    return {Acceleration::Tcg, problem};
}

}  // namespace tool
