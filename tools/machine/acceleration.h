// Whether KVM can run the machine, found out by trying.
#pragma once

#include <string>
#include <string_view>

namespace tool {

enum class Acceleration { Kvm, Tcg, TcgOneThread };  // TcgOneThread: the processors take turns

struct AccelerationChoice {
    Acceleration kind = Acceleration::Tcg;
    std::string reason;  // one clause, for the line that says which was chosen and why
};

/// `wanted` is "auto", "kvm" or "tcg". Throws Failure if "kvm" is asked for and cannot work.
AccelerationChoice choose_acceleration(std::string_view wanted);

/// Runs one HLT in a virtual machine, in a child with a time limit. Empty if that worked, else why not.
std::string probe_kvm();

}  // namespace tool
