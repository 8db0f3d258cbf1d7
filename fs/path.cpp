#include "fs/path.h"

#include <algorithm>

namespace fs {

namespace {

constexpr size_t kPathMax = 4096;
constexpr std::string_view kDeleted = " (deleted)";

// Writes towards lower addresses.
class BackwardText {
  public:
    BackwardText(char* buffer, size_t size) : buffer_(buffer), start_(buffer + size), end_(start_) {}
    bool prepend(std::string_view text) {
        if (static_cast<size_t>(start_ - buffer_) < text.size()) return false;
        start_ -= text.size();
        std::memcpy(start_, text.data(), text.size());
        return true;
    }
    std::string_view view() const { return {start_, static_cast<size_t>(end_ - start_)}; }

  private:
    char* buffer_;
    char* start_;
    char* end_;
};

}  // namespace

Result<core::String> Path::to_string(const Path& root) const {
    auto buffer = std::unique_ptr<char[]>(new (std::nothrow) char[kPathMax]);
    if (!buffer) return fail(Errno::kNoMem);
    BackwardText text(buffer.get(), kPathMax);
    if (dentry->deleted() && !text.prepend(kDeleted)) return fail(Errno::kNameTooLong);

    Path here = *this;
    bool unreachable = false, any_name = false;
    while (!(here == root)) {
        if (here.dentry == here.mount->root()) {
            Path above = here.mount->mount_point();
            if (!above.empty()) {
                here = std::move(above);
                continue;
            }
            if (here.mount->attached()) {
                unreachable = !root.empty();  // the root of the machine; another root was asked for
                break;
            }
            // A place in no directory: its own name is all there is.
            core::SpinGuard guard(rename_lock());
            if (!text.prepend(here.dentry->name_locked())) return fail(Errno::kNameTooLong);
            any_name = true;
            break;
        }
        // Up to the root of this mount in one go: names and parents stay as they are under the lock.
        Ref<Dentry> reached;
        bool fits = true;
        {
            core::SpinGuard guard(rename_lock());
            const Dentry* dentry = here.dentry.get();
            const Dentry* top = here.mount->root().get();
            const Dentry* stop = here.mount == root.mount ? root.dentry.get() : nullptr;
            while (fits && dentry != top && dentry != stop && dentry->parent_locked()) {
                fits = text.prepend(dentry->name_locked()) && text.prepend("/");
                dentry = dentry->parent_locked();
                any_name = true;
            }
            if (dentry == top || dentry == stop) reached = Ref<Dentry>(const_cast<Dentry*>(dentry));
        }
        if (!fits) return fail(Errno::kNameTooLong);
        if (!reached) return fail(Errno::kNoEnt);  // outside of a bind mount
        here.dentry = std::move(reached);
    }
    if (!any_name && !text.prepend("/")) return fail(Errno::kNameTooLong);
    if (unreachable && !text.prepend("(unreachable)")) return fail(Errno::kNameTooLong);
    return core::String::create(text.view());
}

bool Identity::in_group(uint32_t group) const {
    return gid == group || std::find(groups, groups + group_count, group) != groups + group_count;
}

Result<Ref<FsContext>> FsContext::clone() {
    Path root_copy = root(), directory_copy = working_directory();
    auto copy = TRY(core::make_ref<FsContext>(std::move(root_copy), std::move(directory_copy)));
    copy->umask_ = umask();
    return copy;
}

Path FsContext::root() {
    core::SpinGuard guard(lock_);
    return root_;
}

Path FsContext::working_directory() {
    core::SpinGuard guard(lock_);
    return working_directory_;
}

// The old path is dropped after the lock: it may be the last reference to a mount.
void FsContext::set_root(Path path) {
    core::SpinGuard guard(lock_);
    std::swap(root_, path);
    guard.unlock();
}

void FsContext::set_working_directory(Path path) {
    core::SpinGuard guard(lock_);
    std::swap(working_directory_, path);
    guard.unlock();
}

uint16_t FsContext::umask() {
    core::SpinGuard guard(lock_);
    return umask_;
}

uint16_t FsContext::exchange_umask(uint16_t umask) {
    core::SpinGuard guard(lock_);
    return std::exchange(umask_, static_cast<uint16_t>(umask & 0777));
}

}  // namespace fs
