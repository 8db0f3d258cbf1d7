// System V shared memory: shmget, shmat, shmdt, shmctl (shmop(2), sysvipc(7)).
//
// A segment lives as long as its entry in the table or a mapping refers to it. IPC_RMID takes the table's
// reference; the entry goes when the segment does, with its last mapping.
#include "arch/x86_64/user_copy.h"
#include "libc-compat/families.h"
#include "mm/frames.h"
#include "mm/shared_memory.h"
#include "sched/timer.h"

namespace abi {

namespace {

// include/uapi/linux/ipc.h, shm.h
constexpr int kIpcCreate = 01000, kIpcExclusive = 02000, kHugeTlb = 04000;
constexpr int kIpcPrivate = 0;
constexpr int kIpcRemove = 0, kIpcSet = 1, kIpcStat = 2, kIpcInfo = 3, kShmLock = 11, kShmUnlock = 12, kShmStat = 13,
              kShmInfo = 14, kShmStatAny = 15;
constexpr int kShmReadOnly = 010000, kShmRound = 020000, kShmRemap = 040000, kShmExecute = 0100000;
constexpr uint32_t kModeDestroyed = 01000, kModeLocked = 02000;
constexpr unsigned kMaxSegments = 4096;  // kernel.shmmni
constexpr uint64_t kMaxSize = ~uint64_t{0} - (uint64_t{1} << 24);  // kernel.shmmax, shmall

struct IpcPermissions {  // struct ipc64_perm
    int32_t key = 0;
    uint32_t uid = 0, gid = 0, creator_uid = 0, creator_gid = 0, mode = 0;
    uint16_t sequence = 0, padding[3] = {};
    uint64_t unused[2] = {};
};
static_assert(sizeof(IpcPermissions) == 48);
struct ShmidDs {  // struct shmid64_ds
    IpcPermissions permissions;
    uint64_t size = 0;
    int64_t attached_at = 0, detached_at = 0, changed_at = 0;
    int32_t creator_pid = 0, last_pid = 0;
    uint64_t attached = 0, unused[2] = {};
};
static_assert(sizeof(ShmidDs) == 112);
struct ShmLimits { uint64_t max_size, min_size, max_segments, max_per_process, max_pages, unused[4]; };
struct ShmUsage {  // struct shm_info
    int32_t used_ids = 0, padding = 0;
    uint64_t total_pages = 0, resident_pages = 0, swapped_pages = 0, swap_attempts = 0, swap_successes = 0;
};

int64_t now_s() { return static_cast<int64_t>((sched::monotonic_ns() + sched::realtime_offset_ns()) / 1'000'000'000); }

class Segment;

// All segments by index; an id is sequence * 32768 + index.
struct Table {
    Segment* entries[kMaxSegments] = {};
    uint16_t sequence = 0;
    uint64_t pages = 0;
};
core::Guarded<Table, core::Rank::kDevice> g_table;

class Segment final : public mm::Mappable {
  public:
    Segment(Ref<mm::Mappable> memory, uint64_t size) : memory_(std::move(memory)), size_(size) {}
    ~Segment() override {
        if (index < 0) return;
        auto table = g_table.lock();
        table->entries[index] = nullptr;
        table->pages -= pages();
    }
    mm::PageCache& page_cache() override { return memory_->page_cache(); }
    uint64_t mapped_size() const override { return size_; }
    std::string_view map_name() const override { return {name_, sizeof(name_) - 1}; }
    uint64_t map_inode_number() const override { return static_cast<uint64_t>(id); }
    bool is_system_v_segment() const override { return true; }
    uint64_t pages() const { return core::align_up(size_, kPageSize) >> core::kPageShift; }
    bool destroyed() const { return state.permissions.mode & kModeDestroyed; }

    // Guarded by the table's lock once it is in the table.
    ShmidDs state;
    int index = -1, id = -1;

    void set_name(uint32_t key) {
        for (unsigned i = 0; i < 8; i++) name_[5 + i] = "0123456789abcdef"[key >> (28 - 4 * i) & 15];
    }

  private:
    char name_[24] = "/SYSV00000000 (deleted)";
    Ref<mm::Mappable> memory_;
    uint64_t size_;
};

// ipcperms(): `wanted` is 4 to read, 2 to write.
bool permitted(const Context& context, const ShmidDs& state, uint32_t wanted) {
    const process::Credentials& who = context.credentials();
    const IpcPermissions& object = state.permissions;
    auto in_group = [&](uint32_t gid) {
        if (who.egid == gid) return true;
        for (uint32_t group : who.groups) {
            if (group == gid) return true;
        }
        return false;
    };
    uint32_t granted = object.mode;
    if (who.euid == object.uid || who.euid == object.creator_uid) granted >>= 6;
    else if (in_group(object.gid) || in_group(object.creator_gid)) granted >>= 3;
    return (wanted & ~granted & 7) == 0 || who.has_capability(process::kCapIpcOwner);
}

bool owns(const Context& context, const ShmidDs& state) {
    uint32_t euid = context.credentials().euid;
    return euid == state.permissions.uid || euid == state.permissions.creator_uid ||
           context.credentials().has_capability(process::kCapSysAdmin);
}

// The live segment with this id, referenced; null.
Ref<Segment> find_locked(Table& table, int id) {
    if (id < 0) return nullptr;
    Segment* segment = table.entries[id % 32768 % kMaxSegments];
    if (!segment || segment->id != id || !segment->try_ref()) return nullptr;
    return Ref<Segment>::adopt(segment);
}
Ref<Segment> find(int id) {
    auto table = g_table.lock();
    return find_locked(*table, id);
}

Ref<Segment> find_key_locked(Table& table, int key) {
    for (Segment* segment : table.entries) {
        if (segment && segment->state.permissions.key == key && !segment->destroyed() && segment->try_ref()) {
            return Ref<Segment>::adopt(segment);
        }
    }
    return nullptr;
}

Result<Ref<Segment>> new_segment(Context& context, int key, uint64_t size, int flags) {
    uint64_t rounded = core::align_up(size, kPageSize);
    if (size == 0 || size > kMaxSize) return fail(Errno::kInval);
    if ((rounded >> core::kPageShift) > mm::total_pages()) return fail(Errno::kNoMem);
    auto segment = TRY(core::make_ref<Segment>(TRY(mm::create_shared_memory(rounded)), size));
    const process::Credentials& who = context.credentials();
    IpcPermissions& permissions = segment->state.permissions;
    permissions.key = key;
    permissions.uid = permissions.creator_uid = who.euid;
    permissions.gid = permissions.creator_gid = who.egid;
    permissions.mode = static_cast<uint32_t>(flags & 0777);
    segment->state.size = size;
    segment->state.changed_at = now_s();
    segment->state.creator_pid = context.process().pid;
    segment->set_name(static_cast<uint32_t>(key));
    return segment;
}

// Enters it with the table's own reference. ENOSPC.
Result<int> enter_locked(Table& table, Segment& segment) {
    for (unsigned i = 0; i < kMaxSegments; i++) {
        if (table.entries[i]) continue;
        segment.index = static_cast<int>(i);
        segment.id = table.sequence * 32768 + segment.index;
        segment.state.permissions.sequence = table.sequence;
        table.sequence = (table.sequence + 1) % 65535;
        if (table.sequence * 32768u > 0x7fff'0000u) table.sequence = 0;
        table.entries[i] = &segment;
        table.pages += segment.pages();
        segment.ref();
        return segment.id;
    }
    return fail(Errno::kNoSpc);
}

Result<int> use_existing(Context& context, const Segment& segment, uint64_t size, int flags) {
    if ((flags & kIpcCreate) && (flags & kIpcExclusive)) return fail(Errno::kExist);
    uint32_t wanted = static_cast<uint32_t>((flags >> 6) | (flags >> 3) | flags) & 7;
    if (!permitted(context, segment.state, wanted)) return fail(Errno::kAcces);
    if (size > segment.state.size) return fail(Errno::kInval);
    return segment.id;
}

Result<int> sys_shmget(Context& context, int key, uint64_t size, int flags) {
    if (flags & kHugeTlb) return fail(Errno::kNoMem);  // no huge pages are reserved
    for (;;) {
        if (key != kIpcPrivate) {
            Ref<Segment> existing;
            {
                auto table = g_table.lock();
                existing = find_key_locked(*table, key);
            }
            if (existing) return use_existing(context, *existing, size, flags);
            if (!(flags & kIpcCreate)) return fail(Errno::kNoEnt);
        }
        auto segment = TRY(new_segment(context, key, size, flags));
        auto table = g_table.lock();
        Ref<Segment> rival = key != kIpcPrivate ? find_key_locked(*table, key) : nullptr;
        if (!rival) return enter_locked(*table, *segment);
        table.guard().unlock();  // somebody was faster: `rival` and `segment` go without the lock
    }
}

Result<UserAddr> sys_shmat(Context& context, int id, uint64_t address, int flags) {
    if (id < 0) return fail(Errno::kInval);
    if (address % kPageSize != 0) {
        if (!(flags & kShmRound)) return fail(Errno::kInval);
        address = core::align_down(address, kPageSize);
        if (address == 0 && (flags & kShmRemap)) return fail(Errno::kInval);
    } else if (address == 0 && (flags & kShmRemap)) {
        return fail(Errno::kInval);
    }
    auto segment = find(id);
    if (!segment) return fail(Errno::kInval);
    uint32_t wanted = 4u | (flags & kShmReadOnly ? 0u : 2u) | (flags & kShmExecute ? 1u : 0u);
    if (!permitted(context, segment->state, wanted)) return fail(Errno::kAcces);

    mm::MapRequest request;
    request.address = UserAddr(address);
    request.size = core::align_up(segment->mapped_size(), kPageSize);
    request.protection = {true, !(flags & kShmReadOnly), (flags & kShmExecute) != 0};
    request.max_protection = {true, !(flags & kShmReadOnly), true};
    request.sharing = mm::Sharing::kShared;
    request.placement = address == 0         ? mm::Placement::kHint
                        : flags & kShmRemap ? mm::Placement::kFixed
                                            : mm::Placement::kFixedNoReplace;
    request.object = segment;
    uint64_t limit = context.limit(process::kLimitAddressSpace);
    if (limit != process::kUnlimited &&
        context.address_space().mapped_pages() + segment->pages() > limit >> core::kPageShift) {
        return fail(Errno::kNoMem);
    }
    auto at = context.address_space().map(request);
    if (!at) return fail(at.error() == Errno::kExist ? Errno::kInval : at.error());
    auto table = g_table.lock();
    segment->state.attached_at = now_s();
    segment->state.last_pid = context.process().pid;
    table.guard().unlock();
    return at;
}

Result<void> sys_shmdt(Context& context, uint64_t address) {
    return context.address_space().detach_segment(UserAddr(address));
}

Result<int> stat_segment(Context& context, int id, UserOut<ShmidDs> buffer, int command) {
    Ref<Segment> segment;
    if (command == kIpcStat) {
        segment = find(id);
    } else {
        auto table = g_table.lock();
        Segment* entry = id >= 0 && id < static_cast<int>(kMaxSegments) ? table->entries[id] : nullptr;
        if (entry && entry->try_ref()) segment = Ref<Segment>::adopt(entry);
    }
    if (!segment) return fail(Errno::kInval);
    if (command != kShmStatAny && !permitted(context, segment->state, 4)) return fail(Errno::kAcces);
    ShmidDs state = segment->state;
    state.attached = segment->page_cache().mapping_count();
    TRY(arch::copy_out(buffer, state));
    return command == kIpcStat ? 0 : segment->id;
}

Result<int> change_segment(Context& context, int id, UserIn<ShmidDs> buffer) {
    ShmidDs wanted = TRY(arch::copy_in(buffer));
    auto segment = find(id);
    if (!segment) return fail(Errno::kInval);
    if (!owns(context, segment->state)) return fail(Errno::kPerm);
    auto table = g_table.lock();
    IpcPermissions& permissions = segment->state.permissions;
    permissions.uid = wanted.permissions.uid;
    permissions.gid = wanted.permissions.gid;
    permissions.mode = (permissions.mode & ~0777u) | (wanted.permissions.mode & 0777u);
    segment->state.changed_at = now_s();
    table.guard().unlock();
    return 0;
}

Result<int> remove_segment(Context& context, int id) {
    auto segment = find(id);
    if (!segment) return fail(Errno::kInval);
    if (!owns(context, segment->state)) return fail(Errno::kPerm);
    bool first;
    {
        auto table = g_table.lock();
        first = !segment->destroyed();
        segment->state.permissions.mode |= kModeDestroyed;
        segment->state.permissions.key = kIpcPrivate;
    }
    if (first) segment->unref();  // the table's; ours still holds it
    return 0;
}

Result<int> lock_segment(Context& context, int id, bool lock) {
    auto segment = find(id);
    if (!segment) return fail(Errno::kInval);
    if (!owns(context, segment->state) && !context.credentials().has_capability(process::kCapIpcLock)) {
        return fail(Errno::kPerm);
    }
    auto table = g_table.lock();
    if (lock) segment->state.permissions.mode |= kModeLocked;
    else segment->state.permissions.mode &= ~kModeLocked;
    table.guard().unlock();
    return 0;
}

// IPC_INFO and SHM_INFO return the highest index in use.
Result<int> usage(int command, uint64_t buffer) {
    ShmUsage used;
    int highest = 0;
    {
        auto table = g_table.lock();
        for (unsigned i = 0; i < kMaxSegments; i++) {
            Segment* segment = table->entries[i];
            if (!segment) continue;
            highest = static_cast<int>(i);
            used.used_ids++;
            used.resident_pages += segment->page_cache().page_count();
        }
        used.total_pages = table->pages;
    }
    if (command == kShmInfo) {
        TRY(arch::copy_out(UserOut<ShmUsage>(buffer), used));
    } else {
        TRY(arch::copy_out(UserOut<ShmLimits>(buffer), ShmLimits{kMaxSize, 1, kMaxSegments, kMaxSegments, kMaxSize, {}}));
    }
    return highest;
}

Result<int> sys_shmctl(Context& context, int id, int command, uint64_t buffer) {
    if (id < 0 || command < 0) return fail(Errno::kInval);
    switch (command) {
        case kIpcInfo:
        case kShmInfo: return usage(command, buffer);
        case kIpcStat:
        case kShmStat:
        case kShmStatAny: return stat_segment(context, id, UserOut<ShmidDs>(buffer), command);
        case kIpcSet: return change_segment(context, id, UserIn<ShmidDs>(buffer));
        case kIpcRemove: return remove_segment(context, id);
        case kShmLock: return lock_segment(context, id, true);
        case kShmUnlock: return lock_segment(context, id, false);
        default: return fail(Errno::kInval);
    }
}

constexpr SystemCall kSystemVMemoryCalls[] = {
    CALL(29, shmget, "key, size, shmflg"),
    CALL(30, shmat, "shmid, shmaddr, shmflg"),
    CALL(31, shmctl, "shmid, cmd, buf", "shm_dtime stays 0"),
    CALL(67, shmdt, "shmaddr"),
};

}  // namespace

const SystemCallFamily kSystemVMemoryFamily{"System V shared memory", kSystemVMemoryCalls};

}  // namespace abi
