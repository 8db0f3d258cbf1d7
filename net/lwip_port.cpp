// What lwIP needs from its host: memory, time, random numbers, and a place for its assertions.
#include <atomic>
#include <cstring>
#include <new>

#include "core/panic.h"
#include "core/random.h"
#include "net/lwip_headers.h"
#include "net/lwip_memory.h"
#include "net/sip_hash.h"
#include "sched/timer.h"

namespace net {

namespace {

// In front of each block, so that the sum can be kept. A multiple of the strictest alignment lwIP wants.
struct alignas(16) BlockHeader { size_t size; };

std::atomic<size_t> used{0};
std::atomic<size_t> limit{16u << 20};

}  // namespace

size_t stack_memory_used() { return used.load(std::memory_order_relaxed); }
bool stack_memory_scarce() { return stack_memory_used() > limit.load(std::memory_order_relaxed) / 4 * 3; }
void set_stack_memory_limit(size_t bytes) { limit.store(bytes, std::memory_order_relaxed); }

}  // namespace net

extern "C" {

void isounik_lwip_panic(const char* message) { core::panic("lwIP", 0, message); }

uint32_t isounik_lwip_random() { return static_cast<uint32_t>(core::random_u64()); }

void* isounik_lwip_malloc(size_t size) {
    using net::BlockHeader;
    if (net::used.load(std::memory_order_relaxed) + size > net::limit.load(std::memory_order_relaxed)) return nullptr;
    void* block = ::operator new(sizeof(BlockHeader) + size, std::nothrow);
    if (!block) return nullptr;
    net::used.fetch_add(size, std::memory_order_relaxed);
    return new (block) BlockHeader{size} + 1;
}

void* isounik_lwip_calloc(size_t count, size_t size) {
    void* memory = isounik_lwip_malloc(count * size);
    if (memory) std::memset(memory, 0, count * size);
    return memory;
}

void isounik_lwip_free(void* memory) {
    auto* header = static_cast<net::BlockHeader*>(memory) - 1;
    net::used.fetch_sub(header->size, std::memory_order_relaxed);
    ::operator delete(header);
}

u32_t sys_now() { return static_cast<u32_t>(sched::monotonic_ns() / 1'000'000); }

// RFC 6528: ISN = M + F(localip, localport, remoteip, remoteport, secretkey), M ticking every 4 microseconds.
u32_t isounik_tcp_isn(const ip_addr_t* local_ip, u16_t local_port, const ip_addr_t* remote_ip, u16_t remote_port) {
    static const net::SipKey key = net::SipKey::random();
    struct {
        uint32_t local[4], remote[4];
        uint32_t ports;
    } tuple{};
    auto copy = [](uint32_t (&words)[4], const ip_addr_t* address) {
        std::memcpy(words, &address->u_addr, IP_IS_V6(address) ? 16 : 4);
    };
    copy(tuple.local, local_ip);
    copy(tuple.remote, remote_ip);
    tuple.ports = static_cast<uint32_t>(local_port) << 16 | remote_port;
    auto bytes = std::as_bytes(std::span(&tuple, 1));
    return static_cast<u32_t>(sched::monotonic_ns() / 4000 + net::sip_hash(key, bytes));
}

}  // extern "C"
