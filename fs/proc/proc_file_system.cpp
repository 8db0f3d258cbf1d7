// The root of /proc: processes by number, self, thread-self, and the machine's files.
#include "fs/device.h"
#include "fs/proc/process_files.h"
#include "fs/proc/process_view.h"
#include "fs/proc/system_files.h"

namespace fs::proc {

namespace {

ProcessView* view = nullptr;

constexpr uint64_t kProcMagic = 0x9fa0;

Result<core::String> self_link(const Subject&) {
    int pid = process_view()->current_pid();
    if (pid == 0) return fail(Errno::kNoEnt);
    char digits[12];
    return core::String::create(klog::format(digits, sizeof digits, "{}", pid));
}
Result<core::String> thread_self_link(const Subject&) {
    int pid = process_view()->current_pid();
    if (pid == 0) return fail(Errno::kNoEnt);
    char path[40];
    return core::String::create(klog::format(path, sizeof path, "{}/task/{}", pid, process_view()->current_tid()));
}

constexpr Entry kSelfEntries[] = {
    {.name = "self", .link = self_link},
    {.name = "thread-self", .link = thread_self_link},
};

// Offsets of entries: self and thread-self, the machine's files, then processes at kFirstProcess + pid.
constexpr uint64_t kFirstProcess = 256;

class Root final : public DirectoryNode {
  public:
    explicit Root(FileSystem& owner) : DirectoryNode(owner, {}, "/", 0555) {}

    Result<Ref<Inode>> lookup(std::string_view name) override {
        if (!process_view()) return fail(Errno::kNoEnt);
        int pid = parse_number(name);
        if (pid > 0) {
            if (!process_view()->exists(pid)) return fail(Errno::kNoEnt);
            return make_process_directory(owner_, Subject{pid, pid, 0});
        }
        if (auto found = lookup_in(kSelfEntries, name)) return found;
        return lookup_in(kSystemEntries, name);
    }
    Result<void> read_directory(uint64_t offset, DirectorySink& sink) override {
        if (!list(kSelfEntries, 0, offset, sink)) return {};
        if (!list(kSystemEntries, std::size(kSelfEntries), offset, sink) || !process_view()) return {};
        int pid = offset > kFirstProcess ? static_cast<int>(offset - kFirstProcess) : 0;
        while ((pid = process_view()->next_process(pid)) != 0) {
            char digits[12];
            auto name = klog::format(digits, sizeof digits, "{}", pid);
            Subject own{pid, pid, 0};
            if (!sink.entry(name, inode_number(own, "process"), FileType::kDirectory, kFirstProcess + pid)) return {};
        }
        return {};
    }
};

}  // namespace

void set_process_view(ProcessView& new_view) { view = &new_view; }
ProcessView* process_view() { return view; }

}  // namespace fs::proc

namespace fs {

Result<Ref<FileSystem>> create_proc_file_system() {
    return proc::create_text_file_system("proc", proc::kProcMagic, [](FileSystem& owner) -> Result<Ref<Inode>> {
        return Ref<Inode>(TRY(core::make_ref<proc::Root>(owner)));
    });
}

}  // namespace fs
