// open(2).
#include "core/log.h"
#include "fs/path_file.h"
#include "fs/walk.h"
#include "fs/names.h"

namespace fs {

namespace {

// Flags that an open file description does not keep (fcntl(2), F_GETFL).
constexpr uint32_t kNotKept = kOCreat | kOExcl | kOTrunc | kOCloExec;  // O_NOCTTY goes after the open

unsigned wanted_access(uint32_t flags) {
    static constexpr unsigned kByMode[] = {kAccessRead, kAccessWrite, kAccessRead | kAccessWrite,
                                           kAccessRead | kAccessWrite};
    return kByMode[flags & kOAccMode] | (flags & kOTrunc ? kAccessWrite : 0);
}

// O_TMPFILE: an unnamed file in the directory `path`.
Result<Ref<File>> open_unnamed(Walk& walk, uint32_t flags, uint16_t mode, const LookupRequest& request) {
    if (!(flags & (kOWrOnly | kORdWr))) return fail(Errno::kInval);
    Path directory = TRY(walk.finish(true));
    if (directory.dentry->type() != FileType::kDirectory) return fail(Errno::kNotDir);
    if (directory.mount->read_only()) return fail(Errno::kRoFs);
    TRY(check_access(directory.inode(), kAccessWrite | kAccessExecute, request.identity));
    mode &= ~request.context->umask();
    NewNodeOwner owner = new_node_owner(directory.inode(), FileType::kRegular, mode, request.identity);
    auto inode = TRY(directory.inode().create_unnamed(owner.permissions, owner.uid, owner.gid,
                                                      flags & kOExcl ? Linkable::kNo : Linkable::kYes));
    char name[32];
    auto dentry = TRY(Dentry::create(*directory.dentry,
                                     klog::format(name, sizeof name, "#{}", inode->attributes().inode_number),
                                     inode));
    dentry->mark_unlinked();
    return open_place({directory.mount, dentry}, flags & ~(kOCreat | kOTrunc | (kOTmpFile & ~kODirectory)) & ~kODirectory,
                      request.identity, Opened::kJustCreated);
}

}  // namespace

Result<Ref<File>> open_place(const Path& path, uint32_t flags, const Identity& identity, Opened opened) {
    FileType type = path.dentry->type();
    if ((flags & kODirectory) && type != FileType::kDirectory) return fail(Errno::kNotDir);
    if (flags & kOPath) {
        return core::make_ref<PlaceFile>(flags & (kOPath | kODirectory | kONoFollow), path);
    }
    Inode& inode = path.inode();
    unsigned wanted = wanted_access(flags);
    switch (type) {
        case FileType::kSymlink: return fail(Errno::kLoop);
        case FileType::kDirectory:
            if (wanted & kAccessWrite || flags & kOCreat) return fail(Errno::kIsDir);
            break;
        case FileType::kCharacter:
        case FileType::kBlock:
            if (path.mount->flags() & kMountNoDev) return fail(Errno::kAcces);
            break;
        case FileType::kRegular:
            if ((wanted & kAccessWrite) && path.mount->read_only()) return fail(Errno::kRoFs);
            break;
        default: break;
    }
    if (opened == Opened::kExisting) {
        TRY(check_access(inode, wanted, identity));
        if ((flags & kONoAtime) && !identity.is_root() && inode.ownership().uid != identity.uid)
            return fail(Errno::kPerm);
    }
    if (type == FileType::kSocket) return fail(Errno::kNxIo);
    auto file = TRY(inode.open(OpenRequest{(flags & ~kNotKept) | kOLargeFile, &path, (flags & kONoCtty) != 0}));
    if ((flags & kOTrunc) && type == FileType::kRegular && opened == Opened::kExisting) {
        AttributeChange change;
        change.set_size = true;
        // Also for a descriptor that only reads: a running program's file (ETXTBSY).
        TRY(inode.begin_write());
        core::Defer done([&] { inode.end_write(); });
        TRY(inode.change_attributes(change));
    }
    if (flags & kONoCtty) file->set_flags(file->flags() & ~kONoCtty);
    return file;
}

Result<Ref<File>> open(std::string_view path, uint32_t flags, uint16_t mode, const LookupRequest& request) {
    Walk walk(request);
    TRY(walk.start(path));
    if (flags & kOPath) flags &= kOPath | kODirectory | kONoFollow | kOCloExec;
    if ((flags & kOTmpFile) == kOTmpFile) return open_unnamed(walk, flags, mode, request);
    bool follow = !(flags & kONoFollow);
    if (!(flags & kOCreat)) return open_place(TRY(walk.finish(follow)), flags, request.identity, Opened::kExisting);
    if (flags & kOExcl) follow = false;

    TRY(walk.to_parent());
    for (;;) {
        if (walk.trailing_slash() || walk.name() == "." || walk.name() == "..") return fail(Errno::kIsDir);
        auto found = walk.lookup_last();
        if (found) {
            if (flags & kOExcl) return fail(Errno::kExist);
            if (found->dentry->type() != FileType::kSymlink || !follow)
                return open_place(*found, flags, request.identity, Opened::kExisting);
            if (TRY(walk.expand(*found))) return open_place(walk.place(), flags, request.identity, Opened::kExisting);
            TRY(walk.to_parent());
            continue;
        }
        if (found.error() != Errno::kNoEnt) return fail(found.error());
        auto created = add_name(walk.place(), walk.name(), FileType::kRegular, mode & ~request.context->umask(), 0,
                                request.identity);
        if (created) {
            return open_place({walk.place().mount, std::move(*created)}, flags, request.identity,
                              Opened::kJustCreated);
        }
        // Somebody was quicker: open theirs.
        if (created.error() != Errno::kExist || (flags & kOExcl)) return fail(created.error());
    }
}

}  // namespace fs
