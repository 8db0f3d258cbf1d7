// FIFOs: pipes found by their inode while anybody has them open (fifo(7)).
#include "fs/pipe.h"
#include "fs/pipe/pipe_file.h"
#include "mm/frames.h"

namespace fs {

namespace {

struct ByInode {
    bool operator()(const Pipe& left, const Pipe& right) const { return left.fifo() < right.fifo(); }
    bool operator()(const Inode* left, const Pipe& right) const { return left < right.fifo(); }
    bool operator()(const Pipe& left, const Inode* right) const { return left.fifo() < right; }
};
using FifoTree = core::Tree<Pipe, &Pipe::fifo_hook, ByInode>;

// Rank kFileTable: taken with no other lock held but those of process/; nothing is taken under it.
core::Spinlock fifos_lock{core::Rank::kFileTable};
FifoTree& fifos() {
    static FifoTree tree;
    return tree;
}

// The pipe of an open FIFO, or null. A pipe whose last reference is gone leaves the table.
Ref<Pipe> find_locked(Inode& inode) {
    auto found = fifos().find(&inode, ByInode());
    if (found == fifos().end()) return nullptr;
    if (found->try_ref()) return Ref<Pipe>::adopt(&*found);
    fifos().erase(found);
    return nullptr;
}

Result<Ref<Pipe>> find_or_create(Inode& inode) {
    {
        core::SpinGuard guard(fifos_lock);
        if (auto pipe = find_locked(inode)) return pipe;
    }
    auto fresh = TRY(Pipe::create(Ref<Inode>(&inode)));
    Ref<Pipe> other;
    {
        core::SpinGuard guard(fifos_lock);
        other = find_locked(inode);
        if (!other) fifos().insert(*fresh);
    }
    return other ? other : fresh;
}

}  // namespace

Pipe::~Pipe() {
    while (!empty_locked()) drop_oldest_locked();
    if (spare_) mm::free_frame(Pfn(mm::to_physical(spare_)));
    if (inode_) {
        core::SpinGuard guard(fifos_lock);
        fifo_hook.unlink();
    }
}

namespace {

Result<Ref<File>> open_pipe(Ref<Pipe> pipe, const OpenRequest& request) {
    uint64_t writer_generation = 0;
    Blocking blocking = request.flags & kONonBlock ? Blocking::kNo : Blocking::kYes;
    Pipe::Ends ends = PipeFile::ends_of(request.flags);
    TRY(pipe->open_ends(ends, blocking, &writer_generation));
    auto* file = new (std::nothrow) PipeFile(pipe, request.flags, writer_generation);
    if (!file) {
        pipe->close_ends(ends);
        return fail(Errno::kNoMem);
    }
    return Ref<File>(Ref<PipeFile>::adopt(file));
}

}  // namespace

Result<Ref<File>> open_fifo(Inode& inode, const OpenRequest& request) {
    return open_pipe(TRY(find_or_create(inode)), request);
}

Result<Ref<File>> Pipe::open(const OpenRequest& request) { return open_pipe(Ref<Pipe>(this), request); }

}  // namespace fs
