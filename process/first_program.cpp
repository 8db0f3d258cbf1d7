#include "process/first_program.h"

#include <cstring>

#include "core/log.h"
#include "mm/kernel_stacks.h"
#include "process/exec.h"
#include "process/tree.h"
#include "sched/timer.h"

namespace process {

namespace {

// As the kernel starts init (include/asm-generic/resource.h).
void set_default_limits(Process& process) {
    for (ResourceLimit& limit : process.limits) limit = {kUnlimited, kUnlimited};
    constexpr uint64_t kProcesses = 15000, kLockedBytes = 8 << 20;
    process.limits[kLimitStack] = {8 << 20, kUnlimited};
    process.limits[kLimitCore] = {0, kUnlimited};
    process.limits[kLimitNoFile] = {1024, 1048576};
    process.limits[kLimitLocked] = {kLockedBytes, kLockedBytes};
    process.limits[kLimitProcesses] = process.limits[kLimitSigPending] = {kProcesses, kProcesses};
    process.limits[kLimitMessageQueue] = {819200, 819200};
    process.limits[kLimitNice] = process.limits[kLimitRealTimePriority] = {0, 0};
}

Result<Ref<Credentials>> root_credentials() {
    auto credentials = TRY(core::make_ref<Credentials>());
    credentials->capabilities_effective = credentials->capabilities_permitted =
        credentials->capabilities_bounding = kAllCapabilities;
    return credentials;
}

Result<void> add_strings(StringBlock& block, std::span<const std::string_view> strings) {
    for (std::string_view text : strings) TRY(block.add(text));
    return {};
}

Result<Ref<fs::FsContext>> make_fs_context(const FirstProgram& program, const Credentials& credentials) {
    auto context = TRY(core::make_ref<fs::FsContext>(program.root, program.root));
    fs::LookupRequest request;
    request.context = context.get();
    request.identity = credentials.identity();
    request.directory_only = true;
    auto directory = fs::lookup(program.working_directory, request);
    if (!directory) {
        klog::error("the working directory {} cannot be entered: {}", program.working_directory, directory.error());
        return fail(directory.error());
    }
    context->set_working_directory(std::move(*directory));
    return context;
}

std::string_view search_path(std::span<const std::string_view> environment) {
    for (std::string_view variable : environment) {
        if (variable.starts_with("PATH=")) return variable.substr(5);
    }
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

Result<PreparedProgram> prepare_at(const FirstProgram& program, const ProgramContext& context,
                                   std::string_view path) {
    ProgramRequest request;
    request.path = request.display_name = path;
    TRY(add_strings(request.arguments, program.arguments));
    TRY(add_strings(request.environment, program.environment));
    return prepare_program(context, request);
}

// Like execvp(3): the first directory of PATH that holds a program that runs; EACCES is kept for the end.
Result<PreparedProgram> prepare(const FirstProgram& program, const ProgramContext& context) {
    std::string_view name = program.arguments[0];
    if (name.find('/') != std::string_view::npos) return prepare_at(program, context, name);
    Errno error = Errno::kNoEnt;
    std::string_view rest = search_path(program.environment);
    while (!name.empty()) {
        size_t colon = rest.find(':');
        std::string_view directory = rest.substr(0, colon);
        auto path = TRY(core::String::create(directory.empty() ? "." : directory));
        TRY(path.append("/"));
        TRY(path.append(name));
        auto prepared = prepare_at(program, context, path);
        if (prepared) return prepared;
        if (prepared.error() == Errno::kAcces) error = Errno::kAcces;
        else if (prepared.error() != Errno::kNoEnt && prepared.error() != Errno::kNotDir) return prepared;
        if (colon == std::string_view::npos) break;
        rest = rest.substr(colon + 1);
    }
    return fail(error);
}

Result<Ref<Process>> launch(const FirstProgram& program, Ref<Credentials> credentials,
                            Ref<fs::FsContext> fs_context, PreparedProgram prepared) {
    auto process = TRY(core::make_ref<Process>());
    set_default_limits(*process);
    process->start_ns = sched::monotonic_ns();
    auto thread = TRY(core::make_ref<Thread>());
    thread->kernel_stack = TRY(mm::allocate_kernel_stack());
    thread->user_state = TRY(arch::UserState::create()).release();
    thread->files = program.files;
    thread->fs_context = std::move(fs_context);
    thread->credentials = std::move(credentials);
    PidReservation pid = TRY(PidReservation::create());
    thread->frame = arch::prepare_thread(*thread, prepared.frame);
    adopt_program(*process, *thread, prepared);
    {
        core::SpinGuard guard(tree().lock);
        thread->id = process->id = pid.commit();
        tree().pids.hold(*process->id);
        process->id->thread = thread.get();
        process->id->process = process.get();
        process->ref();
        thread->tid = process->pid = process->id->number;
        set_group_locked(*process, *process->id);
        set_session_locked(*process, *process->id);
        thread->process = process.get();
        process->ref();
        process->threads.push_back(*thread);
        process->thread_count = 1;
        process->has_executed = true;
    }
    ASSERT(process->pid == 1);
    tree().threads++;
    tree().forks++;
    sched::start(*thread);
    return process;
}

}  // namespace

std::expected<Ref<Process>, LaunchFailure> start_first_program(const FirstProgram& program) {
    auto machine_failed = [](Errno error) {
        klog::error("the first process cannot be made: {}", error);
        return std::unexpected(LaunchFailure{125, error});
    };
    auto credentials = root_credentials();
    if (!credentials) return machine_failed(credentials.error());
    auto fs_context = make_fs_context(program, **credentials);
    if (!fs_context) return std::unexpected(LaunchFailure{126, fs_context.error()});

    ProgramContext context;
    context.fs_context = fs_context->get();
    context.credentials = credentials->get();
    auto prepared = prepare(program, context);
    if (!prepared) {
        bool missing = prepared.error() == Errno::kNoEnt;
        klog::error("{}: {}: {}", program.arguments[0], missing ? "not found" : "cannot be run", prepared.error());
        return std::unexpected(LaunchFailure{missing ? 127 : 126, prepared.error()});
    }
    auto process = launch(program, std::move(*credentials), std::move(*fs_context), std::move(*prepared));
    if (!process) return machine_failed(process.error());
    return std::move(*process);
}

}  // namespace process
