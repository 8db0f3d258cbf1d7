#include "fs/walk.h"

namespace fs {

Result<void> Walk::start(std::string_view path) {
    if (path.empty()) return fail(Errno::kNoEnt);
    root_ = request_.context->root();
    rest_ = path;
    if (path[0] == '/') {
        place_ = root_;
    } else if (request_.start) {
        const Path* directory = request_.start->path();
        if (!directory || directory->dentry->type() != FileType::kDirectory) return fail(Errno::kNotDir);
        place_ = *directory;
    } else {
        place_ = request_.context->working_directory();
    }
    return {};
}

Result<void> Walk::to_parent() {
    for (;;) {
        size_t first = rest_.find_first_not_of('/');
        if (first == std::string_view::npos) {
            name_ = {};
            trailing_slash_ = true;
            return {};
        }
        size_t end = rest_.find('/', first);
        std::string_view name = rest_.substr(first, end - first);  // npos - first: to the end
        if (place_.dentry->type() != FileType::kDirectory) return fail(Errno::kNotDir);
        if (!request_.identity.is_root()) TRY(check_access(place_.inode(), kAccessExecute, request_.identity));
        if (name.size() > kNameMax) return fail(Errno::kNameTooLong);
        size_t next = end == std::string_view::npos ? end : rest_.find_first_not_of('/', end);
        if (next == std::string_view::npos) {
            name_ = name;
            trailing_slash_ = end != std::string_view::npos;
            return {};
        }
        rest_.remove_prefix(next);
        Path found = TRY(step(name));
        if (found.dentry->type() == FileType::kSymlink) TRY(expand(found));
        else place_ = std::move(found);
    }
}

Result<Path> Walk::lookup_last() {
    rest_ = {};
    if (name_.empty()) return place_;
    return step(name_);
}

Result<Path> Walk::finish(bool follow_last) {
    for (;;) {
        TRY(to_parent());
        Path found = TRY(lookup_last());
        if (found.dentry->type() == FileType::kSymlink && (follow_last || trailing_slash_)) {
            if (TRY(expand(found))) {
                if (trailing_slash_ && place_.dentry->type() != FileType::kDirectory) return fail(Errno::kNotDir);
                return place_;
            }
            continue;
        }
        if (trailing_slash_ && found.dentry->type() != FileType::kDirectory) return fail(Errno::kNotDir);
        return found;
    }
}

Result<Path> Walk::step(std::string_view name) {
    if (name[0] == '.') {
        if (name.size() == 1) return place_;
        if (name.size() == 2 && name[1] == '.') {
            TRY(step_up());
            return place_;
        }
    }
    Ref<Dentry> dentry = TRY(child(*place_.dentry, name));
    Path found{place_.mount, std::move(dentry)};
    if (found.dentry->is_mount_point()) [[unlikely]] TRY(cross_mounts(found));
    return found;
}

Result<void> Walk::step_up() {
    for (;;) {
        if (place_ == root_) return {};
        if (!(place_.dentry == place_.mount->root())) break;
        Path above = place_.mount->mount_point();
        if (above.empty()) return {};
        place_ = std::move(above);
    }
    if (Ref<Dentry> parent = place_.dentry->parent()) place_.dentry = std::move(parent);
    // Something may be mounted on top of the parent.
    if (place_.dentry->is_mount_point()) return cross_mounts(place_);
    return {};
}

Result<void> Walk::cross_mounts(Path& path) {
    while (path.dentry->is_mount_point()) {
        Ref<Mount> mount = mounted_at(path);
        if (!mount) break;
        path.dentry = mount->root();
        path.mount = std::move(mount);
    }
    return {};
}

Result<bool> Walk::expand(const Path& link) {
    if (++links_ > kMaxLinks) return fail(Errno::kLoop);
    Inode& inode = link.inode();
    std::string_view text = inode.stored_link_target();
    core::String copy;
    if (text.empty()) {
        auto magic = inode.follow_magic_link(request_);
        if (magic) {
            place_ = std::move(*magic);
            if (rest_.empty()) return true;
            return false;
        }
        if (magic.error() != Errno::kNoData) return fail(magic.error());
        copy = TRY(inode.read_link());
        text = copy;
        if (text.empty()) return fail(Errno::kNoEnt);
    }
    if (text[0] == '/') place_ = root_;
    bool last = rest_.empty();
    if (last && copy.empty() && !trailing_slash_) {
        rest_ = text;
        link_inode_ = link.dentry->inode_ref();
        return false;
    }
    // The target and what comes after the link. `rest_` may point into target_ or the older link's inode.
    core::String joined;
    TRY(joined.append(text));
    if (!last || trailing_slash_) TRY(joined.append("/"));
    if (!last) TRY(joined.append(rest_));
    target_ = std::move(joined);
    link_inode_.reset();
    rest_ = target_;
    return false;
}

Result<Path> lookup(std::string_view path, const LookupRequest& request) {
    if (path.empty() && request.empty_path) {
        if (!request.start) return request.context->working_directory();
        const Path* place = request.start->path();
        if (!place) return fail(Errno::kNotDir);  // callers ask a file without a path itself
        return *place;
    }
    Walk walk(request);
    TRY(walk.start(path));
    Path found = TRY(walk.finish(request.follow_last));
    if (request.directory_only && found.dentry->type() != FileType::kDirectory) return fail(Errno::kNotDir);
    return found;
}

Result<ParentLookup> lookup_parent(std::string_view path, const LookupRequest& request) {
    Walk walk(request);
    TRY(walk.start(path));
    TRY(walk.to_parent());
    // The walk's name may lie in a link's target that dies with the walk, but the last component is always
    // that of the caller's path.
    size_t end = path.find_last_not_of('/');
    std::string_view name;
    if (!walk.name().empty()) name = path.substr(end + 1 - walk.name().size(), walk.name().size());
    return ParentLookup{walk.place(), name, walk.trailing_slash()};
}

}  // namespace fs
