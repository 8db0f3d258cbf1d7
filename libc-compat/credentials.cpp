// User and group ids, groups, capabilities: credentials(7), capabilities(7). A change installs a copy, so that other
// threads that look at the old one are not disturbed; as on Linux, each thread has credentials of its own (libc
// changes all threads by signals).
#include <algorithm>

#include "libc-compat/families.h"

#include "arch/x86_64/user_copy.h"

namespace abi {

namespace {

using process::Credentials;

constexpr uint32_t kKeep = ~0u;  // -1: leave this id as it is
constexpr size_t kMostGroups = 65536;

// Installs changed credentials for the running thread.
void install(Context& context, Ref<Credentials> changed) {
    core::SpinGuard guard(context.process().signal_lock);
    std::swap(context.thread.credentials, changed);
    guard.unlock();
}

// capabilities(7), "Effect of user ID changes on capabilities".
void adjust_capabilities(const process::Thread& thread, const Credentials& old, Credentials& changed) {
    bool had_root = old.uid == 0 || old.euid == 0 || old.suid == 0;
    bool has_root = changed.uid == 0 || changed.euid == 0 || changed.suid == 0;
    if (had_root && !has_root) {
        if (!thread.keep_capabilities) changed.capabilities_permitted = 0;
        changed.capabilities_effective = 0;
        changed.capabilities_ambient = 0;
    }
    if (old.euid == 0 && changed.euid != 0) changed.capabilities_effective = 0;
    if (old.euid != 0 && changed.euid == 0) changed.capabilities_effective = changed.capabilities_permitted;
}

bool is_one_of(uint32_t id, uint32_t a, uint32_t b, uint32_t c) { return id == a || id == b || id == c; }

Result<uint32_t> sys_getuid(Context& context) { return context.credentials().uid; }
Result<uint32_t> sys_geteuid(Context& context) { return context.credentials().euid; }
Result<uint32_t> sys_getgid(Context& context) { return context.credentials().gid; }
Result<uint32_t> sys_getegid(Context& context) { return context.credentials().egid; }

Result<void> change_uids(Context& context, uint32_t uid, uint32_t euid, uint32_t suid) {
    const Credentials& old = context.credentials();
    Ref<Credentials> changed = TRY(old.clone());
    if (uid != kKeep) changed->uid = uid;
    if (euid != kKeep) changed->euid = euid;
    if (suid != kKeep) changed->suid = suid;
    changed->fsuid = changed->euid;
    adjust_capabilities(context.thread, old, *changed);
    install(context, changed);
    return {};
}

Result<void> change_gids(Context& context, uint32_t gid, uint32_t egid, uint32_t sgid) {
    Ref<Credentials> changed = TRY(context.credentials().clone());
    if (gid != kKeep) changed->gid = gid;
    if (egid != kKeep) changed->egid = egid;
    if (sgid != kKeep) changed->sgid = sgid;
    changed->fsgid = changed->egid;
    install(context, changed);
    return {};
}

Result<void> sys_setuid(Context& context, uint32_t uid) {
    const Credentials& c = context.credentials();
    if (uid == kKeep) return fail(Errno::kInval);
    if (c.has_capability(process::kCapSetUid)) return change_uids(context, uid, uid, uid);
    if (uid != c.uid && uid != c.suid) return fail(Errno::kPerm);
    return change_uids(context, kKeep, uid, kKeep);
}

Result<void> sys_setgid(Context& context, uint32_t gid) {
    const Credentials& c = context.credentials();
    if (gid == kKeep) return fail(Errno::kInval);
    if (c.has_capability(process::kCapSetGid)) return change_gids(context, gid, gid, gid);
    if (gid != c.gid && gid != c.sgid) return fail(Errno::kPerm);
    return change_gids(context, kKeep, gid, kKeep);
}

Result<void> sys_setreuid(Context& context, uint32_t uid, uint32_t euid) {
    const Credentials& c = context.credentials();
    if (!c.has_capability(process::kCapSetUid)) {
        if (uid != kKeep && uid != c.uid && uid != c.euid) return fail(Errno::kPerm);
        if (euid != kKeep && !is_one_of(euid, c.uid, c.euid, c.suid)) return fail(Errno::kPerm);
    }
    uint32_t new_euid = euid == kKeep ? c.euid : euid;
    bool saves = uid != kKeep || (euid != kKeep && euid != c.uid);
    return change_uids(context, uid, euid, saves ? new_euid : kKeep);
}

Result<void> sys_setregid(Context& context, uint32_t gid, uint32_t egid) {
    const Credentials& c = context.credentials();
    if (!c.has_capability(process::kCapSetGid)) {
        if (gid != kKeep && gid != c.gid && gid != c.egid) return fail(Errno::kPerm);
        if (egid != kKeep && !is_one_of(egid, c.gid, c.egid, c.sgid)) return fail(Errno::kPerm);
    }
    uint32_t new_egid = egid == kKeep ? c.egid : egid;
    bool saves = gid != kKeep || (egid != kKeep && egid != c.gid);
    return change_gids(context, gid, egid, saves ? new_egid : kKeep);
}

Result<void> sys_setresuid(Context& context, uint32_t uid, uint32_t euid, uint32_t suid) {
    const Credentials& c = context.credentials();
    if (!c.has_capability(process::kCapSetUid)) {
        for (uint32_t id : {uid, euid, suid}) {
            if (id != kKeep && !is_one_of(id, c.uid, c.euid, c.suid)) return fail(Errno::kPerm);
        }
    }
    return change_uids(context, uid, euid, suid);
}

Result<void> sys_setresgid(Context& context, uint32_t gid, uint32_t egid, uint32_t sgid) {
    const Credentials& c = context.credentials();
    if (!c.has_capability(process::kCapSetGid)) {
        for (uint32_t id : {gid, egid, sgid}) {
            if (id != kKeep && !is_one_of(id, c.gid, c.egid, c.sgid)) return fail(Errno::kPerm);
        }
    }
    return change_gids(context, gid, egid, sgid);
}

Result<void> sys_getresuid(Context& context, UserOut<uint32_t> uid, UserOut<uint32_t> euid, UserOut<uint32_t> suid) {
    const Credentials& c = context.credentials();
    TRY(arch::copy_out(uid, c.uid));
    TRY(arch::copy_out(euid, c.euid));
    return arch::copy_out(suid, c.suid);
}

Result<void> sys_getresgid(Context& context, UserOut<uint32_t> gid, UserOut<uint32_t> egid, UserOut<uint32_t> sgid) {
    const Credentials& c = context.credentials();
    TRY(arch::copy_out(gid, c.gid));
    TRY(arch::copy_out(egid, c.egid));
    return arch::copy_out(sgid, c.sgid);
}

// setfsuid(2) and setfsgid(2) return the old id whether they changed it or not.
Result<uint32_t> sys_setfsuid(Context& context, uint32_t uid) {
    const Credentials& c = context.credentials();
    uint32_t old = c.fsuid;
    bool allowed = c.has_capability(process::kCapSetUid) || is_one_of(uid, c.uid, c.euid, c.suid) || uid == old;
    if (uid == kKeep || !allowed) return old;
    auto changed = c.clone();
    if (!changed) return old;
    (*changed)->fsuid = uid;
    install(context, *changed);
    return old;
}

Result<uint32_t> sys_setfsgid(Context& context, uint32_t gid) {
    const Credentials& c = context.credentials();
    uint32_t old = c.fsgid;
    bool allowed = c.has_capability(process::kCapSetGid) || is_one_of(gid, c.gid, c.egid, c.sgid) || gid == old;
    if (gid == kKeep || !allowed) return old;
    auto changed = c.clone();
    if (!changed) return old;
    (*changed)->fsgid = gid;
    install(context, *changed);
    return old;
}

Result<size_t> sys_getgroups(Context& context, int size, UserOut<uint32_t> list) {
    const auto& groups = context.credentials().groups;
    if (size < 0) return fail(Errno::kInval);
    if (size == 0) return groups.size();
    if (static_cast<size_t>(size) < groups.size()) return fail(Errno::kInval);
    TRY(arch::copy_out_array(list, std::span<const uint32_t>(groups)));
    return groups.size();
}

Result<void> sys_setgroups(Context& context, size_t size, UserIn<uint32_t> list) {
    if (!context.credentials().has_capability(process::kCapSetGid)) return fail(Errno::kPerm);
    if (size > kMostGroups) return fail(Errno::kInval);
    Ref<Credentials> changed = TRY(context.credentials().clone());
    TRY(changed->groups.resize(size));
    TRY(arch::copy_in_array(std::span(changed->groups.data(), size), list));
    std::sort(changed->groups.begin(), changed->groups.end());  // as getgroups(2) of Linux shows them
    install(context, changed);
    return {};
}

// capget(2): version 3, two 32-bit halves of each set.
constexpr uint32_t kCapabilityVersion1 = 0x19980330, kCapabilityVersion2 = 0x20071026, kCapabilityVersion3 = 0x20080522;
struct CapabilityHeader { uint32_t version; int32_t pid; };
struct CapabilityData { uint32_t effective, permitted, inheritable; };

// How many data words the version has; writes our version and fails with EINVAL if it is unknown.
Result<unsigned> data_count(UserOut<CapabilityHeader> address, CapabilityHeader& header) {
    header = TRY(arch::copy_in(UserIn<CapabilityHeader>(address)));
    if (header.version == kCapabilityVersion1) return 1u;
    if (header.version == kCapabilityVersion2 || header.version == kCapabilityVersion3) return 2u;
    header.version = kCapabilityVersion3;
    TRY(arch::copy_out(address, header));
    return fail(Errno::kInval);
}

Result<void> sys_capget(Context& context, UserOut<CapabilityHeader> header_address, UserOut<CapabilityData> data) {
    CapabilityHeader header;
    auto counted = data_count(header_address, header);
    // With no data, asking for the version is a success.
    if (!counted) return data.is_null() && counted.error() == Errno::kInval ? Result<void>() : fail(counted.error());
    if (header.pid < 0) return fail(Errno::kInval);
    Ref<Credentials> credentials = context.thread.credentials;
    if (header.pid != 0 && header.pid != context.thread.tid) {
        Ref<process::Thread> thread = process::find_thread(header.pid);
        if (!thread) return fail(Errno::kSrch);
        core::SpinGuard guard(thread->process->signal_lock);
        credentials = thread->credentials;
    }
    if (data.is_null()) return {};
    for (unsigned i = 0; i < *counted; i++) {
        auto half = [i](uint64_t set) { return static_cast<uint32_t>(set >> (32 * i)); };
        TRY(arch::copy_out(data + i, CapabilityData{half(credentials->capabilities_effective),
                                                    half(credentials->capabilities_permitted),
                                                    half(credentials->capabilities_inheritable)}));
    }
    return {};
}

Result<void> sys_capset(Context& context, UserOut<CapabilityHeader> header_address, UserIn<CapabilityData> data) {
    CapabilityHeader header;
    unsigned count = TRY(data_count(header_address, header));
    if (header.pid != 0 && header.pid != context.thread.tid) return fail(Errno::kPerm);
    uint64_t effective = 0, permitted = 0, inheritable = 0;
    for (unsigned i = 0; i < count; i++) {
        CapabilityData half = TRY(arch::copy_in(data + i));
        effective |= uint64_t{half.effective} << (32 * i);
        permitted |= uint64_t{half.permitted} << (32 * i);
        inheritable |= uint64_t{half.inheritable} << (32 * i);
    }
    const Credentials& old = context.credentials();
    effective &= process::kAllCapabilities;
    permitted &= process::kAllCapabilities;
    inheritable &= process::kAllCapabilities;
    // capabilities(7), "Programmatically adjusting capability sets".
    bool may_add = old.has_capability(process::kCapSetPCap);
    if (inheritable & ~(old.capabilities_inheritable | (may_add ? ~0ull : old.capabilities_permitted))) {
        return fail(Errno::kPerm);
    }
    if (inheritable & ~(old.capabilities_inheritable | old.capabilities_bounding)) return fail(Errno::kPerm);
    if (permitted & ~old.capabilities_permitted) return fail(Errno::kPerm);
    if (effective & ~permitted) return fail(Errno::kPerm);
    Ref<Credentials> changed = TRY(old.clone());
    changed->capabilities_effective = effective;
    changed->capabilities_permitted = permitted;
    changed->capabilities_inheritable = inheritable;
    changed->capabilities_ambient &= permitted & inheritable;
    install(context, changed);
    return {};
}

constexpr SystemCall kCalls[] = {
    CALL(102, getuid, ""),
    CALL(104, getgid, ""),
    CALL(105, setuid, "uid"),
    CALL(106, setgid, "gid"),
    CALL(107, geteuid, ""),
    CALL(108, getegid, ""),
    CALL(113, setreuid, "ruid, euid"),
    CALL(114, setregid, "rgid, egid"),
    CALL(115, getgroups, "size, list"),
    CALL(116, setgroups, "size, list"),
    CALL(117, setresuid, "ruid, euid, suid"),
    CALL(118, getresuid, "ruid, euid, suid"),
    CALL(119, setresgid, "rgid, egid, sgid"),
    CALL(120, getresgid, "rgid, egid, sgid"),
    CALL(122, setfsuid, "fsuid"),
    CALL(123, setfsgid, "fsgid"),
    CALL(125, capget, "hdrp, datap"),
    CALL(126, capset, "hdrp, datap"),
};

}  // namespace

const SystemCallFamily kCredentialFamily{"credentials", kCalls};

}  // namespace abi
