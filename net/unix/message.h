// What waits in the queue of an AF_UNIX socket: one write of a stream, or one datagram.
#pragma once

#include <new>

#include "core/intrusive.h"
#include "core/vector.h"
#include "net/socket.h"
#include "net/unix/name.h"

namespace net {

// The data follows the object. Destroyed without locks (dispose() of cycles.h): it may hold the last reference of
// files.
struct UnixMessage {
    core::ListHook hook;
    size_t size = 0;
    size_t offset = 0;  // streams: read up to here
    PeerCredentials sender;
    Ref<UnixName> name;  // of a datagram's sender; may be null
    core::Vector<Ref<fs::File>> files;

    std::byte* data() { return reinterpret_cast<std::byte*>(this + 1); }
    size_t left() const { return size - offset; }

    // Takes `size` bytes of `source`. ENOMEM, EFAULT.
    static Result<UnixMessage*> create(fs::Source& source, size_t size) {
        void* memory = ::operator new(sizeof(UnixMessage) + size, std::nothrow);
        if (!memory) return fail(Errno::kNoMem);
        auto* message = new (memory) UnixMessage;
        message->size = size;
        if (size) {
            if (auto taken = source.take(message->data(), size); !taken) {
                destroy(message);
                return fail(taken.error());
            }
        }
        return message;
    }
    static void destroy(UnixMessage* message) {
        if (!message) return;
        message->~UnixMessage();
        ::operator delete(message);
    }
};
using UnixMessageList = core::List<UnixMessage, &UnixMessage::hook>;

}  // namespace net
