// Path resolution in steps (path_resolution(7)): what lookup, open and the operations on names share.
#pragma once

#include <string_view>

#include "core/string.h"
#include "fs/path.h"

namespace fs {

inline constexpr unsigned kMaxLinks = 40;   // ELOOP after that many symbolic links
inline constexpr size_t kNameMax = 255;

// One resolution. The sequence is
//     start(path); { to_parent(); last component by lookup_last(); expand(link) }*
// Nothing here allocates unless a symbolic link has more components behind it, or the dentry cache misses.
class Walk {
  public:
    explicit Walk(const LookupRequest& request) : request_(request) {}

    // ENOENT for an empty path, ENOTDIR if the start is no directory.
    Result<void> start(std::string_view path);
    // Walks to the directory of the last component. Then name() is that component: empty if the path names the
    // place() itself ("/"), else maybe "." or "..". Permission to search place() has been checked.
    Result<void> to_parent();
    // The last component without following it.
    Result<Path> lookup_last();
    // Continues with the target of the link that lookup_last() found: to_parent() is next, or the walk is at its
    // end (a magic link), which place() says, if it returns true.
    Result<bool> expand(const Path& link) { return follow(*link.dentry); }
    // All of it: to_parent() and lookup_last(), links followed as asked.
    Result<Path> finish(bool follow_last);

    const Path& place() const { return place_; }
    std::string_view name() const { return name_; }
    bool trailing_slash() const { return trailing_slash_; }

  private:
    // A child of place(). No mount: place()'s.
    struct Step {
        Ref<Mount> mount;
        Ref<Dentry> dentry;
    };
    Result<Step> step(std::string_view name);
    void go(Step&& found);
    Path path_to(Step&& found) const;
    Result<bool> follow(const Dentry& link);
    Result<void> step_up();
    Result<void> cross_mounts(Path& path);
    const Path& root();

    const LookupRequest& request_;
    Path place_;
    Path root_;  // once somebody asked for it
    std::string_view rest_, name_;
    bool trailing_slash_ = false;
    unsigned links_ = 0;
    core::String target_;     // backs rest_ after a link with a stored copy
    Ref<Inode> link_inode_;   // backs rest_ after a link without one
};

// Opens what was found (fs/open.cpp): permission, type and mount checks, then Inode::open().
enum class Opened : bool { kExisting, kJustCreated };
Result<Ref<File>> open_place(const Path& path, uint32_t flags, const Identity& identity, Opened opened);

}  // namespace fs
