// Memory: mmap, munmap, mprotect, mremap, madvise, brk, msync, mincore, mlock and relatives.
//
// Flags, limits and files are checked here, in Linux's order; the work is mm::AddressSpace's.
#include "arch/x86_64/pkru.h"
#include "libc-compat/families.h"

#include "fs/file.h"
#include "fs/mount.h"
#include "fs/path.h"
#include "fs/regular_file.h"
#include "mm/address_space.h"
#include "process/usage.h"

namespace abi {
namespace {

using mm::Protection;

// include/uapi/asm-generic/mman-common.h, mman.h
constexpr uint64_t kProtRead = 1, kProtWrite = 2, kProtExec = 4, kProtSem = 8, kProtGrowsDown = 0x01000000,
                   kProtGrowsUp = 0x02000000;
constexpr uint64_t kMapShared = 1, kMapPrivate = 2, kMapSharedValidate = 3, kMapType = 0xf, kMapFixed = 0x10,
                   kMapAnonymous = 0x20, kMap32Bit = 0x40, kMapGrowsDown = 0x100, kMapDenyWrite = 0x800,
                   kMapExecutable = 0x1000, kMapLocked = 0x2000, kMapNoReserve = 0x4000, kMapPopulate = 0x8000,
                   kMapNonBlock = 0x10000, kMapStack = 0x20000, kMapHugeTlb = 0x40000, kMapSync = 0x80000,
                   kMapFixedNoReplace = 0x100000;
// LEGACY_MAP_MASK: what MAP_SHARED_VALIDATE accepts.
constexpr uint64_t kKnownFlags = kMapType | kMapFixed | kMapAnonymous | kMap32Bit | kMapGrowsDown | kMapDenyWrite |
                                 kMapExecutable | kMapLocked | kMapNoReserve | kMapPopulate | kMapNonBlock |
                                 kMapStack | kMapHugeTlb | kMapFixedNoReplace;

Protection protection_of(uint64_t bits) {
    return {(bits & kProtRead) != 0, (bits & kProtWrite) != 0, (bits & kProtExec) != 0};
}

uint64_t pages_of(uint64_t bytes) { return bytes == process::kUnlimited ? bytes : bytes >> core::kPageShift; }

bool may_lock_without_limit(const Context& context) {
    return context.credentials().has_capability(process::kCapIpcLock);
}

// RLIMIT_MEMLOCK for `pages` more locked pages; `error` is what the call answers beyond it.
Result<void> check_lock_limit(Context& context, uint64_t pages, Errno error) {
    if (may_lock_without_limit(context)) return {};
    uint64_t limit = pages_of(context.limit(process::kLimitLocked));
    if (context.address_space().sizes().locked_pages + pages > limit) return fail(error);
    return {};
}

// RLIMIT_AS and RLIMIT_DATA for a mapping of `pages` more (getrlimit(2)).
Result<void> check_size_limits(Context& context, uint64_t pages, bool is_data) {
    uint64_t space_limit = context.limit(process::kLimitAddressSpace);
    uint64_t data_limit = context.limit(process::kLimitData);
    if (space_limit != process::kUnlimited &&
        context.address_space().mapped_pages() + pages > pages_of(space_limit)) {
        return fail(Errno::kNoMem);
    }
    if (is_data && data_limit != process::kUnlimited &&
        context.address_space().data_pages() + pages > pages_of(data_limit)) {
        return fail(Errno::kNoMem);
    }
    return {};
}

Result<void> check_file(const fs::File& file, uint64_t protection, uint64_t type, mm::MapRequest& request) {
    if (type != kMapPrivate) {
        if ((protection & kProtWrite) && !file.writable()) return fail(Errno::kAcces);
        if (!file.writable()) request.max_protection.write = false;
    }
    if (!file.readable()) return fail(Errno::kAcces);
    if (const fs::Path* path = file.path(); path && path->mount && (path->mount->flags() & fs::kMountNoExec)) {
        if (protection & kProtExec) return fail(Errno::kPerm);
        request.max_protection.execute = false;
    }
    return {};
}

// PROT_EXEC alone closes the execute-only key for the calling thread; others still read (Linux's
// __execute_only_pkey()).
unsigned close_execute_only_key(Context& context) {
    unsigned key = context.address_space().execute_only_key();
    if (key != 0) {
        arch::set_program_pkru(arch::program_pkru() | 1u << (2 * key));
    }
    return key;
}

// Seals against writing leave shared mappings that only read, now and later; none is added while one is made (fcntl(2)).
Result<UserAddr> map_shared_file(Context& context, fs::File& file, mm::MapRequest& request) {
    using Node = fs::tmpfs::RegularNode;
    if (file.kind() != fs::RegularFile::kKind) return context.address_space().map(request);
    Node& node = static_cast<fs::RegularFile&>(file).node();
    if (node.seals() == Node::kSealSeal) return context.address_space().map(request);  // has no others, nor ever will
    fs::TurnGuard guard(node.seal_lock());
    if (node.seals() & (Node::kSealWrite | Node::kSealFutureWrite)) {
        if (request.protection.write) return fail(Errno::kPerm);
        request.max_protection.write = false;
    }
    return context.address_space().map(request);
}

Result<UserAddr> sys_mmap(Context& context, uint64_t address, uint64_t length, uint64_t protection, uint64_t flags,
                          int fd, uint64_t offset) {
    if (offset % kPageSize != 0) return fail(Errno::kInval);
    Ref<fs::File> file;
    if (!(flags & kMapAnonymous)) {
        file = TRY(context.file(fd));
        if (flags & kMapHugeTlb) return fail(Errno::kInval);
    } else if (flags & kMapHugeTlb) {
        return fail(Errno::kNoMem);  // no huge pages are reserved (hugetlbpage: nr_hugepages is 0)
    }
    if (length == 0) return fail(Errno::kInval);
    uint64_t size = core::align_up(length, kPageSize);
    if (size == 0 || size > core::kUserEnd) return fail(Errno::kNoMem);
    if (offset + size < offset) return fail(Errno::kOverflow);

    mm::MapRequest request;
    request.address = UserAddr(address);
    request.size = size;
    request.protection = protection_of(protection);
    request.low = flags & kMap32Bit;
    uint64_t type = flags & kMapType;
    bool fixed = flags & (kMapFixed | kMapFixedNoReplace);
    request.placement = flags & kMapFixedNoReplace ? mm::Placement::kFixedNoReplace
                        : fixed                    ? mm::Placement::kFixed
                                                   : mm::Placement::kHint;
    if (fixed && request.address.page_offset() != 0) return fail(Errno::kInval);
    if (flags & kMapLocked) {
        if (!may_lock_without_limit(context) && context.limit(process::kLimitLocked) == 0) return fail(Errno::kPerm);
        TRY(check_lock_limit(context, size >> core::kPageShift, Errno::kAgain));
    }
    if (type != kMapShared && type != kMapPrivate && !(type == kMapSharedValidate && file)) {
        return fail(Errno::kInval);
    }
    if (type == kMapSharedValidate && (flags & ~kKnownFlags)) return fail(Errno::kOpNotSupp);
    request.sharing = type == kMapPrivate ? mm::Sharing::kPrivate : mm::Sharing::kShared;
    if (file) {
        TRY(check_file(*file, protection, type, request));
        request.object = TRY(file->mappable());
        request.offset = offset;
        if (flags & kMapGrowsDown) return fail(Errno::kInval);
    } else if (request.sharing == mm::Sharing::kShared && (flags & kMapGrowsDown)) {
        return fail(Errno::kInval);
    }
    request.grows_down = flags & kMapGrowsDown;
    request.locked = flags & kMapLocked;
    request.populate = (flags & kMapPopulate) && !(flags & kMapNonBlock);
    request.no_reserve = flags & kMapNoReserve;

    uint64_t pages = size >> core::kPageShift;
    if (request.placement == mm::Placement::kFixed && address <= core::kUserEnd - size) {
        uint64_t replaced = context.address_space().mapped_pages({request.address, request.address + size});
        process::note_unmapping(context.process(), context.address_space(), replaced);
        pages -= replaced;
    }
    bool is_data = request.sharing == mm::Sharing::kPrivate && request.protection.write && !request.grows_down;
    TRY(check_size_limits(context, pages, is_data));
    if (protection == kProtExec) request.key = close_execute_only_key(context);
    if (file && request.sharing == mm::Sharing::kShared) return map_shared_file(context, *file, request);
    return context.address_space().map(request);
}

Result<void> sys_munmap(Context& context, uint64_t address, uint64_t length) {
    if (address > core::kUserEnd || length > core::kUserEnd - address) return fail(Errno::kInval);
    process::note_unmapping(context.process(), context.address_space(), length >> core::kPageShift);
    return context.address_space().unmap({UserAddr(address), UserAddr(address + length)});
}

Result<void> protect(Context& context, uint64_t address, uint64_t length, uint64_t protection, int key) {
    if ((protection & (kProtGrowsDown | kProtGrowsUp)) == (kProtGrowsDown | kProtGrowsUp)) return fail(Errno::kInval);
    if (address % kPageSize != 0) return fail(Errno::kInval);
    if (length == 0) return {};
    uint64_t size = core::align_up(length, kPageSize);
    if (size == 0 || address + size < address) return fail(Errno::kNoMem);
    if (protection & ~(kProtRead | kProtWrite | kProtExec | kProtSem | kProtGrowsDown | kProtGrowsUp)) {
        return fail(Errno::kInval);
    }
    if (protection & kProtGrowsUp) return fail(Errno::kInval);  // no mapping grows up here
    auto extend = protection & kProtGrowsDown ? mm::AddressSpace::Extend::kToStart : mm::AddressSpace::Extend::kNo;
    bool execute_only = (protection & (kProtRead | kProtWrite | kProtExec)) == kProtExec;
    if (execute_only && key == mm::AddressSpace::kNoKey) close_execute_only_key(context);
    return context.address_space().protect({UserAddr(address), UserAddr(address + size)}, protection_of(protection),
                                           extend, key);
}

Result<void> sys_mprotect(Context& context, uint64_t address, uint64_t length, uint64_t protection) {
    return protect(context, address, length, protection, mm::AddressSpace::kNoKey);
}

Result<void> sys_pkey_mprotect(Context& context, uint64_t address, uint64_t length, uint64_t protection, int key) {
    return protect(context, address, length, protection, key);
}

Result<UserAddr> sys_mremap(Context& context, uint64_t address, uint64_t old_length, uint64_t new_length,
                            uint64_t flags, uint64_t new_address) {
    if (flags & ~uint64_t{7}) return fail(Errno::kInval);
    uint64_t old_size = core::align_up(old_length, kPageSize), new_size = core::align_up(new_length, kPageSize);
    if (address % kPageSize == 0 && new_size > old_size) {
        uint64_t grown = (new_size - old_size) >> core::kPageShift;
        TRY(check_size_limits(context, grown, false));
    } else if (new_size < old_size) {
        process::note_unmapping(context.process(), context.address_space(), (old_size - new_size) >> core::kPageShift);
    }
    if (old_size > core::kUserEnd || address > core::kUserEnd - old_size) {
        return fail(address % kPageSize != 0 || new_size == 0 ? Errno::kInval : Errno::kFault);
    }
    return context.address_space().remap({UserAddr(address), UserAddr(address + old_size)}, new_size,
                                         static_cast<unsigned>(flags), UserAddr(new_address));
}

Result<void> sys_madvise(Context& context, uint64_t address, uint64_t length, int advice) {
    if (address + length < address) return fail(Errno::kInval);
    // A thread that ends gives its stack back so, of which it had little in memory (pthread_exit(3)): not worth a look.
    constexpr int kDontNeed = 4;
    constexpr uint64_t kStacks = 16 << 20;
    if (advice == kDontNeed && length > kStacks) {
        process::note_unmapping(context.process(), context.address_space(), length >> core::kPageShift);
    }
    return context.address_space().advise({UserAddr(address), UserAddr(address + length)}, advice);
}

Result<UserAddr> sys_brk(Context& context, uint64_t address) {
    mm::AddressSpace& space = context.address_space();
    UserAddr now = space.set_break(UserAddr(0));
    if (UserAddr(address) <= now) {
        if (address != 0) process::note_unmapping(context.process(), space, (now - UserAddr(address)) >> core::kPageShift);
        return space.set_break(UserAddr(address));
    }
    uint64_t data_limit = context.limit(process::kLimitData);
    if (data_limit != process::kUnlimited && UserAddr(address) - space.break_start() > data_limit) return now;
    uint64_t pages = (UserAddr(address).page_up() - now.page_up()) >> core::kPageShift;
    if (!check_size_limits(context, pages, true)) return now;
    return space.set_break(UserAddr(address));
}

Result<void> sys_msync(Context& context, uint64_t address, uint64_t length, int flags) {
    if (address + length < address) return fail(Errno::kNoMem);
    return context.address_space().sync({UserAddr(address), UserAddr(address + length)}, flags);
}

Result<void> sys_mincore(Context& context, uint64_t address, uint64_t length, UserOut<uint8_t> residency) {
    if (address % kPageSize != 0) return fail(Errno::kInval);
    if (address > core::kUserEnd || length > core::kUserEnd - address) return fail(Errno::kNoMem);
    return context.address_space().mincore({UserAddr(address), UserAddr(address + length)}, residency);
}

Result<void> lock_range(Context& context, uint64_t address, uint64_t length, mm::LockMode mode) {
    if (!may_lock_without_limit(context) && context.limit(process::kLimitLocked) == 0) return fail(Errno::kPerm);
    uint64_t start = core::align_down(address, kPageSize);
    uint64_t size = core::align_up(length + (address - start), kPageSize);
    TRY(check_lock_limit(context, size >> core::kPageShift, Errno::kNoMem));
    if (start + size < start) return fail(Errno::kInval);
    return context.address_space().lock_memory({UserAddr(start), UserAddr(start + size)}, mode);
}

Result<void> sys_mlock(Context& context, uint64_t address, uint64_t length) {
    return lock_range(context, address, length, mm::LockMode::kNow);
}

Result<void> sys_mlock2(Context& context, uint64_t address, uint64_t length, int flags) {
    constexpr int kOnFault = 1;
    if (flags & ~kOnFault) return fail(Errno::kInval);
    return lock_range(context, address, length, flags & kOnFault ? mm::LockMode::kOnFault : mm::LockMode::kNow);
}

Result<void> sys_munlock(Context& context, uint64_t address, uint64_t length) {
    if (address + length < address) return fail(Errno::kInval);
    return context.address_space().unlock_memory({UserAddr(address), UserAddr(address + length)});
}

Result<void> sys_mlockall(Context& context, int flags) {
    constexpr int kCurrent = 1, kFuture = 2, kOnFault = 4;
    if (flags == 0 || (flags & ~(kCurrent | kFuture | kOnFault)) || flags == kOnFault) return fail(Errno::kInval);
    if (!may_lock_without_limit(context)) {
        uint64_t limit = context.limit(process::kLimitLocked);
        if (limit == 0) return fail(Errno::kPerm);
        if ((flags & kCurrent) && context.address_space().mapped_pages() > pages_of(limit)) {
            return fail(Errno::kNoMem);
        }
    }
    return context.address_space().lock_all((flags & kCurrent) != 0, (flags & kFuture) != 0,
                                            flags & kOnFault ? mm::LockMode::kOnFault : mm::LockMode::kNow);
}

Result<void> sys_munlockall(Context& context) {
    context.address_space().unlock_all();
    return {};
}

constexpr SystemCall kMemoryCalls[] = {
    CALL(9, mmap, "addr, length, prot, flags, fd, offset", "MAP_HUGETLB: ENOMEM, as if no huge pages were reserved"),
    CALL(10, mprotect, "addr, length, prot"),
    CALL(11, munmap, "addr, length"),
    CALL(12, brk, "addr"),
    CALL(25, mremap, "old_address, old_size, new_size, flags, new_address"),
    CALL(26, msync, "addr, length, flags"),
    CALL(27, mincore, "addr, length, vec"),
    CALL(28, madvise, "addr, length, advice", "hints about reading ahead change nothing"),
    CALL(149, mlock, "addr, length"),
    CALL(150, munlock, "addr, length"),
    CALL(151, mlockall, "flags"),
    CALL(152, munlockall, ""),
    CALL(325, mlock2, "addr, length, flags"),
    CALL(329, pkey_mprotect, "addr, length, prot, pkey"),
};

}  // namespace

const SystemCallFamily kMemoryFamily{"memory", kMemoryCalls};

}  // namespace abi
