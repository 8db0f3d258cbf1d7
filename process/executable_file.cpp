#include <cstring>

#include "mm/frames.h"
#include "process/exec.h"

namespace process {

Result<ExecutableFile> ExecutableFile::open(std::string_view path, const fs::LookupRequest& request) {
    ExecutableFile file;
    file.path_ = TRY(fs::lookup(path, request));
    Ref<fs::Inode> inode = file.path_.dentry->inode_ref();
    if (inode->ownership().type != fs::FileType::kRegular) return fail(Errno::kAcces);
    if (file.path_.mount->flags() & fs::kMountNoExec) return fail(Errno::kAcces);
    TRY(fs::check_access(*inode, fs::kAccessExecute, request.identity));
    Ref<fs::File> opened = TRY(inode->open({fs::kORdOnly, &file.path_}));
    auto mappable = opened->mappable();
    if (!mappable) return fail(Errno::kAcces);
    file.mappable_ = std::move(*mappable);
    TRY(inode->begin_execution());
    file.inode_ = std::move(inode);
    if (uint64_t size = file.mappable_->mapped_size()) {
        file.head_page_ = TRY(file.mappable_->page_cache().get(0, mm::PageCache::Intent::kRead));
        file.head_ = {static_cast<const std::byte*>(mm::to_pointer(file.head_page_)), size < kPageSize ? size : kPageSize};
    }
    return file;
}

ExecutableFile& ExecutableFile::operator=(ExecutableFile&& other) {
    if (this == &other) return *this;
    release();
    path_ = std::move(other.path_);
    inode_ = std::move(other.inode_);
    mappable_ = std::move(other.mappable_);
    head_page_ = std::exchange(other.head_page_, Pfn());
    head_ = std::exchange(other.head_, {});
    return *this;
}

void ExecutableFile::release() {
    if (inode_) inode_->end_execution();
    inode_.reset();
    if (head_page_ != Pfn()) mm::unref_frame(head_page_);
    head_page_ = Pfn();
    head_ = {};
}

Result<size_t> ExecutableFile::read(uint64_t offset, std::span<std::byte> destination) const {
    uint64_t size = mappable_->mapped_size();
    if (offset >= size) return size_t{0};
    size_t wanted = destination.size() < size - offset ? destination.size() : size - offset;
    if (wanted <= head_.size() && offset <= head_.size() - wanted) {
        std::memcpy(destination.data(), head_.data() + offset, wanted);
        return wanted;
    }
    for (size_t done = 0; done < wanted;) {
        uint64_t at = offset + done;
        size_t in_page = kPageSize - (at & core::kPageMask);
        size_t piece = wanted - done < in_page ? wanted - done : in_page;
        Pfn page = TRY(mappable_->page_cache().get(at >> core::kPageShift, mm::PageCache::Intent::kRead));
        std::memcpy(destination.data() + done, static_cast<std::byte*>(mm::to_pointer(page)) + (at & core::kPageMask),
                    piece);
        mm::unref_frame(page);
        done += piece;
    }
    return wanted;
}

}  // namespace process
