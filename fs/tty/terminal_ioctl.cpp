// ioctl_tty(2).
#include "arch/x86_64/user_copy.h"
#include "fs/process_host.h"
#include "fs/tty/terminal.h"

namespace fs::tty {

namespace {
constexpr int kSigTtou = 22;
enum Command : uint32_t {
    kTcGetS = 0x5401, kTcSetS = 0x5402, kTcSetSW = 0x5403, kTcSetSF = 0x5404, kTcGetA = 0x5405,
    kTcSetA = 0x5406, kTcSetAW = 0x5407, kTcSetAF = 0x5408, kTcSBrk = 0x5409, kTcXOnC = 0x540a,
    kTcFlsh = 0x540b, kTioCExcl = 0x540c, kTioCNXcl = 0x540d, kTioCSCtty = 0x540e, kTioCGPgrp = 0x540f,
    kTioCSPgrp = 0x5410, kTioCOutQ = 0x5411, kTioCSti = 0x5412, kTioCGWinSz = 0x5413, kTioCSWinSz = 0x5414,
    kFioNRead = 0x541b, kTioCNoTty = 0x5422, kTioCSetD = 0x5423, kTioCGetD = 0x5424, kTcSBrkP = 0x5425,
    kTioCGSid = 0x5429, kTcGetS2 = 0x802c542a, kTcSetS2 = 0x402c542b, kTcSetSW2 = 0x402c542c, kTcSetSF2 = 0x402c542d,
    kTioCGExcl = 0x80045440,
};
}  // namespace

Result<uint64_t> Terminal::ioctl(uint32_t command, uint64_t argument) {
    {
        core::SpinGuard guard(lock_);
        if (hung_up_) return fail(command == kTioCSPgrp ? Errno::kNotTy : Errno::kIo);
    }
    return common_ioctl(command, argument, Side::kSlave);
}

Result<uint64_t> Terminal::common_ioctl(uint32_t command, uint64_t argument, Side side) {
    switch (command) {
        case kTcGetS:
        case kTcGetS2: {
            Termios2 settings;
            {
                core::SpinGuard guard(lock_);
                settings.basic = discipline_.settings();
            }
            TRY(arch::copy_out(UserAddr(argument), &settings, command == kTcGetS ? sizeof(Termios) : sizeof settings));
            return 0;
        }
        case kTcGetA: {
            Termio settings;
            {
                core::SpinGuard guard(lock_);
                settings = to_termio(discipline_.settings());
            }
            TRY(arch::copy_out(UserOut<Termio>(argument), settings));
            return 0;
        }
        case kTcSetA: case kTcSetAW: case kTcSetAF:
        case kTcSetS: case kTcSetSW: case kTcSetSF: case kTcSetS2: case kTcSetSW2: case kTcSetSF2:
            TRY(set_settings(command, argument, side));
            return 0;
        case kTioCGWinSz:
            TRY(arch::copy_out(UserOut<WindowSize>(argument), window_size()));
            return 0;
        case kTioCSWinSz:
            TRY(set_window_size(TRY(arch::copy_in(UserIn<WindowSize>(argument)))));
            return 0;
        case kFioNRead: {
            size_t count;
            {
                core::SpinGuard guard(lock_);
                count = side == Side::kSlave ? discipline_.available() : output_.size();
            }
            TRY(arch::copy_out(UserOut<int>(argument), static_cast<int>(count)));
            return 0;
        }
        case kTioCOutQ: {
            int count;
            {
                core::SpinGuard guard(lock_);
                count = output_pending_locked() ? static_cast<int>(output_.size()) : 0;
            }
            TRY(arch::copy_out(UserOut<int>(argument), count));
            return 0;
        }
        case kTioCGPgrp:
            if (side == Side::kSlave && !is_controlling()) return fail(Errno::kNotTy);
            TRY(arch::copy_out(UserOut<int>(argument), foreground()));
            return 0;
        case kTioCSPgrp: return set_foreground(argument, side);
        case kTioCGSid:
            if (session() == 0 || (side == Side::kSlave && !is_controlling())) return fail(Errno::kNotTy);
            TRY(arch::copy_out(UserOut<int>(argument), session()));
            return 0;
        case kTioCSCtty: return make_controlling(argument);
        case kTioCNoTty:
            if (!is_controlling()) return fail(Errno::kNotTy);
            // Only the leader's departure ends the session's tie; a member's own tie is that of its session here.
            if (process_host().caller().pid == session()) give_up_session();
            return 0;
        case kTcFlsh: {
            // TCIFLUSH 0, TCOFLUSH 1, TCIOFLUSH 2.
            if (argument > 2) return fail(Errno::kInval);
            TRY(check_foreground(kSigTtou));
            {
                core::SpinGuard guard(lock_);
                if (argument != 1) discipline_.flush_input();
                if (argument != 0) output_.clear();
            }
            wake_writers();
            input_wanted();
            return 0;
        }
        case kTcXOnC:
            // TCOOFF 0, TCOON 1; TCIOFF and TCION would send characters to a line that has no need of them.
            if (argument > 3) return fail(Errno::kInval);
            TRY(check_foreground(kSigTtou));
            if (argument <= 1) {
                {
                    core::SpinGuard guard(lock_);
                    stopped_ = argument == 0;
                }
                if (argument == 1) wake_writers();
            }
            return 0;
        case kTcSBrk: case kTcSBrkP:
            TRY(check_foreground(kSigTtou));
            TRY(drain());
            return 0;
        case kTioCExcl: case kTioCNXcl: {
            core::SpinGuard guard(lock_);
            exclusive_ = command == kTioCExcl;
            return 0;
        }
        case kTioCGExcl:
            TRY(arch::copy_out(UserOut<int>(argument), int{exclusive_}));
            return 0;
        case kTioCGetD:
            TRY(arch::copy_out(UserOut<int>(argument), 0));  // N_TTY
            return 0;
        case kTioCSetD:
            if (TRY(arch::copy_in(UserIn<int>(argument))) != 0) return fail(Errno::kInval);
            return 0;
        case kTioCSti: {
            auto byte = TRY(arch::copy_in(UserIn<uint8_t>(argument)));
            if (process_host().caller().uid != 0 && !is_controlling()) return fail(Errno::kPerm);
            receive(&byte, 1);
            return 0;
        }
        default: return fail(Errno::kNotTy);
    }
}

Result<void> Terminal::set_settings(uint32_t command, uint64_t argument, Side side) {
    if (side == Side::kSlave) TRY(check_foreground(kSigTtou));
    bool old = command >= kTcSetA && command <= kTcSetAF;
    Termios settings;
    Termio old_settings;
    if (old) old_settings = TRY(arch::copy_in(UserIn<Termio>(argument)));
    else TRY(arch::copy_in(&settings, UserAddr(argument), sizeof settings));  // a termios2 begins with a termios
    bool waits = command != kTcSetS && command != kTcSetS2 && command != kTcSetA;
    if (waits) TRY(drain());
    core::SpinGuard guard(lock_);
    if (command == kTcSetSF || command == kTcSetSF2 || command == kTcSetAF) discipline_.flush_input();
    if (old) settings = with_termio(discipline_.settings(), old_settings);
    settings.line = 0;
    discipline_.set_settings(settings);
    bool readable = discipline_.readable();
    guard.unlock();
    if (readable) readers_.wake_all(kPollIn | kPollRdNorm);
    wake_writers();
    return {};
}

Result<void> Terminal::drain() {
    core::SpinGuard guard(lock_);
    while (output_pending_locked() && !hung_up_) {
        auto wake = writers_.wait(guard, lock_, core::kNever, sched::Interruptible::kYes);
        if (wake == sched::Wake::kInterrupted) return fail(Errno::kRestartSys);
    }
    return {};
}

Result<uint64_t> Terminal::set_foreground(uint64_t argument, Side side) {
    if (side == Side::kSlave) {
        auto checked = check_foreground(kSigTtou);
        // EIO of an orphaned group is ENOTTY here (tiocspgrp() in Linux).
        if (!checked) return fail(checked.error() == Errno::kIo ? Errno::kNotTy : checked.error());
    }
    if (!is_controlling()) return fail(Errno::kNotTy);
    int group = TRY(arch::copy_in(UserIn<int>(argument)));
    if (group < 0) return fail(Errno::kInval);
    int owner = process_host().session_of_group(group);
    if (owner == 0) return fail(Errno::kSrch);
    if (owner != session()) return fail(Errno::kPerm);
    foreground_.store(group);
    return 0;
}

Result<uint64_t> Terminal::make_controlling(uint64_t argument) {
    Caller caller = process_host().caller();
    bool leader = caller.pid == caller.session;
    if (leader && session() == caller.session) return 0;
    if (!leader || terminal_of_session(caller.session)) return fail(Errno::kPerm);
    // Another session has it: root may steal it by asking with 1.
    if (session() != 0 && !(argument == 1 && caller.uid == 0)) return fail(Errno::kPerm);
    set_session(caller.session, caller.process_group);
    return 0;
}

}  // namespace fs::tty
