#include "net/unix/name.h"

#include <cstddef>

#include "core/lock.h"
#include "core/log.h"
#include "net/unix/endpoint.h"

namespace net {

namespace {

constexpr size_t kFamilySize = sizeof(uint16_t);
constexpr size_t kMaxAddress = 110;  // sizeof(struct sockaddr_un)

// All names in use. Searched one after the other: machines have few.
struct NameTable {
    core::Spinlock lock{core::Rank::kSocket};
    core::List<UnixName, &UnixName::hook> names;
};
NameTable& table() {
    static NameTable table;
    return table;
}

UnixName* find_abstract_locked(const SocketAddress& address) {
    for (UnixName& name : table().names) {
        if (!name.inode && name.address.size == address.size &&
            std::memcmp(name.address.bytes, address.bytes, address.size) == 0) {
            return &name;
        }
    }
    return nullptr;
}

// unix(7), "autobind": a NUL and five hexadecimal digits.
Result<void> enter_automatic(UnixName& name) {
    static uint32_t next = 0;
    core::SpinGuard guard(table().lock);
    for (uint32_t attempts = 0; attempts <= 0xfffff; attempts++) {
        uint32_t number = next++ & 0xfffff;
        uint16_t family = kAfUnix;
        std::memcpy(name.address.bytes, &family, kFamilySize);
        name.address.bytes[kFamilySize] = std::byte{0};
        for (int i = 0; i < 5; i++) {
            name.address.bytes[kFamilySize + 1 + i] = static_cast<std::byte>("0123456789abcdef"[number >> (16 - 4 * i) & 0xf]);
        }
        name.address.size = kFamilySize + 6;
        if (find_abstract_locked(name.address)) continue;
        table().names.push_back(name);
        return {};
    }
    return fail(Errno::kNoSpc);
}

}  // namespace

Result<UnixAddress> parse_unix_address(const SocketAddress& address) {
    if (address.size < kFamilySize || address.size > kMaxAddress || address.family() != kAfUnix) {
        return fail(Errno::kInval);
    }
    UnixAddress result;
    const char* text = reinterpret_cast<const char*>(address.bytes) + kFamilySize;
    size_t size = address.size - kFamilySize;
    if (size == 0) {
        result.automatic = true;
    } else if (text[0] == '\0') {
        result.abstract = {text + 1, size - 1};
    } else {
        std::string_view path(text, size);
        result.path = path.substr(0, path.find('\0'));
    }
    return result;
}

Result<Ref<UnixName>> bind_unix_name(const SocketAddress& address, UnixEndpoint& owner) {
    UnixAddress parsed = TRY(parse_unix_address(address));
    auto name = TRY(core::make_ref<UnixName>());
    name->owner = &owner;
    if (parsed.automatic) {
        TRY(enter_automatic(*name));
        return name;
    }
    name->address = address;
    if (parsed.path.empty()) {
        core::SpinGuard guard(table().lock);
        if (find_abstract_locked(address)) return fail(Errno::kAddrInUse);
        table().names.push_back(*name);
        return name;
    }
    fs::LookupRequest request = current_lookup();
    // A copy with a NUL, and the size that getsockname(2) reports.
    name->address.size = static_cast<uint32_t>(kFamilySize + parsed.path.size());
    if (name->address.size < kMaxAddress) name->address.bytes[name->address.size++] = std::byte{0};
    auto made = fs::make_node(parsed.path, fs::FileType::kSocket, 0777, 0, request);
    if (!made) return fail(made.error() == Errno::kExist ? Errno::kAddrInUse : made.error());
    request.follow_last = false;
    fs::Path path = TRY(fs::lookup(parsed.path, request));
    name->inode = Ref<fs::Inode>(&path.inode());
    core::SpinGuard guard(table().lock);
    table().names.push_back(*name);
    return name;
}

void retire_unix_name(UnixName& name) {
    core::SpinGuard guard(table().lock);
    name.owner = nullptr;
    name.hook.unlink();
}

Result<Ref<UnixEndpoint>> find_unix_endpoint(const SocketAddress& address) {
    UnixAddress parsed = TRY(parse_unix_address(address));
    if (parsed.automatic) return fail(Errno::kInval);
    Ref<fs::Inode> inode;
    if (!parsed.path.empty()) {
        fs::LookupRequest request = current_lookup();
        fs::Path path = TRY(fs::lookup(parsed.path, request));
        TRY(fs::check_access(path.inode(), fs::kAccessWrite, request.identity));
        if (path.inode().attributes().type != fs::FileType::kSocket) return fail(Errno::kConnRefused);
        inode = Ref<fs::Inode>(&path.inode());
    }
    core::SpinGuard guard(table().lock);
    if (inode) {
        for (UnixName& name : table().names) {
            if (name.inode == inode.get() && name.owner) return Ref<UnixEndpoint>(name.owner);
        }
    } else if (UnixName* name = find_abstract_locked(address); name && name->owner) {
        return Ref<UnixEndpoint>(name->owner);
    }
    return fail(Errno::kConnRefused);
}

}  // namespace net
