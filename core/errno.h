// Linux error numbers (include/uapi/asm-generic/errno-base.h and errno.h; errno(3)).
#pragma once

namespace core {

enum class Errno : int {
    kPerm = 1, kNoEnt = 2, kSrch = 3, kIntr = 4, kIo = 5, kNxIo = 6, k2Big = 7, kNoExec = 8, kBadF = 9,
    kChild = 10, kAgain = 11, kNoMem = 12, kAcces = 13, kFault = 14, kNotBlk = 15, kBusy = 16, kExist = 17,
    kXDev = 18, kNoDev = 19, kNotDir = 20, kIsDir = 21, kInval = 22, kNFile = 23, kMFile = 24, kNotTy = 25,
    kTxtBsy = 26, kFBig = 27, kNoSpc = 28, kSPipe = 29, kRoFs = 30, kMLink = 31, kPipe = 32, kDom = 33,
    kRange = 34, kDeadlk = 35, kNameTooLong = 36, kNoLck = 37, kNoSys = 38, kNotEmpty = 39, kLoop = 40,
    kNoMsg = 42, kNoData = 61, kTime = 62, kProto = 71, kBadMsg = 74, kOverflow = 75, kIlSeq = 84,
    kNotSock = 88, kDestAddrReq = 89, kMsgSize = 90, kPrototype = 91, kNoProtoOpt = 92,
    kProtoNoSupport = 93, kSockTNoSupport = 94, kOpNotSupp = 95, kPfNoSupport = 96, kAfNoSupport = 97,
    kAddrInUse = 98, kAddrNotAvail = 99, kNetDown = 100, kNetUnreach = 101, kNetReset = 102,
    kConnAborted = 103, kConnReset = 104, kNoBufs = 105, kIsConn = 106, kNotConn = 107, kShutdown = 108,
    kTimedOut = 110, kConnRefused = 111, kHostDown = 112, kHostUnreach = 113, kAlready = 114,
    kInProgress = 115, kStale = 116, kDQuot = 122, kCanceled = 125, kOwnerDead = 130, kNotRecoverable = 131,

    // Restart codes: never seen by a program. The system-call return path turns them into a restart or into
    // EINTR, as the interrupted call and SA_RESTART demand (signal(7), "Interruption of system calls").
    kRestartSys = 512,        // restart if the handler has SA_RESTART or no handler runs, else EINTR
    kRestartNoIntr = 513,     // restart always
    kRestartNoHandler = 514,  // restart only if no handler runs, else EINTR
    kRestartBlock = 516,      // resume with the time that is left (restart_syscall(2)), EINTR after a handler
};

// The symbolic name ("ENOENT"), or "E?" for an unknown number.
const char* errno_name(Errno error);

}  // namespace core
