// TCP over loopback. Tests in "TcpPaths" run twice: with bytes that go from socket to socket, and through lwIP.
#include <cerrno>

#include "fixture.h"
#include "net/lwip_headers.h"
#include "net/stack_lock.h"
#include "sched_host.h"

using namespace test;

namespace {

constexpr int kNoDelay = 1, kCork = 3, kDeferAccept = 9, kInfo = 11;

// Lets connections that wait (TIME-WAIT, retransmissions) come to their end.
void pass_time(int seconds) {
    for (int i = 0; i < seconds * 4; i++) test_support::advance_clock(250'000'000);
}

class TcpPaths : public testing::TestWithParam<bool> {
  protected:
    void SetUp() override { net::set_direct_connections(GetParam()); }
    void TearDown() override { net::set_direct_connections(true); }
};
INSTANTIATE_TEST_SUITE_P(Direct, TcpPaths, testing::Bool());

}  // namespace

TEST_P(TcpPaths, ConnectsAndTransfersBothWays) {
    auto pair = connected_pair();
    EXPECT_EQ(send(*pair.client, "question"), 8);
    EXPECT_EQ(receive(*pair.server).data, "question");
    EXPECT_EQ(send(*pair.server, "answer"), 6);
    EXPECT_EQ(receive(*pair.client, 3).data, "ans");
    EXPECT_EQ(receive(*pair.client).data, "wer");
    EXPECT_EQ(receive(*pair.client).result, -EAGAIN);
    EXPECT_EQ(text_of(*pair.client->peer_address()), "127.0.0.1");
    EXPECT_EQ(port_of(*pair.client->local_address()), port_of(*pair.server->peer_address()));
}

TEST_P(TcpPaths, PeekAndTruncate) {
    auto pair = connected_pair();
    send(*pair.client, "abcdef");
    EXPECT_EQ(receive(*pair.server, 3, net::kMsgPeek).data, "abc");
    EXPECT_EQ(receive(*pair.server, 4, net::kMsgTrunc).result, 4);
    EXPECT_EQ(receive(*pair.server).data, "ef");
}

TEST(Tcp, RefusedWhenNobodyListens) {
    uint16_t port = 0;
    listener(&port).reset();
    auto client = make_socket(net::kAfInet, net::kSockStream);
    EXPECT_EQ(code(client->connect(ipv4("127.0.0.1", port))), EINPROGRESS);
    EXPECT_TRUE(client->poll(nullptr) & fs::kPollErr);
    EXPECT_EQ(get_int(*client, net::kSolSocket, net::kSoError), ECONNREFUSED);
    EXPECT_EQ(get_int(*client, net::kSolSocket, net::kSoError), 0);
    // The second connect() reports the end of the first attempt, the third is a new one.
    EXPECT_EQ(code(client->connect(ipv4("127.0.0.1", port))), ECONNABORTED);
    listener(&port);
    auto again = listener(&port);
    (void)client->connect(ipv4("127.0.0.1", port));
    EXPECT_TRUE(again->accept(0).has_value());
}

TEST(Tcp, BlockingConnectRefusedThenWorks) {
    uint16_t port = 0;
    listener(&port).reset();
    auto client = make_socket(net::kAfInet, net::kSockStream, 0, 0);
    EXPECT_EQ(code(client->connect(ipv4("127.0.0.1", port))), ECONNREFUSED);
    auto server = listener(&port);
    EXPECT_EQ(code(client->connect(ipv4("127.0.0.1", port))), 0);
    EXPECT_EQ(code(client->connect(ipv4("127.0.0.1", port))), EISCONN);
}

TEST(Tcp, LinkLocalAddressesNeedAnInterface) {
    auto client = make_socket(net::kAfInet6, net::kSockStream);
    EXPECT_EQ(code(client->connect(ipv6("fe80::1", 80))), EINVAL);
    net::SocketAddress scoped = ipv6("fe80::1", 80);
    scoped.bytes[24] = std::byte{2};
    EXPECT_EQ(code(client->connect(scoped)), EINPROGRESS);
}

TEST(Tcp, ErrorsOfUnconnectedSockets) {
    auto socket = make_socket(net::kAfInet, net::kSockStream);
    EXPECT_EQ(receive(*socket).result, -ENOTCONN);
    EXPECT_EQ(send(*socket, "x"), -EPIPE);
    EXPECT_EQ(code(socket->shutdown(net::kShutBoth)), ENOTCONN);
    EXPECT_EQ(code(socket->peer_address()), ENOTCONN);
    EXPECT_EQ(code(socket->accept(0)), EINVAL);
    EXPECT_EQ(socket->poll(nullptr), fs::kPollHup | fs::kPollOut | fs::kPollWrNorm);
}

TEST_P(TcpPaths, EndOfFileAndHangUp) {
    auto pair = connected_pair();
    EXPECT_EQ(code(pair.client->shutdown(net::kShutWrite)), 0);
    EXPECT_EQ(receive(*pair.server).result, 0);
    EXPECT_TRUE(pair.server->poll(nullptr) & fs::kPollRdHup);
    EXPECT_FALSE(pair.server->poll(nullptr) & fs::kPollHup);
    EXPECT_EQ(send(*pair.server, "still"), 5);
    EXPECT_EQ(receive(*pair.client).data, "still");
    EXPECT_EQ(send(*pair.client, "x"), -EPIPE);
    EXPECT_EQ(code(pair.server->shutdown(net::kShutWrite)), 0);
    EXPECT_EQ(receive(*pair.client).result, 0);
    EXPECT_TRUE(pair.client->poll(nullptr) & fs::kPollHup);
    EXPECT_TRUE(pair.server->poll(nullptr) & fs::kPollHup);
    // The connection lives on in TIME-WAIT without its sockets; both must survive its end.
    pass_time(30);
    EXPECT_EQ(receive(*pair.client).result, 0);
    EXPECT_EQ(send(*pair.server, "x"), -EPIPE);
}

TEST_P(TcpPaths, DataBeforeEndOfFileIsReadAfterBothSidesClosed) {
    auto pair = connected_pair();
    send(*pair.client, "last words");
    pair.client.reset();
    (void)pair.server->shutdown(net::kShutWrite);
    pass_time(30);
    EXPECT_EQ(receive(*pair.server).data, "last words");
    EXPECT_EQ(receive(*pair.server).result, 0);
}

TEST_P(TcpPaths, LingerZeroResets) {
    auto pair = connected_pair();
    int linger[2] = {1, 0};
    EXPECT_EQ(code(pair.server->set_option(net::kSolSocket, net::kSoLinger, std::as_bytes(std::span(linger)))), 0);
    pair.server.reset();
    EXPECT_EQ(receive(*pair.client).result, -ECONNRESET);
    EXPECT_EQ(receive(*pair.client).result, 0);
    EXPECT_EQ(send(*pair.client, "x"), -EPIPE);
}

TEST_P(TcpPaths, UnreadDataResets) {
    auto pair = connected_pair();
    send(*pair.client, "unread");
    pair.server.reset();
    EXPECT_EQ(receive(*pair.client).result, -ECONNRESET);
}

TEST_P(TcpPaths, FillsUpAndDrains) {
    auto pair = connected_pair();
    std::string block(10000, 'x');
    size_t total = 0;
    int64_t sent;
    while ((sent = send(*pair.client, block)) > 0) total += static_cast<size_t>(sent);
    EXPECT_EQ(sent, -EAGAIN);
    EXPECT_GE(total, 128u * 1024);
    EXPECT_FALSE(pair.client->poll(nullptr) & fs::kPollOut);
    size_t read = 0;
    for (int idle = 0; idle < 40;) {
        auto got = receive(*pair.server, 65536);
        if (got.result > 0) {
            read += static_cast<size_t>(got.result);
            idle = 0;
        } else {
            pass_time(1);
            idle++;
        }
    }
    EXPECT_EQ(read, total);
    EXPECT_TRUE(pair.client->poll(nullptr) & fs::kPollOut);
}

TEST_P(TcpPaths, BulkKeepsOrder) {
    auto pair = connected_pair();
    uint32_t next_out = 0, next_in = 0;
    std::string pending;
    for (int round = 0; next_in < 500000; round++) {
        ASSERT_LT(round, 100000);
        std::string block(7001, '\0');
        for (char& c : block) c = static_cast<char>(next_out++ * 7);
        for (size_t done = 0; done < block.size();) {
            int64_t sent = send(*pair.client, std::string_view(block).substr(done));
            if (sent > 0) done += static_cast<size_t>(sent);
            auto got = receive(*pair.server, 5000);
            for (char c : got.data) ASSERT_EQ(c, static_cast<char>(next_in++ * 7));
        }
    }
}

TEST_P(TcpPaths, BlockingReceiveWaits) {
    auto pair = connected_pair();
    pair.server->set_flags(fs::kORdWr);
    test_support::on_sleep([&] { send(*pair.client, "abc"); });
    EXPECT_EQ(receive(*pair.server).data, "abc");
    test_support::on_sleep([&] { send(*pair.client, "de"); });
    test_support::on_sleep([&] { send(*pair.client, "fgh"); });
    EXPECT_EQ(receive(*pair.server, 5, net::kMsgWaitAll).data, "defgh");
}

TEST_P(TcpPaths, TimeoutsAndSignals) {
    auto pair = connected_pair();
    pair.server->set_flags(fs::kORdWr);
    test_support::set_interrupted(true);
    EXPECT_EQ(receive(*pair.server).result, -static_cast<int>(Errno::kRestartSys));
    int64_t time[2] = {0, 50000};
    EXPECT_EQ(code(pair.server->set_option(net::kSolSocket, net::kSoRcvTimeo, std::as_bytes(std::span(time)))), 0);
    EXPECT_EQ(receive(*pair.server).result, -EINTR);
    test_support::set_interrupted(false);
    EXPECT_EQ(receive(*pair.server).result, -EAGAIN);
}

TEST(Tcp, BlockingAcceptWaitsAndListenerCanBeShutDown) {
    uint16_t port = 0;
    auto server = listener(&port);
    server->set_flags(fs::kORdWr);
    auto client = make_socket(net::kAfInet, net::kSockStream);
    test_support::on_sleep([&] { (void)client->connect(ipv4("127.0.0.1", port)); });
    EXPECT_TRUE(server->accept(0).has_value());
    test_support::on_sleep([&] { (void)server->shutdown(net::kShutRead); });
    EXPECT_EQ(code(server->accept(0)), EINVAL);
}

TEST(Tcp, BacklogDropsConnectionsUntilThereIsRoom) {
    uint16_t port = 0;
    auto server = listener(&port, 2);
    std::vector<Ref<net::Socket>> clients;
    int connected = 0;
    for (int i = 0; i < 6; i++) {
        clients.push_back(make_socket(net::kAfInet, net::kSockStream));
        (void)clients.back()->connect(ipv4("127.0.0.1", port));
        connected += (clients.back()->poll(nullptr) & fs::kPollOut) != 0;
    }
    EXPECT_EQ(connected, 3);  // as Linux: one more than the backlog
    int accepted = 0;
    for (int i = 0; i < 40; i++) {
        while (server->accept(0)) accepted++;
        pass_time(1);  // the SYNs come again
    }
    EXPECT_EQ(accepted, 6);
}

TEST(Tcp, PortsConflictAsInLinux) {
    uint16_t port = 0;
    auto server = listener(&port);
    auto other = make_socket(net::kAfInet, net::kSockStream);
    EXPECT_EQ(code(other->bind(ipv4("127.0.0.1", port))), EADDRINUSE);
    EXPECT_EQ(code(other->bind(ipv4("0.0.0.0", port))), EADDRINUSE);
    set_int(*other, net::kSolSocket, net::kSoReuseAddr, 1);
    EXPECT_EQ(code(other->bind(ipv4("127.0.0.1", port))), EADDRINUSE);  // a listener without the option
    EXPECT_EQ(code(other->bind(ipv4("10.0.2.15", port))), 0);
    EXPECT_EQ(code(other->bind(ipv4("10.0.2.15", 0))), EINVAL);
    auto foreign = make_socket(net::kAfInet, net::kSockStream);
    EXPECT_EQ(code(foreign->bind(ipv4("192.0.2.1", 0))), EADDRNOTAVAIL);
    auto dual = make_socket(net::kAfInet6, net::kSockStream);
    EXPECT_EQ(code(dual->bind(ipv6("::", port))), EADDRINUSE);
    set_int(*dual, net::kSolIpv6, 26, 1);
    EXPECT_EQ(code(dual->bind(ipv6("::", port))), 0);
    caller_is_privileged = false;
    EXPECT_EQ(code(foreign->bind(ipv4("127.0.0.1", 80))), EACCES);
    caller_is_privileged = true;
}

TEST(Tcp, ReuseAddressAfterTimeWait) {
    uint16_t port = 0;
    auto server = listener(&port);
    auto client = make_socket(net::kAfInet, net::kSockStream);
    (void)client->connect(ipv4("127.0.0.1", port));
    (void)server->accept(0);  // closed at once by this side: TIME-WAIT here
    client.reset();
    server.reset();
    auto plain = make_socket(net::kAfInet, net::kSockStream);
    EXPECT_EQ(code(plain->bind(ipv4("127.0.0.1", port))), EADDRINUSE);
    set_int(*plain, net::kSolSocket, net::kSoReuseAddr, 1);
    EXPECT_EQ(code(plain->bind(ipv4("127.0.0.1", port))), 0);
    EXPECT_EQ(code(plain->listen(1)), 0);
}

TEST(Tcp, ReusePortSharesConnections) {
    auto first = make_socket(net::kAfInet, net::kSockStream), second = make_socket(net::kAfInet, net::kSockStream);
    set_int(*first, net::kSolSocket, net::kSoReusePort, 1);
    set_int(*second, net::kSolSocket, net::kSoReusePort, 1);
    ASSERT_EQ(code(first->bind(ipv4("127.0.0.1", 0))), 0);
    uint16_t port = port_of(*first->local_address());
    ASSERT_EQ(code(second->bind(ipv4("127.0.0.1", port))), 0);
    ASSERT_EQ(code(first->listen(64)), 0);
    ASSERT_EQ(code(second->listen(64)), 0);
    std::vector<Ref<net::Socket>> clients;
    for (int i = 0; i < 60; i++) {
        clients.push_back(make_socket(net::kAfInet, net::kSockStream));
        (void)clients.back()->connect(ipv4("127.0.0.1", port));
    }
    int by_first = 0, by_second = 0;
    while (first->accept(0)) by_first++;
    first.reset();
    while (second->accept(0)) by_second++;
    EXPECT_EQ(by_first + by_second, 60);
    EXPECT_GT(by_first, 10);
    EXPECT_GT(by_second, 10);
    // The one that is left gets them all.
    auto late = make_socket(net::kAfInet, net::kSockStream);
    (void)late->connect(ipv4("127.0.0.1", port));
    EXPECT_TRUE(second->accept(0).has_value());
}

TEST(Tcp, DualStack) {
    auto server = make_socket(net::kAfInet6, net::kSockStream);
    ASSERT_EQ(code(server->bind(ipv6("::", 0))), 0);
    ASSERT_EQ(code(server->listen(5)), 0);
    uint16_t port = port_of(*server->local_address());
    auto v4 = make_socket(net::kAfInet, net::kSockStream), v6 = make_socket(net::kAfInet6, net::kSockStream);
    (void)v4->connect(ipv4("127.0.0.1", port));
    auto accepted = server->accept(0);
    ASSERT_TRUE(accepted.has_value());
    EXPECT_EQ(text_of(*(*accepted)->peer_address()), "::ffff:127.0.0.1");
    EXPECT_EQ(text_of(*(*accepted)->local_address()), "::ffff:127.0.0.1");
    (void)v6->connect(ipv6("::1", port));
    accepted = server->accept(0);
    ASSERT_TRUE(accepted.has_value());
    EXPECT_EQ(text_of(*(*accepted)->peer_address()), "::1");
    auto mapped = make_socket(net::kAfInet6, net::kSockStream);
    (void)mapped->connect(ipv6("::ffff:127.0.0.1", port));
    EXPECT_TRUE(server->accept(0).has_value());
}

TEST_P(TcpPaths, DeferAcceptWaitsForData) {
    uint16_t port = 0;
    auto server = listener(&port);
    EXPECT_EQ(set_int(*server, net::kSolTcp, kDeferAccept, 5), 0);
    auto client = make_socket(net::kAfInet, net::kSockStream);
    (void)client->connect(ipv4("127.0.0.1", port));
    EXPECT_EQ(code(server->accept(0)), EAGAIN);
    send(*client, "request");
    auto accepted = server->accept(fs::kONonBlock);
    ASSERT_TRUE(accepted.has_value());
    EXPECT_EQ(receive(**accepted).data, "request");
    auto silent = make_socket(net::kAfInet, net::kSockStream);
    (void)silent->connect(ipv4("127.0.0.1", port));
    server.reset();  // with a connection that still waits
    EXPECT_EQ(receive(*silent).result, -ECONNRESET);
}

TEST_P(TcpPaths, CorkHoldsBack) {
    auto pair = connected_pair();
    EXPECT_EQ(set_int(*pair.client, net::kSolTcp, kCork, 1), 0);
    send(*pair.client, "head");
    EXPECT_EQ(receive(*pair.server).result, -EAGAIN);
    send(*pair.client, "body");
    EXPECT_EQ(set_int(*pair.client, net::kSolTcp, kCork, 0), 0);
    EXPECT_EQ(receive(*pair.server).data, "headbody");
}

TEST(Tcp, CorkedBytesGoOutInTheEnd) {
    auto pair = connected_pair();
    set_int(*pair.client, net::kSolTcp, kCork, 1);
    send(*pair.client, "head");
    EXPECT_EQ(receive(*pair.server).result, -EAGAIN);
    pass_time(2);
    EXPECT_EQ(receive(*pair.server).data, "head");
    // Much is not held back, the end flushes, and so does one write that does not say MSG_MORE.
    set_int(*pair.client, net::kSolTcp, kCork, 0);
    send(*pair.client, std::string(40000, 'x'), net::kMsgMore);
    EXPECT_EQ(receive(*pair.server, 65536).result, 40000);
    send(*pair.client, "a", net::kMsgMore);
    send(*pair.client, "b");
    EXPECT_EQ(receive(*pair.server).data, "ab");
    send(*pair.client, "c", net::kMsgMore);
    pair.client.reset();
    EXPECT_EQ(receive(*pair.server).data, "c");
    EXPECT_EQ(receive(*pair.server).result, 0);
}

TEST(Tcp, BuffersBoundWhatIsUnderWay) {
    auto pair = connected_pair();
    EXPECT_EQ(set_int(*pair.client, net::kSolSocket, net::kSoSndBuf, 8192), 0);
    EXPECT_EQ(set_int(*pair.server, net::kSolSocket, net::kSoRcvBuf, 8192), 0);
    EXPECT_EQ(send(*pair.client, std::string(100000, 'x')), 32768);
    EXPECT_EQ(send(*pair.client, "x"), -EAGAIN);
    EXPECT_FALSE(pair.client->poll(nullptr) & fs::kPollOut);
    EXPECT_EQ(receive(*pair.server, 8192).result, 8192);
    EXPECT_TRUE(pair.client->poll(nullptr) & fs::kPollOut);
}

TEST(Tcp, ManySmallWritesShareMemory) {
    auto pair = connected_pair();
    size_t before = net::stack_memory_used();
    for (int i = 0; i < 100000; i++) ASSERT_EQ(send(*pair.client, "x"), 1);
    EXPECT_LT(net::stack_memory_used() - before, 120000u);
    size_t read = 0;
    while (read < 100000) read += static_cast<size_t>(receive(*pair.server, 333).result);
    EXPECT_EQ(net::stack_memory_used(), before);
}

TEST(Tcp, BytesStillMoveWhenMemoryIsScarce) {
    auto first = connected_pair(), second = connected_pair();
    net::set_stack_memory_limit(net::stack_memory_used() + 100'000);
    EXPECT_GT(send(*first.client, std::string(200'000, 'x')), 50'000);
    EXPECT_EQ(send(*first.client, "x"), -EAGAIN);
    // Another connection has a little, and what was sent can be read and followed by an end.
    EXPECT_EQ(send(*second.client, "a word"), 6);
    EXPECT_EQ(receive(*second.server).data, "a word");
    second.client.reset();
    EXPECT_EQ(receive(*second.server).result, 0);
    while (receive(*first.server, 65536).result > 0) {
    }
    EXPECT_GT(send(*first.client, std::string(200'000, 'x')), 50'000);
    net::set_stack_memory_limit(16u << 20);
}

TEST(Tcp, BadAddressInTheMiddleOfASend) {
    auto pair = connected_pair();
    EXPECT_EQ(send(*pair.client, "before"), 6);
    fs::IoSegment parts[2] = {{reinterpret_cast<uint64_t>("good"), 4}, {1, 4}};
    auto source = fs::Source::user(parts);
    net::SendRequest request{source, 0};
    (void)pair.client->send(request);
    EXPECT_EQ(receive(*pair.server).data.substr(0, 6), "before");
    EXPECT_EQ(send(*pair.client, "after"), 5);
    EXPECT_EQ(receive(*pair.server).data, "after");
}

TEST(Tcp, OptionsReadBack) {
    auto pair = connected_pair();
    EXPECT_EQ(set_int(*pair.client, net::kSolTcp, kNoDelay, 1), 0);
    EXPECT_EQ(get_int(*pair.client, net::kSolTcp, kNoDelay), 1);
    EXPECT_EQ(set_int(*pair.client, net::kSolTcp, 999, 1), ENOPROTOOPT);
    EXPECT_EQ(set_int(*pair.client, net::kSolSocket, net::kSoKeepAlive, 1), 0);
    EXPECT_EQ(get_int(*pair.client, net::kSolSocket, net::kSoKeepAlive), 1);
    EXPECT_EQ(get_int(*pair.client, net::kSolSocket, net::kSoProtocol), net::kSolTcp);
    EXPECT_EQ(set_int(*pair.client, net::kSolSocket, net::kSoSndBuf, 8192), 0);
    EXPECT_EQ(get_int(*pair.client, net::kSolSocket, net::kSoSndBuf), 16384);
    std::byte info[104];
    auto size = pair.client->get_option(net::kSolTcp, kInfo, info);
    ASSERT_TRUE(size.has_value());
    EXPECT_EQ(*size, 104u);
    EXPECT_EQ(static_cast<int>(info[0]), 1);  // TCP_ESTABLISHED
}

TEST(Tcp, KeepAliveGivesUp) {
    auto pair = connected_pair();
    set_int(*pair.client, net::kSolSocket, net::kSoKeepAlive, 1);
    set_int(*pair.client, net::kSolTcp, 4, 10);
    set_int(*pair.client, net::kSolTcp, 5, 2);
    set_int(*pair.client, net::kSolTcp, 6, 3);
    pass_time(60);
    EXPECT_EQ(receive(*pair.client).result, -EAGAIN);  // the peer answers
}

TEST_P(TcpPaths, ClosedConnectionsGiveTheirMemoryBack) {
    connected_pair();
    pass_time(60);
    size_t before = net::stack_memory_used();
    for (int i = 0; i < 2000; i++) {
        auto pair = connected_pair();
        send(*pair.client, "request");
        receive(*pair.server);
        pair.server.reset();
        if (i % 50 == 0) pass_time(1);
    }
    pass_time(1);
    unsigned waiting = 0;
    {
        net::StackLock lock;
        for (tcp_pcb* pcb = tcp_tw_pcbs; pcb; pcb = pcb->next) waiting++;
    }
    EXPECT_LE(waiting, 256u);
    pass_time(60);
    EXPECT_EQ(net::stack_memory_used(), before);
}

TEST_P(TcpPaths, SurvivesEveryFailedAllocation) {
    connected_pair();
    for (unsigned n = 1; n < 60; n++) {
        fail_allocation(n);
        uint16_t port = 0;
        auto server = net::create_socket(net::kAfInet, net::kSockStream, 0, fs::kONonBlock);
        auto client = net::create_socket(net::kAfInet, net::kSockStream, 0, fs::kONonBlock);
        if (server && client && (*server)->bind(ipv4("127.0.0.1", 0)) && (*server)->listen(5)) {
            port = port_of(*(*server)->local_address());
            (void)(*client)->connect(ipv4("127.0.0.1", port));
            send(**client, "data");
            auto accepted = (*server)->accept(fs::kONonBlock);
            if (accepted) {
                receive(**accepted);
                send(**accepted, "more");
                (void)(*accepted)->shutdown(net::kShutWrite);
            }
            receive(**client);
        }
        fail_allocation(0);
        server = fail(Errno::kIo);
        client = fail(Errno::kIo);
        pass_time(2);
    }
    pass_time(120);
    net::StackLock lock;
    EXPECT_EQ(tcp_active_pcbs, nullptr);
}
