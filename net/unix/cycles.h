// Sockets that wait in the queues of sockets (SCM_RIGHTS): disposing of them without deep recursion, and finding
// those that only hold each other (unix(7) has no name for it; Linux: unix_gc()).
#pragma once

#include "net/unix/message.h"

namespace net {

class UnixEndpoint;

// Does one of the files belong to an AF_UNIX socket.
bool carries_sockets(const UnixMessage& message);
// `endpoint` has got such a message. No lock held.
void note_carrier(UnixEndpoint& endpoint);
// `endpoint` is being destroyed.
void forget_carrier(UnixEndpoint& endpoint);

// Destroys messages. Sockets in them whose last reference goes may hold further messages: those are destroyed in
// turn by the outermost call, however long the chain is. No lock held.
void dispose(UnixMessageList& messages);
void dispose(UnixMessage* message);

// Empties the queues of sockets that nobody can reach any more because all references to them wait in queues of such
// sockets. Called when a socket closes; a few loads unless sockets are in flight. No lock held.
void collect_unix_cycles();

}  // namespace net
