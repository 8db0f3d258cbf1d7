#include "process/exec.h"

#include <cstring>
#include <span>
#include <optional>

#include "core/log.h"
#include "core/random.h"
#include "mpk/exposed_slot.h"
#include "process/clone.h"
#include "process/elf_load.h"
#include "process/exit.h"
#include "process/isolation.h"
#include "process/script.h"
#include "process/signal_frame.h"
#include "process/signal_state.h"
#include "process/timers.h"
#include "process/tree.h"
#include "process/usage.h"

namespace process {

namespace {

VdsoMapper vdso_mapper = nullptr;

constexpr uint32_t kAddrNoRandomize = 0x0040000;  // personality(2)

// Where things go (arch/x86/mm/mmap.c, fs/binfmt_elf.c): the stack at the top below up to 16 GiB of chance, mmap
// areas below the stack's possible extent, position-independent programs at two thirds.
struct Placement {
    uint64_t stack_top, mmap_top, program_base, break_gap, stack_shift;

    // `random`: of these bits the chance is taken.
    Placement(uint64_t stack_limit, bool randomize, std::span<const uint64_t, 2> random) {
        uint64_t left[] = {randomize ? random[0] : 0, randomize ? random[1] : 0};
        auto take = [](uint64_t& from, unsigned bits) {
            uint64_t taken = from & ((1ull << bits) - 1);
            from >>= bits;
            return taken;
        };
        constexpr uint64_t kMinGap = 128ull << 20, kMaxGap = core::kUserEnd / 6 * 5;
        constexpr uint64_t kStackChance = 1ull << 34;
        uint64_t gap = stack_limit < kMinGap ? kMinGap : stack_limit > kMaxGap ? kMaxGap : stack_limit;
        gap += kStackChance + (256 << core::kPageShift);
        stack_top = core::kUserEnd - (take(left[0], 22) << core::kPageShift);
        mmap_top = core::align_down(core::kUserEnd - gap - (take(left[0], 28) << core::kPageShift), kPageSize);
        program_base = core::align_down(core::kUserEnd / 3 * 2, kPageSize) + (take(left[1], 28) << core::kPageShift);
        break_gap = take(left[1], 13) << core::kPageShift;
        stack_shift = take(left[1], 13) & ~15ull;
    }
};

fs::LookupRequest lookup_request(const ProgramContext& context, const ProgramRequest& request) {
    fs::LookupRequest lookup;
    lookup.context = context.fs_context;
    lookup.identity = context.credentials->identity();
    lookup.start = request.start;
    lookup.follow_last = request.follow;
    lookup.empty_path = request.empty_path;
    return lookup;
}

// Opens the program; for scripts goes on to their interpreters and puts them in front of the arguments.
Result<ExecutableFile> open_program(const ProgramContext& context, ProgramRequest& request) {
    ExecutableFile file = TRY(ExecutableFile::open(request.path, lookup_request(context, request)));
    std::string_view name = request.display_name;
    core::String interpreter;
    for (unsigned depth = 0;; depth++) {
        auto first = reinterpret_cast<const char*>(file.head().data());
        if (!is_script({first, file.head().size()})) return file;
        if (depth > kMaxScriptDepth) return fail(Errno::kLoop);
        char head[kExecHeadSize];
        size_t size = file.head().size() < sizeof(head) ? file.head().size() : sizeof(head);
        std::memcpy(head, first, size);
        ScriptLine line = TRY(parse_script({head, size}));
        if (request.name_goes_away) return fail(Errno::kNoEnt);
        StringBlock front;
        TRY(front.add(line.interpreter));
        if (line.has_argument) TRY(front.add(line.argument));
        TRY(front.add(name));
        request.arguments = TRY(request.arguments.replace_front(front, 1));
        interpreter = TRY(core::String::create(line.interpreter));
        name = interpreter;
        fs::LookupRequest lookup;
        lookup.context = context.fs_context;
        lookup.identity = context.credentials->identity();
        auto next = ExecutableFile::open(interpreter, lookup);
        if (!next) {
            if (next.error() == Errno::kNoEnt) {
                klog::warn("{}: its interpreter {} is not there", request.display_name, interpreter.view());
            }
            return fail(next.error());
        }
        file = std::move(*next);
    }
}

Result<ExecutableFile> open_interpreter(const ProgramContext& context, const ExecutableFile& program,
                                        const elf::Image& image, std::string_view program_name) {
    core::Vector<char> path;  // inspection of what it names needs the stack
    TRY(path.resize(image.interpreter_size));
    size_t size = TRY(program.read(image.interpreter_offset, std::as_writable_bytes(std::span(path))));
    if (size != image.interpreter_size) return fail(Errno::kIo);
    if (path.back() != '\0') return fail(Errno::kNoExec);
    fs::LookupRequest lookup;
    lookup.context = context.fs_context;
    lookup.identity = context.credentials->identity();
    auto interpreter = ExecutableFile::open(path.data(), lookup);
    if (!interpreter && interpreter.error() == Errno::kNoEnt) {
        klog::warn("{}: its loader {} is not there", program_name, std::string_view(path.data()));
    }
    return interpreter;
}

// Set-user-ID and set-group-ID bits, and what exec does to capabilities (execve(2), capabilities(7)). The caller's
// record serves again if nothing changes.
Result<Ref<Credentials>> new_credentials(const ProgramContext& context, const ExecutableFile& file, bool& gains) {
    Credentials& old = *context.credentials;
    constexpr uint16_t kSetUid = 04000, kSetGid = 02000, kGroupExecute = 010;
    fs::Ownership owner = file.inode().ownership();
    bool allowed = context.may_gain_privileges && !(file.path().mount->flags() & fs::kMountNoSuid);
    uint32_t euid = old.euid, egid = old.egid;
    if (allowed && (owner.permissions & kSetUid)) euid = owner.uid;
    if (allowed && (owner.permissions & (kSetGid | kGroupExecute)) == (kSetGid | kGroupExecute)) egid = owner.gid;
    gains = euid != old.uid || egid != old.gid;
    uint64_t permitted = old.capabilities_ambient, effective = old.capabilities_ambient;
    if (old.uid == 0 || euid == 0) {
        permitted = old.capabilities_inheritable | old.capabilities_bounding;
        effective = euid == 0 ? permitted : 0;
    }
    bool same_ids = euid == old.euid && euid == old.suid && euid == old.fsuid && egid == old.egid &&
                    egid == old.sgid && egid == old.fsgid;
    if (same_ids && permitted == old.capabilities_permitted && effective == old.capabilities_effective) {
        return Ref<Credentials>(&old);
    }
    Ref<Credentials> fresh = TRY(old.clone());
    fresh->euid = fresh->suid = fresh->fsuid = euid;
    fresh->egid = fresh->sgid = fresh->fsgid = egid;
    fresh->capabilities_permitted = permitted;
    fresh->capabilities_effective = effective;
    return fresh;
}

Result<void> map_stack(mm::AddressSpace& space, const StackImage& image, uint64_t top, bool executable) {
    constexpr uint64_t kExtra = 128 << 10;
    mm::MapRequest request;
    request.size = core::align_up(top - image.stack_pointer + kExtra, kPageSize);
    request.address = UserAddr(top - request.size);
    request.protection = {.read = true, .write = true, .execute = executable};
    request.placement = mm::Placement::kFixedNoReplace;
    request.grows_down = true;
    request.label = "[stack]";
    TRY(space.map(request));
    return space.write_memory(UserAddr(image.stack_pointer),
                              std::as_bytes(std::span(image.bytes.data(), image.bytes.size())));
}

void set_program_name(char (&name)[16], std::string_view path) {
    size_t slash = path.rfind('/');
    std::string_view base = slash == std::string_view::npos ? path : path.substr(slash + 1);
    size_t size = base.size() < sizeof(name) - 1 ? base.size() : sizeof(name) - 1;
    std::memcpy(name, base.data(), size);
    std::memset(name + size, 0, sizeof(name) - size);
}

struct LoadedProgram {
    LoadedImage program;
    uint64_t entry = 0;             // where the CPU starts
    uint64_t interpreter_base = 0;  // AT_BASE
    uint64_t header_count = 0;
    bool executable_stack = false;
};

// A program file and, if it names one, its loader.
struct ProgramFiles {
    const ExecutableFile* program;
    elf::Image image;
    std::optional<ExecutableFile> loader;
    elf::Image loader_image;
};

Result<ProgramFiles> open_files(const ProgramContext& context, const ExecutableFile& file, std::string_view name) {
    ProgramFiles files{&file, TRY(read_image(file)), std::nullopt, {}};
    if (files.image.interpreter_size == 0) return files;
    files.loader = TRY(open_interpreter(context, file, files.image, name));
    files.loader_image = TRY(read_image(*files.loader));
    return files;
}

Result<LoadedProgram> load_program(mm::AddressSpace& space, const ProgramFiles& files, const Placement& place) {
    const elf::Image& image = files.image;
    LoadedProgram loaded;
    bool dynamic = files.loader.has_value();
    loaded.program = TRY(load_image(space, *files.program, image, dynamic ? place.program_base : 0));
    loaded.entry = loaded.program.entry;
    loaded.header_count = image.header_count;
    loaded.executable_stack = image.executable_stack;
    uint64_t break_start = core::align_up(loaded.program.end_of_bss, kPageSize);
    // A static position-independent program lies among the mappings: its heap goes elsewhere.
    if (image.position_independent && !dynamic) break_start = place.program_base;
    space.initialize_break(UserAddr(break_start + place.break_gap));
    if (dynamic) {
        LoadedImage loader = TRY(load_image(space, *files.loader, files.loader_image, 0));
        loaded.entry = loader.entry;
        loaded.interpreter_base = loader.bias;
    }
    if (loaded.entry >= core::kUserEnd) return fail(Errno::kInval);
    return loaded;
}

// An empty space of the model that suits the program, as far as its headers tell.
Result<Ref<mm::AddressSpace>> make_space(const ProgramContext& context, const ProgramFiles& files,
                                         std::string_view named) {
    ModelChoice choice = TRY(choose_model({named, context.fs_context->root(), *files.program, files.image}));
    auto space = TRY(mm::AddressSpace::create(choice.model));
    space->set_isolation(choice.fallback, choice.reason);
    return space;
}

// What a program is told of ways into the kernel; 0: none.
struct KernelEntry {
    uint64_t vdso = 0, call_gate = 0;
};

Result<StackImage> make_stack(const ProgramContext& context, const ProgramRequest& request,
                              const LoadedProgram& loaded, const Credentials& credentials, bool gains,
                              KernelEntry entry, const Placement& place, std::span<const std::byte, 16> random) {
    // A signal frame without FPU state, alignment included; never less than MINSIGSTKSZ, the old constant.
    constexpr uint64_t kFrameRoom = 1024, kMinSigStkSz = 2048;
    uint64_t frame_size = kFrameRoom + arch::signal_fpstate_size();
    if (frame_size < kMinSigStkSz) frame_size = kMinSigStkSz;
    AuxiliaryEntry entries[24];
    size_t count = 0;
    auto add = [&](uint64_t type, uint64_t value) { entries[count++] = {type, value}; };
    if (entry.vdso) add(kAtSysInfoEhdr, entry.vdso);
    add(kAtMinSigStkSz, frame_size);
    add(kAtHwCap, arch::hwcap());
    add(kAtPageSz, kPageSize);
    add(kAtClkTck, kTicksPerSecond);
    add(kAtPhdr, loaded.program.header_address);
    add(kAtPhent, sizeof(elf::ProgramHeader));
    add(kAtPhnum, loaded.header_count);
    add(kAtBase, loaded.interpreter_base);
    add(kAtFlags, 0);
    add(kAtEntry, loaded.program.entry);
    add(kAtUid, credentials.uid);
    add(kAtEuid, credentials.euid);
    add(kAtGid, credentials.gid);
    add(kAtEgid, credentials.egid);
    add(kAtSecure, gains);
    add(kAtHwCap2, arch::hwcap2());
    if (entry.call_gate) add(kAtIsoUnikCall, entry.call_gate);
    StackRequest stack{place.stack_top, place.stack_shift, &request.arguments, &request.environment,
                       request.display_name, random, {entries, count}};
    return build_stack(stack, argument_limit(context.stack_limit));
}

}  // namespace

void set_vdso_mapper(VdsoMapper mapper) { vdso_mapper = mapper; }

PreparedProgram::~PreparedProgram() {
    if (dentry) dentry->inode().end_execution();
}

Result<PreparedProgram> prepare_program(const ProgramContext& context, ProgramRequest& request) {
    PreparedProgram program;
    // Linux 5.18 and later: a program never finds argc = 0.
    if (request.arguments.count == 0) TRY(request.arguments.add(""));
    ExecutableFile file = TRY(open_program(context, request));
    program.credentials = TRY(new_credentials(context, file, program.gains_privileges));
    ProgramFiles files = TRY(open_files(context, file, request.display_name));
    program.address_space = TRY(make_space(context, files, request.path));
    mm::AddressSpace& space = *program.address_space;

    struct {
        uint64_t placement[2];
        std::byte auxiliary[16];  // AT_RANDOM
    } random;
    core::fill_random(std::as_writable_bytes(std::span(&random, 1)));
    Placement place(context.stack_limit, !(context.personality & kAddrNoRandomize), random.placement);
    space.set_layout(UserAddr(place.mmap_top), UserAddr(place.stack_top), context.stack_limit);
    LoadedProgram loaded = TRY(load_program(space, files, place));
    KernelEntry entry;
    if (vdso_mapper) entry.vdso = TRY(vdso_mapper(space)).value();
    if (space.model() != mm::Model::kConfined) entry.call_gate = mpk::call_gate(space.model());
    StackImage& stack = program.stack = TRY(make_stack(context, request, loaded, *program.credentials,
                                                       program.gains_privileges, entry, place, random.auxiliary));
    TRY(map_stack(space, stack, place.stack_top, loaded.executable_stack));

    (void)space.fault(UserAddr(loaded.entry), mm::AccessKind::kExecute);  // now it costs less than as the first fault

    program.layout = {loaded.program.start_code, loaded.program.end_code, loaded.program.start_data,
                      loaded.program.end_data, stack.stack_pointer, space.break_start().value(),
                      stack.argument_start, stack.argument_end, stack.environment_start, stack.environment_end};
    if (klog::enabled(klog::Level::kInfo)) {
        klog::info("{}: isolation {} ({})", file.mappable()->map_name(), model_name(space.model()),
                   space.isolation_reason().view());
    }
    auto ring = space.model() == mm::Model::kConfined ? arch::EntryRing::kRing3 : arch::EntryRing::kRing0;
    program.frame = arch::initial_frame(UserAddr(loaded.entry), UserAddr(stack.stack_pointer), ring);
    program.frame.error_or_syscall = ~uint64_t{0};
    if (!request.path.empty()) {
        set_program_name(program.name, request.path);
    } else {
        core::SpinGuard guard(fs::rename_lock());
        set_program_name(program.name, file.path().dentry->name_locked());
    }
    program.dentry = file.path().dentry;
    program.mount = file.path().mount;
    file.keep();
    return program;
}

void adopt_program(Process& process, Thread& thread, PreparedProgram& program) {
    Ref<fs::Dentry> old_dentry;
    Ref<fs::Mount> old_mount;
    Ref<Credentials> old_credentials;
    Ref<mm::AddressSpace> old_space, old_process_space;
    {
        core::SpinGuard guard(process.signal_lock);
        old_dentry = std::exchange(process.executable_dentry, std::move(program.dentry));
        old_mount = std::exchange(process.executable_mount, std::move(program.mount));
        old_credentials = std::exchange(thread.credentials, std::move(program.credentials));
        old_process_space = std::exchange(process.address_space, program.address_space);
        old_space = std::exchange(thread.address_space, program.address_space);
        process.layout = program.layout;
        const StackImage& stack = program.stack;
        process.auxiliary_words = stack.auxiliary_words < kAuxiliaryWords ? stack.auxiliary_words : kAuxiliaryWords;
        std::memcpy(process.auxiliary_vector, stack.bytes.data() + stack.auxiliary_offset,
                    process.auxiliary_words * sizeof(uint64_t));
        process.actions.reset_handlers();
        std::memcpy(thread.name, program.name, sizeof(thread.name));
    }
    if (old_dentry) old_dentry->inode().end_execution();
    process.dumpable = !program.gains_privileges;
    process.private_barriers = false;
    thread.alternate_stack = SignalStack{};
    thread.interrupted_keys.clear();
    thread.robust_list = 0;
    thread.clear_child_tid = {};
    thread.set_child_tid = {};
    thread.keep_capabilities = false;
    thread.restart.resume = nullptr;
    if (old_space && old_space->huge_pages_disabled()) thread.address_space->disable_huge_pages(true);  // prctl(2)
    if (program.gains_privileges) thread.parent_death_signal = 0;
    if (&thread != &sched::current()) return;
    // The old space's last reference may go only after this processor has left it.
    thread.address_space->activate();
    arch::UserState::reset_current();
}

Result<void> execute(Thread& thread, arch::TrapFrame& frame, ProgramRequest& request) {
    Process& process = *thread.process;
    ProgramContext context;
    context.fs_context = thread.fs_context.get();
    context.credentials = thread.credentials.get();
    context.stack_limit = process.limits[kLimitStack].soft;
    context.personality = process.personality;
    context.may_gain_privileges = !thread.no_new_privileges;
    PreparedProgram program = TRY(prepare_program(context, request));

    TRY(leave_only_current(thread));
    if (thread.files->reference_count() > 1) {
        Ref<fs::FdTable> own = TRY(thread.files->clone());
        core::SpinGuard guard(process.signal_lock);
        std::swap(thread.files, own);
    }
    // Nothing fails from here on.
    leave_user_memory(thread);
    if (process.timers) process.timers->delete_posix_timers();
    note_resident_pages(process, *thread.address_space);
    process.peak_resident_pages.store(0, std::memory_order_relaxed);
    process.peak_mapped_pages.store(0, std::memory_order_relaxed);
    frame = program.frame;
    thread.in_system_call = false;
    adopt_program(process, thread, program);
    thread.files->close_for_exec();
    {
        core::SpinGuard guard(tree().lock);
        process.has_executed = true;
        process.exit_signal = kSigChld;
    }
    if (thread.vfork_done) {
        thread.vfork_done->complete();
        thread.vfork_done.reset();
    }
    return {};
}

}  // namespace process
