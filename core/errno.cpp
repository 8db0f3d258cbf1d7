#include "core/errno.h"

namespace core {

const char* errno_name(Errno error) {
    switch (error) {
#define NAME(constant, text) case Errno::constant: return text;
        NAME(kPerm, "EPERM") NAME(kNoEnt, "ENOENT") NAME(kSrch, "ESRCH") NAME(kIntr, "EINTR") NAME(kIo, "EIO")
        NAME(kNxIo, "ENXIO") NAME(k2Big, "E2BIG") NAME(kNoExec, "ENOEXEC") NAME(kBadF, "EBADF")
        NAME(kChild, "ECHILD") NAME(kAgain, "EAGAIN") NAME(kNoMem, "ENOMEM") NAME(kAcces, "EACCES")
        NAME(kFault, "EFAULT") NAME(kNotBlk, "ENOTBLK") NAME(kBusy, "EBUSY") NAME(kExist, "EEXIST")
        NAME(kXDev, "EXDEV") NAME(kNoDev, "ENODEV") NAME(kNotDir, "ENOTDIR") NAME(kIsDir, "EISDIR")
        NAME(kInval, "EINVAL") NAME(kNFile, "ENFILE") NAME(kMFile, "EMFILE") NAME(kNotTy, "ENOTTY")
        NAME(kTxtBsy, "ETXTBSY") NAME(kFBig, "EFBIG") NAME(kNoSpc, "ENOSPC") NAME(kSPipe, "ESPIPE")
        NAME(kRoFs, "EROFS") NAME(kMLink, "EMLINK") NAME(kPipe, "EPIPE") NAME(kDom, "EDOM")
        NAME(kRange, "ERANGE") NAME(kDeadlk, "EDEADLK") NAME(kNameTooLong, "ENAMETOOLONG")
        NAME(kNoLck, "ENOLCK") NAME(kNoSys, "ENOSYS") NAME(kNotEmpty, "ENOTEMPTY") NAME(kLoop, "ELOOP")
        NAME(kNoMsg, "ENOMSG") NAME(kNoData, "ENODATA") NAME(kTime, "ETIME") NAME(kProto, "EPROTO")
        NAME(kBadMsg, "EBADMSG") NAME(kOverflow, "EOVERFLOW") NAME(kIlSeq, "EILSEQ")
        NAME(kNotSock, "ENOTSOCK") NAME(kDestAddrReq, "EDESTADDRREQ") NAME(kMsgSize, "EMSGSIZE")
        NAME(kPrototype, "EPROTOTYPE") NAME(kNoProtoOpt, "ENOPROTOOPT")
        NAME(kProtoNoSupport, "EPROTONOSUPPORT") NAME(kSockTNoSupport, "ESOCKTNOSUPPORT")
        NAME(kOpNotSupp, "EOPNOTSUPP") NAME(kPfNoSupport, "EPFNOSUPPORT")
        NAME(kAfNoSupport, "EAFNOSUPPORT") NAME(kAddrInUse, "EADDRINUSE")
        NAME(kAddrNotAvail, "EADDRNOTAVAIL") NAME(kNetDown, "ENETDOWN") NAME(kNetUnreach, "ENETUNREACH")
        NAME(kNetReset, "ENETRESET") NAME(kConnAborted, "ECONNABORTED") NAME(kConnReset, "ECONNRESET")
        NAME(kNoBufs, "ENOBUFS") NAME(kIsConn, "EISCONN") NAME(kNotConn, "ENOTCONN")
        NAME(kShutdown, "ESHUTDOWN") NAME(kTimedOut, "ETIMEDOUT") NAME(kConnRefused, "ECONNREFUSED")
        NAME(kHostDown, "EHOSTDOWN") NAME(kHostUnreach, "EHOSTUNREACH") NAME(kAlready, "EALREADY")
        NAME(kInProgress, "EINPROGRESS") NAME(kStale, "ESTALE") NAME(kDQuot, "EDQUOT")
        NAME(kCanceled, "ECANCELED") NAME(kOwnerDead, "EOWNERDEAD")
        NAME(kNotRecoverable, "ENOTRECOVERABLE") NAME(kRestartSys, "ERESTARTSYS") NAME(kRestartNoIntr, "ERESTARTNOINTR")
        NAME(kRestartNoHandler, "ERESTARTNOHAND") NAME(kRestartBlock, "ERESTART_RESTARTBLOCK")
#undef NAME
    }
    return "E?";
}

}  // namespace core
