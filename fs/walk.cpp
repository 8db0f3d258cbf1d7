#include "fs/walk.h"

namespace fs {

namespace {

// Where the component at the start of `text` ends.
size_t component_size(std::string_view text) {
    constexpr uint64_t kOnes = 0x0101'0101'0101'0101, kHighs = kOnes << 7, kSlashes = kOnes * '/';
    size_t size = 0;
    auto find_zero = [&](uint64_t word) { return (word - kOnes) & ~word & kHighs; };
    auto load = [&](size_t at) {
        uint64_t word;
        std::memcpy(&word, text.data() + at, 8);
        return word ^ kSlashes;
    };
    if (text.size() >= 8) {
        for (; text.size() - size >= 8; size += 8) {
            if (uint64_t found = find_zero(load(size))) return size + static_cast<unsigned>(__builtin_ctzll(found)) / 8;
        }
        // The rest out of the last word; a zero byte behind it marks the end of the text.
        size_t rest = text.size() - size;
        if (rest == 0) return size;
        uint64_t found = find_zero(load(text.size() - 8) >> 8 * (8 - rest));
        return size + static_cast<unsigned>(__builtin_ctzll(found)) / 8;
    }
    while (size < text.size() && text[size] != '/') size++;
    return size;
}

size_t slashes_at(std::string_view text, size_t from) {
    while (from < text.size() && text[from] == '/') from++;
    return from;
}

}  // namespace

const Path& Walk::root() {
    if (root_.empty()) root_ = request_.context->root();
    return root_;
}

Result<void> Walk::start(std::string_view path) {
    if (path.empty()) return fail(Errno::kNoEnt);
    rest_ = path;
    if (path[0] == '/') {
        place_ = request_.context->root();
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
        rest_.remove_prefix(slashes_at(rest_, 0));
        if (rest_.empty()) {
            name_ = {};
            trailing_slash_ = true;
            return {};
        }
        std::string_view name = rest_.substr(0, component_size(rest_));
        if (place_.dentry->type() != FileType::kDirectory) return fail(Errno::kNotDir);
        if (!request_.identity.is_root()) TRY(check_access(place_.inode(), kAccessExecute, request_.identity));
        if (name.size() > kNameMax) return fail(Errno::kNameTooLong);
        size_t next = slashes_at(rest_, name.size());
        if (next == rest_.size()) {
            name_ = name;
            trailing_slash_ = next != name.size();
            return {};
        }
        rest_.remove_prefix(next);
        Step found = TRY(step(name));
        if (found.dentry->type() == FileType::kSymlink) TRY(follow(*found.dentry));
        else go(std::move(found));
    }
}

void Walk::go(Step&& found) {
    if (found.mount) place_.mount = std::move(found.mount);
    place_.dentry = std::move(found.dentry);
}

Path Walk::path_to(Step&& found) const {
    return {found.mount ? std::move(found.mount) : place_.mount, std::move(found.dentry)};
}

Result<Path> Walk::lookup_last() {
    rest_ = {};
    if (name_.empty()) return place_;
    return path_to(TRY(step(name_)));
}

Result<Path> Walk::finish(bool follow_last) {
    for (;;) {
        TRY(to_parent());
        rest_ = {};
        if (!name_.empty()) {
            Step found = TRY(step(name_));
            if (found.dentry->type() == FileType::kSymlink && (follow_last || trailing_slash_)) {
                if (!TRY(follow(*found.dentry))) continue;
            } else {
                go(std::move(found));
            }
        }
        // The walk is over, and what was found is its place.
        if (trailing_slash_ && place_.dentry->type() != FileType::kDirectory) return fail(Errno::kNotDir);
        return std::move(place_);
    }
}

Result<Walk::Step> Walk::step(std::string_view name) {
    if (name[0] == '.') {
        if (name.size() == 1) return Step{nullptr, place_.dentry};
        if (name.size() == 2 && name[1] == '.') {
            TRY(step_up());
            return Step{nullptr, place_.dentry};
        }
    }
    Step found{nullptr, TRY(child(*place_.dentry, name))};
    if (found.dentry->is_mount_point()) [[unlikely]] {
        Path path{place_.mount, std::move(found.dentry)};
        TRY(cross_mounts(path));
        found = {std::move(path.mount), std::move(path.dentry)};
    }
    return found;
}

Result<void> Walk::step_up() {
    for (;;) {
        if (place_ == root()) return {};
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

Result<bool> Walk::follow(const Dentry& link) {
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
    if (text[0] == '/') place_ = root();
    bool last = rest_.empty();
    if (last && copy.empty() && !trailing_slash_) {
        rest_ = text;
        link_inode_ = link.inode_ref();
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
