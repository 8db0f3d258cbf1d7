#include "net/interface_ioctl.h"

#include <cstring>

#include "arch/x86_64/user_copy.h"
#include "net/interface.h"
#include "net/lwip_headers.h"
#include "net/socket.h"
#include "net/stack_lock.h"

namespace net {

namespace {

constexpr uint32_t kSiocGIfName = 0x8910, kSiocGIfConf = 0x8912, kSiocGIfFlags = 0x8913, kSiocSIfFlags = 0x8914,
    kSiocGIfAddr = 0x8915, kSiocSIfAddr = 0x8916, kSiocGIfBrdAddr = 0x8919, kSiocGIfNetmask = 0x891b,
    kSiocSIfNetmask = 0x891c, kSiocGIfMtu = 0x8921, kSiocSIfMtu = 0x8922, kSiocGIfHwAddr = 0x8927,
    kSiocGIfIndex = 0x8933, kSiocGIfTxQLen = 0x8942;
constexpr int16_t kIffUp = 1, kIffBroadcast = 2, kIffLoopback = 8, kIffRunning = 0x40, kIffMulticast = 0x1000;

struct InterfaceRequest {  // struct ifreq, 40 bytes on x86-64
    char name[16];
    union {
        struct { uint16_t family; uint16_t port; uint32_t address; uint8_t zero[8]; } internet;
        struct { uint16_t family; uint8_t address[14]; } hardware;
        int16_t flags;
        int32_t number;
        uint8_t raw[24];
    };
};
static_assert(sizeof(InterfaceRequest) == 40);

struct InterfaceList { int32_t size; int32_t padding; uint64_t buffer; };  // struct ifconf


netif* find(const char* name) {
    for (netif* interface = netif_list; interface; interface = interface->next) {
        if (std::strncmp(interface_name(*interface), name, 16) == 0) return interface;
    }
    return nullptr;
}

Result<void> answer(uint32_t command, netif& interface, InterfaceRequest& request) {
    std::memset(request.raw, 0, sizeof(request.raw));
    const auto address = ip4_addr_get_u32(netif_ip4_addr(&interface));
    const auto netmask = ip4_addr_get_u32(netif_ip4_netmask(&interface));
    auto internet = [&](uint32_t value) { request.internet = {kAfInet, 0, value, {}}; };
    switch (command) {
    case kSiocGIfFlags:
        request.flags = kIffUp | kIffRunning;
        request.flags |= is_loopback(interface) ? kIffLoopback : kIffBroadcast | kIffMulticast;
        return {};
    case kSiocGIfAddr:
        if (!address) return fail(Errno::kAddrNotAvail);
        internet(address);
        return {};
    case kSiocGIfNetmask:
        if (!address) return fail(Errno::kAddrNotAvail);
        internet(netmask);
        return {};
    case kSiocGIfBrdAddr:
        if (!address) return fail(Errno::kAddrNotAvail);
        internet(is_loopback(interface) ? 0 : address | ~netmask);
        return {};
    case kSiocGIfMtu: request.number = is_loopback(interface) ? 65536 : interface.mtu; return {};
    case kSiocGIfTxQLen: request.number = 1000; return {};
    case kSiocGIfIndex: request.number = static_cast<int32_t>(interface_index(interface)); return {};
    case kSiocGIfHwAddr:
        request.hardware.family = is_loopback(interface) ? 772 : 1;  // ARPHRD_LOOPBACK, ARPHRD_ETHER
        std::memcpy(request.hardware.address, interface.hwaddr, interface.hwaddr_len);
        return {};
    }
    return fail(Errno::kNotTy);
}

Result<void> list(uint64_t argument) {
    auto wanted = TRY(arch::copy_in(UserIn<InterfaceList>(argument)));
    InterfaceRequest found[4] = {};
    size_t count = 0;
    {
        StackLock lock;
        // Loopback first, as Linux lists: lwIP's list is newest first.
        for (unsigned index = 1; count < 4; index++) {
            netif* interface = interface_by_index(index);
            if (!interface) break;
            if (ip4_addr_isany_val(*netif_ip4_addr(interface))) continue;
            std::strncpy(found[count].name, interface_name(*interface), 15);
            (void)answer(kSiocGIfAddr, *interface, found[count]);
            count++;
        }
    }
    size_t bytes = count * sizeof(InterfaceRequest);
    if (wanted.buffer) {
        size_t room = wanted.size < 0 ? 0 : static_cast<size_t>(wanted.size);
        room -= room % sizeof(InterfaceRequest);
        if (bytes > room) bytes = room;
        TRY(arch::copy_out(UserAddr(wanted.buffer), found, bytes));
    }
    wanted.size = static_cast<int32_t>(bytes);
    return arch::copy_out(UserOut<InterfaceList>(argument), wanted);
}

}  // namespace

Result<uint64_t> interface_ioctl(uint32_t command, uint64_t argument) {
    switch (command) {
    case kSiocGIfConf: TRY(list(argument)); return 0;
    case kSiocSIfFlags: case kSiocSIfAddr: case kSiocSIfNetmask: case kSiocSIfMtu: return fail(Errno::kPerm);
    case kSiocGIfName: case kSiocGIfFlags: case kSiocGIfAddr: case kSiocGIfBrdAddr: case kSiocGIfNetmask:
    case kSiocGIfMtu: case kSiocGIfHwAddr: case kSiocGIfIndex: case kSiocGIfTxQLen: break;
    default: return fail(Errno::kNotTy);
    }
    auto request = TRY(arch::copy_in(UserIn<InterfaceRequest>(argument)));
    {
        StackLock lock;
        if (command == kSiocGIfName) {
            netif* interface = interface_by_index(static_cast<unsigned>(request.number));
            if (!interface) return fail(Errno::kNoDev);
            std::memset(request.name, 0, sizeof(request.name));
            std::strncpy(request.name, interface_name(*interface), 15);
        } else {
            request.name[15] = '\0';
            netif* interface = find(request.name);
            if (!interface) return fail(Errno::kNoDev);
            TRY(answer(command, *interface, request));
        }
    }
    TRY(arch::copy_out(UserOut<InterfaceRequest>(argument), request));
    return 0;
}

}  // namespace net
