// /proc/<pid>, /proc/<pid>/task and /proc/<pid>/task/<tid>.
#include "fs/directory_file.h"
#include "fs/proc/process_files.h"
#include "fs/proc/process_view.h"

namespace fs::proc {

namespace {

Result<void> cmdline_text(Text& text, const Subject& subject) {
    text << TRY(process_view()->command_line(subject.tid)).view();
    return {};
}
Result<void> environ_text(Text& text, const Subject& subject) {
    if (!process_view()->may_inspect(subject.tid)) return fail(Errno::kAcces);
    text << TRY(process_view()->environment(subject.tid)).view();
    return {};
}
Result<void> auxv_text(Text& text, const Subject& subject) {
    if (!process_view()->may_inspect(subject.tid)) return fail(Errno::kAcces);
    auto words = TRY(process_view()->auxiliary_vector(subject.tid));
    text << std::string_view(reinterpret_cast<const char*>(words.data()), words.size() * sizeof(uint64_t));
    return {};
}
Result<void> comm_text(Text& text, const Subject& subject) {
    text << std::string_view(TRY(process_view()->status(subject.tid)).name) << '\n';
    return {};
}
Result<void> write_comm(std::string_view data, const Subject& subject) {
    if (!data.empty() && data.back() == '\n') data.remove_suffix(1);
    return process_view()->set_name(subject.tid, data.substr(0, 15));
}
Result<void> oom_score_text(Text& text, const Subject&) {
    text << "0\n";  // the largest process goes first: nobody has a score before that
    return {};
}
Result<void> oom_adjustment_text(Text& text, const Subject& subject) {
    text << TRY(process_view()->status(subject.tid)).oom_score_adjustment << '\n';
    return {};
}
Result<void> write_oom_adjustment(std::string_view data, const Subject& subject) {
    while (!data.empty() && (data.back() == '\n' || data.back() == ' ')) data.remove_suffix(1);
    bool negative = !data.empty() && data[0] == '-';
    int value = parse_number(negative ? data.substr(1) : data);
    if (value < 0 || value > 1000) return fail(Errno::kInval);
    return process_view()->set_oom_score_adjustment(subject.tid, negative ? -value : value);
}
Result<void> wchan_text(Text& text, const Subject&) {
    text << '0';
    return {};
}
Result<void> personality_text(Text& text, const Subject&) {
    text << "00000000\n";
    return {};
}
Result<void> cgroup_text(Text& text, const Subject&) {
    text << "0::/\n";
    return {};
}
Result<void> login_uid_text(Text& text, const Subject&) {
    text << "4294967295";
    return {};
}
Result<void> id_map_text(Text& text, const Subject&) {
    text << "         0          0 4294967295\n";
    return {};
}

enum class Place : uint8_t { kRoot, kWorkingDirectory };
Result<Path> place_of(const Subject& subject, Place place) {
    if (!process_view()->may_inspect(subject.tid)) return fail(Errno::kAcces);
    auto context = process_view()->fs_context(subject.tid);
    if (!context) return fail(Errno::kNoEnt);
    return place == Place::kRoot ? context->root() : context->working_directory();
}
Result<core::String> name_of(const Subject& subject, const Path& path) {
    // As the reader sees it; readers share the machine's one root unless they chose another.
    auto own = process_view()->fs_context(process_view()->current_tid());
    if (!own) own = process_view()->fs_context(subject.tid);
    if (!own) return fail(Errno::kNoEnt);
    return path.to_string(own->root());
}
Result<core::String> cwd_link(const Subject& subject) { return name_of(subject, TRY(place_of(subject, Place::kWorkingDirectory))); }
Result<Path> cwd_follow(const Subject& subject, const LookupRequest&) { return place_of(subject, Place::kWorkingDirectory); }
Result<core::String> root_link(const Subject& subject) { return name_of(subject, TRY(place_of(subject, Place::kRoot))); }
Result<Path> root_follow(const Subject& subject, const LookupRequest&) { return place_of(subject, Place::kRoot); }
Result<core::String> exe_link(const Subject& subject) {
    if (!process_view()->may_inspect(subject.tid)) return fail(Errno::kAcces);
    return process_view()->executable(subject.tid);
}

// What a process directory and a thread's directory have in common.
#define ISOUNIK_TASK_ENTRIES                                                                                   \
    {.name = "fd", .make = make_descriptor_directory}, {.name = "fdinfo", .make = make_descriptor_info_directory}, \
    {.name = "environ", .permissions = 0400, .text = environ_text},                                            \
    {.name = "auxv", .permissions = 0400, .text = auxv_text},                                                  \
    {.name = "status", .text = status_text}, {.name = "personality", .permissions = 0400, .text = personality_text}, \
    {.name = "limits", .text = limits_text},                                                                   \
    {.name = "comm", .permissions = 0644, .text = comm_text, .write = write_comm},                             \
    {.name = "cmdline", .text = cmdline_text}, {.name = "stat", .text = stat_text},                            \
    {.name = "statm", .text = statm_text}, {.name = "maps", .text = maps_text}, {.name = "smaps", .text = smaps_text},                                \
    {.name = "mem", .permissions = 0600, .open = open_memory}, {.name = "cwd", .link = cwd_link, .follow = cwd_follow}, \
    {.name = "root", .link = root_link, .follow = root_follow}, {.name = "exe", .link = exe_link},             \
    {.name = "mounts", .text = mounts_text}, {.name = "mountinfo", .text = mountinfo_text},                    \
    {.name = "wchan", .text = wchan_text}, {.name = "cgroup", .text = cgroup_text},                            \
    {.name = "oom_score", .text = oom_score_text},                                                             \
    {.name = "oom_score_adj", .permissions = 0644, .text = oom_adjustment_text, .write = write_oom_adjustment}, \
    {.name = "loginuid", .permissions = 0644, .text = login_uid_text},                                         \
    {.name = "uid_map", .permissions = 0644, .text = id_map_text},                                             \
    {.name = "gid_map", .permissions = 0644, .text = id_map_text}

constexpr Entry kThreadEntries[] = {ISOUNIK_TASK_ENTRIES};

class ThreadDirectory final : public DirectoryNode {
  public:
    ThreadDirectory(FileSystem& owner, const Subject& subject) : DirectoryNode(owner, subject, "task", 0555) {}
    Result<Ref<Inode>> lookup(std::string_view name) override { return lookup_in(kThreadEntries, name); }
    Result<void> read_directory(uint64_t offset, DirectorySink& sink) override {
        list(kThreadEntries, 0, offset, sink);
        return {};
    }
};

// /proc/<pid>/task: the offset behind an entry is its thread's number.
class TaskDirectory final : public DirectoryNode {
  public:
    TaskDirectory(FileSystem& owner, const Subject& subject) : DirectoryNode(owner, subject, "tasks", 0555) {}
    Result<Ref<Inode>> lookup(std::string_view name) override {
        int tid = parse_number(name);
        if (tid <= 0 || !process_view()->is_thread_of(subject_.pid, tid)) return fail(Errno::kNoEnt);
        return Ref<Inode>(TRY(core::make_ref<ThreadDirectory>(owner_, Subject{subject_.pid, tid, 0})));
    }
    Result<void> read_directory(uint64_t offset, DirectorySink& sink) override {
        int tid = static_cast<int>(offset);
        while ((tid = process_view()->next_thread(subject_.pid, tid)) != 0) {
            char digits[12];
            auto name = klog::format(digits, sizeof digits, "{}", tid);
            Subject own{subject_.pid, tid, 0};
            if (!sink.entry(name, inode_number(own, "task"), FileType::kDirectory, static_cast<uint64_t>(tid))) return {};
        }
        return {};
    }
};

Result<Ref<Inode>> make_task_directory(FileSystem& owner, const Subject& subject) {
    return Ref<Inode>(TRY(core::make_ref<TaskDirectory>(owner, subject)));
}

constexpr Entry kProcessEntries[] = {{.name = "task", .make = make_task_directory}, ISOUNIK_TASK_ENTRIES};

// Stays with its process when the number is given to another (pidfd_send_signal(2)).
class ProcessDirectoryFile final : public DirectoryFile {
  public:
    ProcessDirectoryFile(const OpenRequest& request, Ref<core::RefCounted> process)
        : DirectoryFile(request.flags, *request.path), process_(std::move(process)) {}
    core::RefCounted* process() const override { return process_.get(); }

  private:
    const Ref<core::RefCounted> process_;
};

class ProcessDirectory final : public DirectoryNode {
  public:
    ProcessDirectory(FileSystem& owner, const Subject& subject) : DirectoryNode(owner, subject, "process", 0555) {}
    Result<Ref<Inode>> lookup(std::string_view name) override {
        if (!process_view()->exists(subject_.pid)) return fail(Errno::kNoEnt);
        return lookup_in(kProcessEntries, name);
    }
    Result<void> read_directory(uint64_t offset, DirectorySink& sink) override {
        if (!process_view()->exists(subject_.pid)) return fail(Errno::kNoEnt);
        list(kProcessEntries, 0, offset, sink);
        return {};
    }
    Result<Ref<File>> open(const OpenRequest& request) override {
        auto process = process_view()->process(subject_.pid);
        if (!process) return fail(Errno::kNoEnt);
        return Ref<File>(TRY(core::make_ref<ProcessDirectoryFile>(request, std::move(process))));
    }
};

}  // namespace

int parse_number(std::string_view name) {
    if (name.empty() || name.size() > 9 || (name.size() > 1 && name[0] == '0')) return -1;
    int value = 0;
    for (char digit : name) {
        if (digit < '0' || digit > '9') return -1;
        value = value * 10 + (digit - '0');
    }
    return value;
}

Result<Ref<Inode>> make_process_directory(FileSystem& owner, const Subject& subject) {
    return Ref<Inode>(TRY(core::make_ref<ProcessDirectory>(owner, subject)));
}

}  // namespace fs::proc
