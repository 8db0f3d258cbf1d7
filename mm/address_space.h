// One process's lower half: its VMAs, its page tables, and one top-level table per processor that ran it.
//
// One lock (Rank::kAddressSpace) guards VMAs and tables. Faults never sleep. Top-level tables are made when
// the space is first activated on a processor; their lower half is filled lazily from a master table.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "arch/x86_64/layout.h"
#include "core/lock.h"
#include "core/memory.h"
#include "core/types.h"
#include "core/vector.h"
#include "mm/code_policy.h"
#include "mm/page_cache.h"

namespace mm {

// PROT_* of mmap(2), and what a fault wanted.
struct Protection {
    bool read : 1 = false;
    bool write : 1 = false;
    bool execute : 1 = false;
    bool operator==(const Protection&) const = default;
};
enum class AccessKind : uint8_t { kRead, kWrite, kExecute };
enum class Sharing : uint8_t { kPrivate, kShared };
enum class Placement : uint8_t { kHint, kFixed, kFixedNoReplace };

// The three privileges (docs/architecture.md). Decides the U/S bit of the top-level entries.
using Model = arch::Model;
// mlock2(2): now, or each page when it is first touched.
enum class LockMode : uint8_t { kNow, kOnFault };

struct MapRequest {
    UserAddr address{};  // hint or fixed address, page-aligned
    uint64_t size = 0;  // bytes, rounded up to pages
    Protection protection{};
    Sharing sharing = Sharing::kPrivate;
    Placement placement = Placement::kHint;
    core::Ref<Mappable> object{};  // null: anonymous
    uint64_t offset = 0;         // bytes into the object, page-aligned
    // What mprotect may still grant (a shared mapping of a file opened read-only may not become writable).
    Protection max_protection{true, true, true};
    // MAP_GROWSDOWN, MAP_POPULATE, MAP_LOCKED, MAP_NORESERVE.
    bool grows_down = false, populate = false, locked = false, no_reserve = false;
    unsigned key = 0;  // protection key; 0 or execute_only_key()
    bool low = false;  // MAP_32BIT: between 1 and 2 GiB, if the kernel chooses
    bool kernel_code = false;  // the vDSO: executable as it is, also in an isolated space
    std::string_view label{};  // "[stack]", "[heap]", "[vdso]": must outlive the space
};

// One line of /proc/<pid>/maps.
struct MapLine {
    UserRange range;
    Protection protection{};
    Sharing sharing;
    uint64_t offset, device, inode;
    std::string_view name;
    unsigned key = 0;
};

// Why a fault cannot be resolved; process/ turns it into siginfo.
enum class FaultError : uint8_t { kNoMapping /*SEGV_MAPERR*/, kNoAccess /*SEGV_ACCERR*/, kPastEnd /*BUS_ADRERR*/,
                                  kOutOfMemory };

struct Vma;  // mm/vma.h

class AddressSpace final : public core::RefCounted {
  public:
    // An empty space. ENOMEM.
    static Result<core::Ref<AddressSpace>> create(Model model);
    // The child of fork(2): VMAs copied, memory copied on write; the parent's stale write permissions are
    // flushed on every processor. ENOMEM leaves the parent as it was.
    Result<core::Ref<AddressSpace>> fork();

    // mmap(2), munmap(2), mprotect(2), mremap(2), madvise(2), brk(2), msync(2), mincore(2), mlock(2) with their
    // errnos. On an error nothing has changed, except that mprotect and madvise may have done a prefix, as
    // Linux does.
    Result<UserAddr> map(const MapRequest& request);
    Result<void> unmap(UserRange range);
    // kToStart: PROT_GROWSDOWN, the range starts where its VMA does.
    enum class Extend : uint8_t { kNo, kToStart };
    // `key`: pkey_mprotect(2), EINVAL if it is not allocated. kNoKey: the key stays, but that PROT_EXEC alone gets the
    // execute-only key, if there is one left, and loses it again with it (Linux's __arch_override_mprotect_pkey()).
    static constexpr int kNoKey = -1;
    Result<void> protect(UserRange range, Protection protection, Extend extend = Extend::kNo, int key = kNoKey);
    // Protection keys for the program (pkeys(7)), 1 to 14. ENOSPC: none is left, or the processor has none. EINVAL: the
    // key is not allocated. The execute-only key is nobody's to free.
    Result<unsigned> allocate_key();
    Result<void> free_key(int key);
    // The key that makes pages of PROT_EXEC unreadable, allocated if absent; 0 if none is left. The caller closes it
    // in its thread's PKRU.
    unsigned execute_only_key();
    // The key of the mapping at an address; 0 if there is none.
    unsigned key_at(UserAddr address);
    Result<UserAddr> remap(UserRange old_range, uint64_t new_size, unsigned mremap_flags, UserAddr new_address);
    Result<void> advise(UserRange range, int advice);
    Result<void> mincore(UserRange range, UserOut<uint8_t> residency);
    Result<void> sync(UserRange range, int flags);
    Result<void> lock_memory(UserRange range, LockMode mode);
    Result<void> unlock_memory(UserRange range);
    Result<void> lock_all(bool current, bool future, LockMode mode);
    void unlock_all();
    // prctl(2), PR_SET_THP_DISABLE: no further 2 MiB pages, whatever madvise says. Fork inherits it, exec asks for it.
    void disable_huge_pages(bool disabled);
    bool huge_pages_disabled();
    // Makes the pages of a mapped range present, as far as memory and files go (MAP_POPULATE).
    void populate(UserRange range);
    // shmdt(2): unmaps the segment that was attached at `address`. EINVAL.
    Result<void> detach_segment(UserAddr address);
    // Returns the break that now holds: the old one if it could not be moved (brk(2) of the kernel).
    UserAddr set_break(UserAddr new_break);  // address 0 queries
    void initialize_break(UserAddr start);   // exec: end of bss plus ASLR gap
    UserAddr break_start();
    // Where exec puts things; the mmap area grows down from `mmap_top`. Stacks grow to `stack_limit` bytes.
    void set_layout(UserAddr mmap_top, UserAddr stack_top, uint64_t stack_limit);
    void set_stack_limit(uint64_t bytes);  // setrlimit(RLIMIT_STACK)

    // Resolves a page fault of the running program or of a user copy. Never sleeps.
    std::expected<void, FaultError> fault(UserAddr address, AccessKind kind);

    // Reads and writes through this space from a thread that may run in another one (exec's new stack,
    // /proc/<pid>/mem, process_vm_readv). EFAULT; kWrite of a private page copies it first, also if the VMA is
    // read-only and `force` is true.
    Result<void> read_memory(UserAddr source, std::span<std::byte> destination);
    Result<void> write_memory(UserAddr destination, std::span<const std::byte> source, bool force = false);

    // The identity of a shared futex word: the same for all mappings of the same page of the same object.
    struct FutexKey {
        const void* object;  // page cache of a shared mapping, or the address space
        uint64_t offset;
        bool operator==(const FutexKey&) const = default;
    };
    Result<FutexKey> futex_key(UserAddr address, Sharing sharing);

    // Makes this the current space of this processor (loads CR3, unless it is loaded already). Interrupts off.
    // Cannot fail: if memory for a top-level table lacks, the processor's spare one is used. The space that was
    // loaded before needs no deactivate(). Locks: Rank::kTopTables.
    void activate();
    // This processor leaves the space for a kernel thread: loads the kernel's own table. No effect if the space
    // is not loaded here. The last reference may be dropped without it.
    void deactivate();

    // Visits VMAs in ascending order under the lock; `visit` must not allocate or block.
    void for_each_map(void (*visit)(void* context, const MapLine& line), void* context);
    // The same with the pages that are in memory: of the mapped object, of private memory, and of that what no other
    // process shares (/proc/<pid>/smaps).
    struct Residency { uint64_t file_pages = 0, anonymous_pages = 0, unshared_pages = 0, huge_pages = 0 /* 2 MiB */; };
    void for_each_residency(void (*visit)(void* context, const MapLine& line, const Residency& residency),
                            void* context);
    struct Sizes { uint64_t total_pages, resident_pages, shared_pages, text_pages, data_pages, stack_pages,
                   locked_pages; };
    Sizes sizes();  // looks at all tables for the resident ones
    // Mapped pages, those within a range, and what RLIMIT_DATA counts (private writable pages that are no stack):
    // for the limits that the system calls check.
    uint64_t mapped_pages();
    uint64_t mapped_pages(UserRange range);
    uint64_t data_pages();

    // --- isolation (isolation.cpp). An isolated space executes only inspected text (mm/code_policy.h). Asked for
    // anything else (anonymous or shared memory, modified pages, write and execute, a forced write into text), it
    // fails with EACCES, or becomes confined first and then does as it was asked.
    enum class Fallback : uint8_t { kRefuse, kConfine };
    // Exec, before anything is mapped for execution: what then happens, and why the space has its model.
    void set_isolation(Fallback fallback, const Reason& reason);
    Reason isolation_reason();
    // Read on every way back to a program (process/ring.h): changes once at most, from kIsolated to kConfined.
    Model model() const { return model_.load(std::memory_order_relaxed); }
    // From now on the programs of this space run in ring 3. On return no processor runs one in ring 0: threads that
    // did have entered the kernel, and leave it through process::change_ring(). No effect on other models.
    void confine(const Reason& reason);
    // Was confined while its programs ran.
    bool was_confined() const { return was_confined_.load(std::memory_order_relaxed); }
    // The object that is mapped executable at an address, and where in it; a null object if there is none.
    struct CodeLocation {
        core::Ref<Mappable> object;
        uint64_t offset = 0;  // bytes
    };
    CodeLocation code_at(UserAddr address);

    // VMAs, tables and the lock.
    struct State;  // mm/address_space_state.h

    ~AddressSpace() override;

  private:
    // Inspected text for the pages [first, end) of `file`.
    struct Text {
        const Mappable* file = nullptr;
        uint64_t first = 0, end = 0;
        core::Ref<Mappable> object;
    };
    AddressSpace(std::unique_ptr<State> state, Model model);
    Result<void> refuse_code(const Reason& reason);
    Result<core::Ref<Mappable>> text_of(const core::Ref<Mappable>& object, Sharing sharing, Protection protection,
                                        uint64_t first_index, uint64_t end_index);
    Result<void> check_code_protection(UserRange range, Protection protection, core::Vector<Text>& texts);
    Result<core::Ref<Mappable>> object_after(const Vma& vma, UserRange part, Protection protection,
                                             const core::Vector<Text>& texts);
    void show_plain_files();
    template <typename Access>
    Result<void> access_memory(UserAddr address, size_t size, AccessKind kind, bool force, Access access);
    Result<void> populate_checked(UserRange pages, bool write);
    Result<void> remove_from_files(UserRange pages);
    static void deactivate_loaded(unsigned cpu);
    std::unique_ptr<State> state_;
    std::atomic<Model> model_;
    std::atomic<bool> was_confined_{false};
};

}  // namespace mm
