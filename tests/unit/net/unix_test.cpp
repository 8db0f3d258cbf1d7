// AF_UNIX, single-threaded.
#include <cerrno>

#include "fixture.h"
#include "net/unix/cycles.h"
#include "net/unix/unix_socket.h"
#include "sched_host.h"

using namespace test;

namespace {

net::SocketPair pair_of(int type) {
    auto pair = net::create_socket_pair(net::kAfUnix, type, 0, fs::kONonBlock);
    EXPECT_TRUE(pair.has_value());
    return *pair;
}

Ref<net::Socket> listening(std::string_view name, int type = net::kSockStream, int backlog = 5) {
    auto socket = make_socket(net::kAfUnix, type);
    EXPECT_EQ(code(socket->bind(abstract_name(name))), 0);
    EXPECT_EQ(code(socket->listen(backlog)), 0);
    return socket;
}

// A file that tells when it is gone.
class Probe final : public fs::File {
  public:
    explicit Probe(bool& alive) : File(fs::kORdWr), alive_(alive) { alive_ = true; }
    ~Probe() override { alive_ = false; }
    fs::Attributes attributes() override { return {}; }
    Result<core::String> description() override { return core::String::create("probe"); }

  private:
    bool& alive_;
};

int64_t send_file(net::Socket& socket, Ref<fs::File> file, std::string_view data = "d") {
    net::Ancillary ancillary;
    EXPECT_TRUE(ancillary.files.push_back(std::move(file)));
    return send(socket, data, 0, nullptr, &ancillary);
}

}  // namespace

TEST(Unix, PairTransfersBothWays) {
    auto [a, b] = pair_of(net::kSockStream);
    EXPECT_EQ(send(*a, "hello"), 5);
    EXPECT_EQ(send(*a, " world"), 6);
    EXPECT_EQ(receive(*b, 7).data, "hello w");
    EXPECT_EQ(receive(*b).data, "orld");
    EXPECT_EQ(receive(*b).result, -EAGAIN);
    EXPECT_EQ(send(*b, "back"), 4);
    EXPECT_EQ(receive(*a, 4, net::kMsgPeek).data, "back");
    EXPECT_EQ(receive(*a).data, "back");
}

TEST(Unix, PollFollowsState) {
    auto [a, b] = pair_of(net::kSockStream);
    EXPECT_EQ(a->poll(nullptr), fs::kPollOut | fs::kPollWrNorm);
    send(*b, "x");
    EXPECT_TRUE(a->poll(nullptr) & fs::kPollIn);
    receive(*a);
    b.reset();
    EXPECT_EQ(a->poll(nullptr), fs::kPollIn | fs::kPollRdNorm | fs::kPollRdHup | fs::kPollHup | fs::kPollOut | fs::kPollWrNorm);
    EXPECT_EQ(receive(*a).result, 0);
    EXPECT_EQ(send(*a, "x"), -EPIPE);
    auto fresh = make_socket(net::kAfUnix, net::kSockStream);
    EXPECT_EQ(fresh->poll(nullptr), fs::kPollHup | fs::kPollOut | fs::kPollWrNorm);
}

TEST(Unix, UnreadDataResetsThePeer) {
    auto [a, b] = pair_of(net::kSockStream);
    send(*a, "unread");
    b.reset();
    EXPECT_EQ(receive(*a).result, -ECONNRESET);
    EXPECT_EQ(receive(*a).result, 0);
}

TEST(Unix, ShutdownDirections) {
    auto [a, b] = pair_of(net::kSockStream);
    EXPECT_EQ(code(a->shutdown(net::kShutWrite)), 0);
    EXPECT_EQ(receive(*b).result, 0);
    EXPECT_EQ(send(*a, "x"), -EPIPE);
    EXPECT_EQ(send(*b, "y"), 1);
    EXPECT_EQ(code(a->shutdown(net::kShutRead)), 0);
    EXPECT_EQ(send(*b, "y"), -EPIPE);
    EXPECT_EQ(receive(*a).data, "y");
}

TEST(Unix, ListenConnectAccept) {
    auto server = listening("listen");
    auto client = make_socket(net::kAfUnix, net::kSockStream);
    EXPECT_EQ(code(server->accept(0)), EAGAIN);
    caller.pid = 200;
    EXPECT_EQ(code(client->connect(abstract_name("listen"))), 0);
    EXPECT_EQ(code(client->connect(abstract_name("listen"))), EISCONN);
    caller.pid = 100;
    EXPECT_EQ(send(*client, "early"), 5);  // before it is accepted
    EXPECT_TRUE(server->poll(nullptr) & fs::kPollIn);
    auto accepted = server->accept(fs::kONonBlock);
    ASSERT_TRUE(accepted.has_value());
    EXPECT_EQ(receive(**accepted).data, "early");
    EXPECT_EQ((*accepted)->peer_address()->size, 2u);  // the client has no name
    EXPECT_EQ(client->peer_address()->size, abstract_name("listen").size);
    net::PeerCredentials peer;
    auto bytes = std::as_writable_bytes(std::span(&peer, 1));
    EXPECT_EQ((*accepted)->get_option(net::kSolSocket, net::kSoPeerCred, bytes).value(), sizeof(peer));
    EXPECT_EQ(peer.pid, 200);
    (void)client->get_option(net::kSolSocket, net::kSoPeerCred, bytes);
    EXPECT_EQ(peer.pid, 100);
}

TEST(Unix, ConnectErrors) {
    auto client = make_socket(net::kAfUnix, net::kSockStream);
    EXPECT_EQ(code(client->connect(abstract_name("nobody"))), ECONNREFUSED);
    EXPECT_EQ(code(client->listen(1)), EINVAL);
    auto bound = make_socket(net::kAfUnix, net::kSockStream);
    EXPECT_EQ(code(bound->bind(abstract_name("bound"))), 0);
    EXPECT_EQ(code(bound->bind(abstract_name("other"))), EINVAL);
    EXPECT_EQ(code(client->bind(abstract_name("bound"))), EADDRINUSE);
    EXPECT_EQ(code(client->connect(abstract_name("bound"))), ECONNREFUSED);
    auto records = listening("records", net::kSockSeqpacket);
    EXPECT_EQ(code(client->connect(abstract_name("records"))), EPROTOTYPE);
    EXPECT_EQ(code(client->connect(ipv4("127.0.0.1", 1))), EINVAL);
    EXPECT_EQ(send(*client, "x"), -ENOTCONN);
    EXPECT_EQ(receive(*client).result, -EINVAL);
    bound.reset();
    EXPECT_EQ(code(client->bind(abstract_name("bound"))), 0);  // free again
}

TEST(Unix, BacklogBounds) {
    auto server = listening("backlog", net::kSockStream, 1);
    std::vector<Ref<net::Socket>> clients;
    int connected = 0;
    for (int i = 0; i < 5; i++) {
        clients.push_back(make_socket(net::kAfUnix, net::kSockStream));
        connected += clients.back()->connect(abstract_name("backlog")).has_value();
    }
    EXPECT_EQ(connected, 2);
    auto waiting = make_socket(net::kAfUnix, net::kSockStream, 0, 0);
    test_support::on_sleep([&] { EXPECT_TRUE(server->accept(0).has_value()); });
    EXPECT_EQ(code(waiting->connect(abstract_name("backlog"))), 0);
    server.reset();
    EXPECT_EQ(receive(*waiting).result, -ECONNRESET);
}

TEST(Unix, AutomaticName) {
    auto socket = make_socket(net::kAfUnix, net::kSockStream);
    net::SocketAddress family_only = abstract_name("");
    family_only.size = 2;
    EXPECT_EQ(code(socket->bind(family_only)), 0);
    EXPECT_EQ(socket->local_address()->size, 8u);
}

TEST(Unix, DatagramsKeepBoundariesAndNames) {
    auto receiver = make_socket(net::kAfUnix, net::kSockDgram), sender = make_socket(net::kAfUnix, net::kSockDgram);
    ASSERT_EQ(code(receiver->bind(abstract_name("receiver"))), 0);
    ASSERT_EQ(code(sender->bind(abstract_name("sender"))), 0);
    auto to = abstract_name("receiver");
    EXPECT_EQ(send(*sender, "one", 0, &to), 3);
    EXPECT_EQ(send(*sender, "", 0, &to), 0);
    EXPECT_EQ(send(*sender, "three", 0, &to), 5);
    auto first = receive(*receiver);
    EXPECT_EQ(first.data, "one");
    EXPECT_EQ(first.from.size, abstract_name("sender").size);
    EXPECT_EQ(receive(*receiver).result, 0);
    auto cut = receive(*receiver, 2);
    EXPECT_EQ(cut.data, "th");
    EXPECT_TRUE(cut.flags & net::kMsgTrunc);
    EXPECT_EQ(receive(*receiver).result, -EAGAIN);
    EXPECT_EQ(send(*sender, "x"), -ENOTCONN);
    ASSERT_EQ(code(sender->connect(to)), 0);
    EXPECT_EQ(send(*sender, "x"), 1);
    EXPECT_EQ(send(*sender, std::string(300000, 'x')), -EMSGSIZE);
    receiver.reset();
    EXPECT_EQ(send(*sender, "x"), -ECONNREFUSED);
    EXPECT_EQ(send(*sender, "x"), -ENOTCONN);
}

TEST(Unix, DatagramQueueIsBounded) {
    auto receiver = make_socket(net::kAfUnix, net::kSockDgram), sender = make_socket(net::kAfUnix, net::kSockDgram);
    ASSERT_EQ(code(receiver->bind(abstract_name("bounded"))), 0);
    ASSERT_EQ(code(sender->connect(abstract_name("bounded"))), 0);
    int sent = 0;
    while (send(*sender, "x") == 1) sent++;
    EXPECT_EQ(sent, 11);
    EXPECT_FALSE(sender->poll(nullptr) & fs::kPollOut);
    sender->set_flags(fs::kORdWr);
    test_support::on_sleep([&] { receive(*receiver); });
    EXPECT_EQ(send(*sender, "late"), 4);
    EXPECT_FALSE(sender->poll(nullptr) & fs::kPollOut);
    sender.reset();  // while it stands on the receiver's list
    while (receive(*receiver).result >= 0) {}
}

TEST(Unix, ConnectedReceiverTakesFromItsPeerOnly) {
    auto a = make_socket(net::kAfUnix, net::kSockDgram), b = make_socket(net::kAfUnix, net::kSockDgram);
    auto stranger = make_socket(net::kAfUnix, net::kSockDgram);
    ASSERT_EQ(code(a->bind(abstract_name("a"))), 0);
    ASSERT_EQ(code(b->bind(abstract_name("b"))), 0);
    ASSERT_EQ(code(a->connect(abstract_name("b"))), 0);
    auto to = abstract_name("a");
    EXPECT_EQ(send(*stranger, "x", 0, &to), -EPERM);
    EXPECT_EQ(code(stranger->connect(to)), EPERM);
    EXPECT_EQ(send(*b, "x", 0, &to), 1);
}

TEST(Unix, SeqpacketKeepsRecords) {
    auto [a, b] = pair_of(net::kSockSeqpacket);
    send(*a, "first");
    send(*a, "second");
    EXPECT_EQ(receive(*b, 3).data, "fir");
    EXPECT_EQ(receive(*b).data, "second");
    a.reset();
    EXPECT_EQ(receive(*b).result, 0);
    EXPECT_EQ(send(*b, "x"), -EPIPE);
}

TEST(Unix, StreamFillsUpAndDrains) {
    auto [a, b] = pair_of(net::kSockStream);
    std::string block(4096, 'x');
    size_t total = 0;
    int64_t sent;
    while ((sent = send(*a, block)) > 0) total += static_cast<size_t>(sent);
    EXPECT_EQ(sent, -EAGAIN);
    EXPECT_GE(total, 65536u);
    EXPECT_FALSE(a->poll(nullptr) & fs::kPollOut);
    size_t read = 0;
    for (;;) {
        auto got = receive(*b, 10000);
        if (got.result <= 0) break;
        read += static_cast<size_t>(got.result);
    }
    EXPECT_EQ(read, total);
    EXPECT_TRUE(a->poll(nullptr) & fs::kPollOut);
}

TEST(Unix, BlockedWriterGoesOnAfterRead) {
    auto [a, b] = pair_of(net::kSockStream);
    while (send(*a, std::string(30000, 'x')) > 0) {}
    a->set_flags(fs::kORdWr);
    auto& reader = *b;
    test_support::on_sleep([&] { receive(reader, 60000); });
    EXPECT_EQ(send(*a, "more"), 4);
    while (send(*a, std::string(30000, 'x'), net::kMsgDontWait) > 0) {}
    auto& other = b;
    test_support::on_sleep([&] { other.reset(); });
    EXPECT_EQ(send(*a, "x"), -EPIPE);
}

TEST(Unix, WaitAllAndSignals) {
    auto [a, b] = pair_of(net::kSockStream);
    b->set_flags(fs::kORdWr);
    auto& writer = *a;
    send(*a, "abc");
    test_support::on_sleep([&] { send(writer, "def"); });
    EXPECT_EQ(receive(*b, 6, net::kMsgWaitAll).data, "abcdef");
    test_support::set_interrupted(true);
    EXPECT_EQ(receive(*b).result, -static_cast<int>(Errno::kRestartSys));
    test_support::set_interrupted(false);
}

TEST(Unix, DescriptorsTravel) {
    auto [a, b] = pair_of(net::kSockStream);
    bool alive = false;
    send(*a, "before");
    EXPECT_EQ(send_file(*a, *core::make_ref<Probe>(alive)), 1);
    EXPECT_TRUE(alive);
    send(*a, "after");
    net::Ancillary got;
    auto first = receive(*b, 100, 0, &got);
    EXPECT_EQ(first.data, "befored");  // ends with the message that brought the descriptor
    ASSERT_EQ(got.files.size(), 1u);
    EXPECT_EQ(receive(*b).data, "after");
    got.files.clear();
    EXPECT_FALSE(alive);
}

TEST(Unix, PeekedDescriptorsStay) {
    auto [a, b] = pair_of(net::kSockDgram);
    bool alive = false;
    EXPECT_EQ(send_file(*a, *core::make_ref<Probe>(alive)), 1);
    {
        net::Ancillary peeked;
        receive(*b, 10, net::kMsgPeek, &peeked);
        EXPECT_EQ(peeked.files.size(), 1u);
    }
    EXPECT_TRUE(alive);
    EXPECT_EQ(receive(*b).data, "d");  // nobody asked for it: closed
    EXPECT_FALSE(alive);
}

TEST(Unix, UnreadDescriptorsAreClosed) {
    bool alive = false;
    {
        auto [a, b] = pair_of(net::kSockStream);
        send_file(*a, *core::make_ref<Probe>(alive));
        EXPECT_TRUE(alive);
    }
    EXPECT_FALSE(alive);
}

TEST(Unix, SocketInItsOwnQueueIsCollected) {
    bool alive = false;
    {
        auto [a, b] = pair_of(net::kSockStream);
        send_file(*a, *core::make_ref<Probe>(alive));
        send_file(*a, b);  // b waits in its own queue
        send_file(*b, a);
    }
    net::collect_unix_cycles();
    EXPECT_FALSE(alive);
}

TEST(Unix, LongChainsOfSocketsInFlightEnd) {
    bool alive = false;
    auto [first, keep] = pair_of(net::kSockStream);
    send_file(*keep, *core::make_ref<Probe>(alive));
    Ref<net::Socket> previous = first;
    first.reset();
    for (int i = 0; i < 2000; i++) {
        auto [a, b] = pair_of(net::kSockStream);
        send_file(*b, std::move(previous));  // waits in a's queue
        previous = a;
    }
    EXPECT_TRUE(alive);
    previous.reset();
    EXPECT_FALSE(alive);
}

TEST(Unix, SocketsInFlightThatAreStillHeldStay) {
    bool alive = false;
    auto [a, b] = pair_of(net::kSockStream);
    auto [c, d] = pair_of(net::kSockStream);
    send_file(*a, *core::make_ref<Probe>(alive));
    send_file(*c, b);
    b.reset();  // alive only in d's queue
    net::collect_unix_cycles();
    EXPECT_TRUE(alive);
    net::Ancillary got;
    receive(*d, 10, 0, &got);
    ASSERT_EQ(got.files.size(), 1u);
    auto& again = static_cast<net::Socket&>(*got.files[0]);
    EXPECT_EQ(receive(again).data, "d");
}

TEST(Unix, CredentialsOfTheSender) {
    auto [a, b] = pair_of(net::kSockStream);
    EXPECT_EQ(set_int(*b, net::kSolSocket, net::kSoPassCred, 1), 0);
    caller.pid = 300;
    send(*a, "x");
    caller.pid = 301;
    send(*a, "y");
    caller.pid = 100;
    net::Ancillary got;
    EXPECT_EQ(receive(*b, 10, 0, &got).data, "x");  // senders do not mix
    ASSERT_TRUE(got.has_credentials);
    EXPECT_EQ(got.credentials.pid, 300);
    EXPECT_EQ(receive(*b, 10, 0, &got).data, "y");
    EXPECT_EQ(got.credentials.pid, 301);
}

TEST(Unix, SurvivesEveryFailedAllocation) {
    for (unsigned n = 1; n < 25; n++) {
        bool alive = false;
        fail_allocation(n);
        {
            auto server = net::create_socket(net::kAfUnix, net::kSockStream, 0, fs::kONonBlock);
            auto client = net::create_socket(net::kAfUnix, net::kSockStream, 0, fs::kONonBlock);
            if (server && client && (*server)->bind(abstract_name("failing")) && (*server)->listen(5)) {
                (void)(*client)->connect(abstract_name("failing"));
                send(**client, "data");
                if (auto probe = core::make_ref<Probe>(alive)) {
                    net::Ancillary ancillary;
                    if (ancillary.files.push_back(*probe)) send(**client, "file", 0, nullptr, &ancillary);
                }
                if (auto accepted = (*server)->accept(fs::kONonBlock)) {
                    net::Ancillary got;
                    receive(**accepted, 100, net::kMsgPeek, &got);
                }
            }
            auto pair = net::create_socket_pair(net::kAfUnix, net::kSockDgram, 0, fs::kONonBlock);
            if (pair) send(*pair->first, "x");
        }
        fail_allocation(0);
        EXPECT_FALSE(alive);
    }
}
