#include "fs/tmpfs/tmpfs.h"

#include "fs/tmpfs/directory.h"
#include "fs/tmpfs/regular.h"

namespace fs::tmpfs {

namespace {

struct Options {
    uint64_t size_pages = 0;
    uint16_t mode = 01777;
    uint32_t uid = 0, gid = 0;
};

// EINVAL unless all of `text` is a number of that base.
Result<uint64_t> parse_number(std::string_view text, unsigned base) {
    if (text.empty()) return fail(Errno::kInval);
    uint64_t value = 0;
    for (char c : text) {
        unsigned digit = static_cast<unsigned>(c - '0');
        if (digit >= base) return fail(Errno::kInval);
        if (__builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, digit, &value))
            return fail(Errno::kInval);
    }
    return value;
}

Result<uint64_t> parse_size(std::string_view text) {
    unsigned shift = 0;
    if (!text.empty()) {
        switch (text.back() | 0x20) {
            case 'k': shift = 10; break;
            case 'm': shift = 20; break;
            case 'g': shift = 30; break;
            default: break;
        }
    }
    if (shift) text.remove_suffix(1);
    uint64_t value = TRY(parse_number(text, 10));
    if (value > (~uint64_t{0} >> shift)) return fail(Errno::kInval);
    return value << shift;
}

Result<Options> parse(std::string_view text) {
    Options options;
    while (!text.empty()) {
        size_t end = text.find(',');
        std::string_view word = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
        size_t equals = word.find('=');
        std::string_view key = word.substr(0, equals);
        std::string_view value = equals == std::string_view::npos ? std::string_view() : word.substr(equals + 1);
        if (key == "mode") options.mode = TRY(parse_number(value, 8)) & 07777;
        else if (key == "uid") options.uid = static_cast<uint32_t>(TRY(parse_number(value, 10)));
        else if (key == "gid") options.gid = static_cast<uint32_t>(TRY(parse_number(value, 10)));
        else if (key == "size") options.size_pages = (TRY(parse_size(value)) + core::kPageMask) >> core::kPageShift;
        else if (key == "nr_inodes") TRY(parse_size(value));
        else if (!key.empty()) return fail(Errno::kInval);
    }
    return options;
}

}  // namespace

Result<Ref<FileSystem>> create(std::string_view text) {
    Options options = TRY(parse(text));
    auto file_system = TRY(core::make_ref<TreeFileSystem>("tmpfs", uint64_t{1}));
    file_system->size_limit_pages = options.size_pages;
    NodeAttributes attributes{file_system->new_inode_number(), FileType::kDirectory, options.mode, options.uid,
                              options.gid, 2};
    file_system->set_root(TRY(create_node(*file_system, attributes, 0)));
    return file_system;
}

Result<Ref<Inode>> create_unnamed_file(uint16_t permissions, uint32_t uid, uint32_t gid) {
    // One file system for all of them, made by the first; if two are made at once, one stays.
    static std::atomic<TreeFileSystem*> shared{nullptr};
    TreeFileSystem* file_system = shared.load(std::memory_order_acquire);
    if (!file_system) {
        auto fresh = TRY(core::make_ref<TreeFileSystem>("tmpfs", uint64_t{1}));
        if (shared.compare_exchange_strong(file_system, fresh.get(), std::memory_order_acq_rel))
            file_system = fresh.release();
    }
    NodeAttributes attributes{file_system->new_inode_number(), FileType::kRegular, permissions, uid, gid, 0};
    return TRY(create_node(*file_system, attributes, 0));
}

}  // namespace fs::tmpfs
