#include "fs/tmpfs/directory.h"

#include "fs/directory_file.h"

namespace fs::tmpfs {

namespace {

constexpr uint64_t kEntrySize = 20;  // what Linux's tmpfs counts for a name in st_size (BOGO_DIRENT_SIZE)
constexpr unsigned kNoReplace = 1, kExchange = 2;

uint32_t hash_of(std::string_view name) {
    uint32_t hash = 2'166'136'261u;  // FNV-1a
    for (char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 16'777'619u;
    return hash;
}

struct NameKey {
    uint32_t hash;
    std::string_view name;
};
struct CompareKey {
    bool operator()(const NameKey& key, const Entry& entry) const {
        return key.hash != entry.hash ? key.hash < entry.hash : key.name < entry.name.view();
    }
    bool operator()(const Entry& entry, const NameKey& key) const {
        return entry.hash != key.hash ? entry.hash < key.hash : entry.name.view() < key.name;
    }
};
struct CompareOffset {
    bool operator()(uint64_t offset, const Entry& entry) const { return offset < entry.offset; }
    bool operator()(const Entry& entry, uint64_t offset) const { return entry.offset < offset; }
};

bool is_directory(const Node& node) { return node.type() == FileType::kDirectory; }

}  // namespace

Result<std::unique_ptr<Entry>> Entry::create(std::string_view name) {
    auto entry = TRY(core::make<Entry>());
    entry->name = TRY(core::String::create(name));
    entry->hash = hash_of(name);
    return entry;
}

DirectoryNode::DirectoryNode(TreeFileSystem& file_system, const NodeAttributes& attributes,
                             std::unique_ptr<DirectoryContent> content)
    : Node(file_system, attributes), populated_(!content), content_(std::move(content)) {}

DirectoryNode::~DirectoryNode() { clear(); }

void DirectoryNode::clear() {
    // Subdirectories that only this tree refers to hand their entries to ours, so that depth costs no stack.
    Offsets doomed;
    doomed.swap(offsets_);
    names_.clear();
    count_ = 0;
    while (!doomed.empty()) {
        std::unique_ptr<Entry> entry(&*doomed.begin());
        doomed.erase(doomed.begin());
        if (entry->node && is_directory(*entry->node) && entry->node->reference_count() == 1) {
            auto& child = static_cast<DirectoryNode&>(*entry->node);
            child.names_.clear();
            child.count_ = 0;
            while (!child.offsets_.empty()) {
                Entry& grandchild = *child.offsets_.begin();
                child.offsets_.erase(child.offsets_.begin());
                grandchild.offset = ++next_offset_;
                doomed.insert(doomed.end(), grandchild);
            }
        }
    }
}

Attributes DirectoryNode::attributes() {
    Attributes result = Node::attributes();
    core::SpinGuard guard(tree().tree_lock);
    result.size = (count_ + 2) * kEntrySize;
    return result;
}

Entry* DirectoryNode::find_locked(std::string_view name) {
    auto found = names_.find(NameKey{hash_of(name), name}, CompareKey{});
    return found == names_.end() ? nullptr : &*found;
}

void DirectoryNode::insert_locked(std::unique_ptr<Entry> entry, Ref<Node> node) {
    entry->inode_number = node->inode_number();
    entry->type = node->type();
    entry->node = std::move(node);
    entry->offset = next_offset_++;
    offsets_.insert(offsets_.end(), *entry);
    names_.insert(*entry.release());
    count_++;
}

std::unique_ptr<Entry> DirectoryNode::take_locked(Entry& entry) {
    entry.by_name.unlink();
    entry.by_offset.unlink();
    count_--;
    return std::unique_ptr<Entry>(&entry);
}

Result<void> DirectoryNode::populate() {
    {
        core::SpinGuard guard(tree().tree_lock);
        if (populated_) return {};
    }
    // Collected without the lock, installed with it; a second thread that did the same loses its copy.
    struct Collector final : DirectoryContent::Sink {
        Offsets entries;
        uint64_t count = 0;
        Result<void> entry(std::string_view name, uint64_t inode_number, FileType type) override {
            auto entry = TRY(Entry::create(name));
            entry->inode_number = inode_number;
            entry->type = type;
            entry->offset = 3 + count++;
            entries.insert(entries.end(), *entry.release());
            return {};
        }
        ~Collector() {
            while (!entries.empty()) {
                Entry* entry = &*entries.begin();
                entries.erase(entries.begin());
                delete entry;
            }
        }
    } collector;
    TRY(content_->list(collector));
    core::SpinGuard guard(tree().tree_lock);
    if (populated_) return {};
    offsets_.swap(collector.entries);
    for (auto it = offsets_.begin(); it != offsets_.end();) {
        Entry& entry = *it++;
        // A broken image may hold a name twice: the first one counts.
        if (!names_.insert(entry).second) {
            entry.by_offset.unlink();
            collector.entries.insert(entry);
        } else {
            count_++;
        }
    }
    next_offset_ = 3 + collector.count;
    populated_ = true;
    return {};
}

Result<Ref<Node>> DirectoryNode::load(std::string_view name) {
    uint64_t inode_number;
    {
        core::SpinGuard guard(tree().tree_lock);
        Entry* entry = find_locked(name);
        if (!entry) return fail(Errno::kNoEnt);
        if (entry->node) return entry->node;
        inode_number = entry->inode_number;
    }
    Ref<Node> node = TRY(content_->load(inode_number));
    core::SpinGuard guard(tree().tree_lock);
    Entry* entry = find_locked(name);
    if (!entry) return fail(Errno::kNoEnt);
    if (!entry->node && entry->inode_number == inode_number) entry->node = node;
    return entry->node;
}

Result<Ref<Inode>> DirectoryNode::lookup(std::string_view name) {
    bool populated;
    {
        core::SpinGuard guard(tree().tree_lock);
        if (removed_) return fail(Errno::kNoEnt);
        if (Entry* entry = find_locked(name); entry && entry->node) return Ref<Inode>(entry->node);
        populated = populated_;
    }
    if (!populated) return TRY(content_->lookup(name));
    return TRY(load(name));
}

Result<Ref<Node>> DirectoryNode::insert_new(std::string_view name, Ref<Node> node) {
    auto entry = TRY(Entry::create(name));
    Timespec now = current_time();
    core::SpinGuard guard(tree().tree_lock);
    if (removed_) return fail(Errno::kNoEnt);
    if (find_locked(name)) return fail(Errno::kExist);
    insert_locked(std::move(entry), node);
    if (is_directory(*node)) add_link();
    touch_modification(now);
    return node;
}

Result<Ref<Inode>> DirectoryNode::create(std::string_view name, FileType type, uint16_t permissions, uint32_t uid,
                                         uint32_t gid, uint64_t device_number) {
    TRY(populate());
    NodeAttributes attributes{tree().new_inode_number(), type, permissions, uid, gid,
                              type == FileType::kDirectory ? 2u : 1u};
    return TRY(insert_new(name, TRY(create_node(tree(), attributes, device_number))));
}

Result<Ref<Inode>> DirectoryNode::create_symlink(std::string_view name, std::string_view target, uint32_t uid,
                                                 uint32_t gid) {
    TRY(populate());
    NodeAttributes attributes{tree().new_inode_number(), FileType::kSymlink, 0777, uid, gid};
    Ref<Node> node = TRY(core::make_ref<SymlinkNode>(tree(), attributes, std::string_view(),
                                                     TRY(core::String::create(target))));
    return TRY(insert_new(name, std::move(node)));
}

Result<Ref<Inode>> DirectoryNode::create_unnamed(uint16_t permissions, uint32_t uid, uint32_t gid,
                                                 Linkable linkable) {
    NodeAttributes attributes{tree().new_inode_number(), FileType::kRegular, permissions, uid, gid, 0};
    auto node = TRY(create_node(tree(), attributes, 0));
    node->linkable = linkable == Linkable::kYes;
    return node;
}

Result<void> DirectoryNode::link(std::string_view name, Inode& target) {
    TRY(populate());
    Ref<Node> node(&static_cast<Node&>(target));
    auto entry = TRY(Entry::create(name));
    Timespec now = current_time();
    core::SpinGuard guard(tree().tree_lock);
    if (removed_) return fail(Errno::kNoEnt);
    if (find_locked(name)) return fail(Errno::kExist);
    // Without a name only what O_TMPFILE made may get one (open(2)); unlinked files may not (linkat(2)).
    if (node->link_count() == 0 && !node->linkable) return fail(Errno::kNoEnt);
    node->add_link();
    node->linkable = false;
    insert_locked(std::move(entry), node);
    node->touch_change(now);
    touch_modification(now);
    return {};
}

Result<void> DirectoryNode::unlink(std::string_view name) {
    TRY(populate());
    Ref<Node> node = TRY(load(name));
    if (is_directory(*node)) return fail(Errno::kIsDir);
    Timespec now = current_time();
    std::unique_ptr<Entry> taken;
    bool last;
    {
        core::SpinGuard guard(tree().tree_lock);
        Entry* entry = find_locked(name);
        if (!entry || !(entry->node == node)) return fail(Errno::kNoEnt);
        taken = take_locked(*entry);
        last = node->remove_link() == 0;
        node->touch_change(now);
        touch_modification(now);
    }
    if (last) tree().node_unlinked(*node);
    return {};
}

Result<void> DirectoryNode::remove_directory(std::string_view name) {
    TRY(populate());
    Ref<Node> node = TRY(load(name));
    if (!is_directory(*node)) return fail(Errno::kNotDir);
    auto& victim = static_cast<DirectoryNode&>(*node);
    TRY(victim.populate());
    Timespec now = current_time();
    std::unique_ptr<Entry> taken;
    {
        core::SpinGuard guard(tree().tree_lock);
        Entry* entry = find_locked(name);
        if (!entry || !(entry->node == node)) return fail(Errno::kNoEnt);
        if (victim.count_ != 0) return fail(Errno::kNotEmpty);
        victim.removed_ = true;
        victim.clear_links();
        taken = take_locked(*entry);
        remove_link();
        node->touch_change(now);
        touch_modification(now);
    }
    tree().node_unlinked(*node);
    return {};
}

Result<void> DirectoryNode::rename(std::string_view old_name, Inode& new_directory, std::string_view new_name,
                                   unsigned rename_flags) {
    auto& to = static_cast<DirectoryNode&>(new_directory);
    TRY(populate());
    TRY(to.populate());
    Ref<Node> moved = TRY(load(old_name));
    Ref<Node> replaced;
    if (auto existing = to.load(new_name)) replaced = std::move(*existing);
    else if (existing.error() != Errno::kNoEnt) return fail(existing.error());
    if (replaced && (rename_flags & kNoReplace)) return fail(Errno::kExist);
    if (!replaced && (rename_flags & kExchange)) return fail(Errno::kNoEnt);
    bool exchange = rename_flags & kExchange;
    if (replaced && is_directory(*replaced) && !exchange) TRY(static_cast<DirectoryNode&>(*replaced).populate());
    auto prepared = TRY(Entry::create(new_name));
    Timespec now = current_time();
    std::unique_ptr<Entry> taken;
    bool last = false;
    {
        core::SpinGuard guard(tree().tree_lock);
        Entry* source = find_locked(old_name);
        Entry* target = to.find_locked(new_name);
        if (!source || !(source->node == moved)) return fail(Errno::kNoEnt);
        if (to.removed_) return fail(Errno::kNoEnt);
        if (exchange) {
            if (!target) return fail(Errno::kNoEnt);
            std::swap(source->node, target->node);
            std::swap(source->type, target->type);
            std::swap(source->inode_number, target->inode_number);
            if (this != &to && is_directory(*moved) != is_directory(*replaced)) {
                DirectoryNode& gains = is_directory(*moved) ? to : *this;
                gains.add_link();
                (&gains == this ? to : *this).remove_link();
            }
            replaced->touch_change(now);
        } else {
            if (target) {
                if (is_directory(*replaced)) {
                    auto& victim = static_cast<DirectoryNode&>(*replaced);
                    if (victim.count_ != 0) return fail(Errno::kNotEmpty);
                    victim.removed_ = true;
                    victim.clear_links();
                    to.remove_link();
                    last = true;
                } else {
                    last = replaced->remove_link() == 0;
                }
                target->node = moved;
                target->type = moved->type();
                target->inode_number = moved->inode_number();
                replaced->touch_change(now);
            } else {
                to.insert_locked(std::move(prepared), moved);
            }
            taken = take_locked(*source);
            if (is_directory(*moved)) {
                remove_link();
                to.add_link();
            }
        }
        moved->touch_change(now);
        touch_modification(now);
        if (this != &to) to.touch_modification(now);
    }
    if (last) tree().node_unlinked(*replaced);
    return {};
}

Result<void> DirectoryNode::read_directory(uint64_t offset, DirectorySink& sink) {
    TRY(populate());
    {
        core::SpinGuard guard(tree().tree_lock);
        for (auto it = offsets_.lower_bound(offset, CompareOffset{}); it != offsets_.end(); ++it) {
            if (!sink.entry(it->name, it->inode_number, it->type, it->offset + 1)) break;
        }
    }
    touch_access();
    return {};
}

Result<Ref<File>> DirectoryNode::open(const OpenRequest& request) {
    return core::make_ref<DirectoryFile>(request.flags, *request.path);
}

}  // namespace fs::tmpfs
