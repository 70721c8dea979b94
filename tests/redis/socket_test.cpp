// How sockets are connected.
#include "socket.hpp"

#include <gtest/gtest.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "reserved_port.hpp"
#include "temporary_folder.hpp"

namespace websession::redis {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

int option(const Descriptor& socket, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(socket.get(), level, name, &value, &size);
  return value;
}

// A stateful firewall forgets a connection that is idle for minutes.
TEST(SocketDialer, IdleConnectionsAreKeptAliveEachMinute) {
  const Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = testing::local_address(0);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
  Place place;
  place.host = "127.0.0.1";
  place.port = std::to_string(ntohs(address.sin_port));
  const auto socket = SocketDialer(place).dial(SteadyClock::now() + std::chrono::seconds(20));
  ASSERT_TRUE(socket) << socket.error().message();
  EXPECT_EQ(option(*socket, SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option(*socket, IPPROTO_TCP, TCP_KEEPIDLE), 60);
  EXPECT_LE(option(*socket, IPPROTO_TCP, TCP_KEEPINTVL) * option(*socket, IPPROTO_TCP, TCP_KEEPCNT),
            60);
}

class UnixSocket : public ::testing::Test {
 protected:
  void SetUp() override {
    address.sun_family = AF_UNIX;
    place.socket_path = folder.path() + "/socket";
    std::memcpy(address.sun_path, place.socket_path.c_str(), place.socket_path.size() + 1);
    listener = Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener.get(), 1), 0);
  }
  // Until the server's queue takes no more.
  void fill_queue() {
    while (true) {
      Descriptor one(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      if (::connect(one.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        ASSERT_EQ(errno, EAGAIN);
        return;
      }
      queued.push_back(std::move(one));
    }
  }

  testing::TemporaryFolder folder{"unix"};
  sockaddr_un address{};
  Place place;
  Descriptor listener;
  std::vector<Descriptor> queued;
};

TEST_F(UnixSocket, AFullQueueIsWaitedForUntilTheDeadline) {
  fill_queue();
  const auto start = SteadyClock::now();
  const auto refused = SocketDialer(place).dial(start + milliseconds(100));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::timeout) << refused.error().message();
  EXPECT_NE(refused.error().detail.find("queue"), std::string::npos) << refused.error().detail;
  EXPECT_GE(SteadyClock::now() - start, milliseconds(100));

  std::thread server([&] {
    std::this_thread::sleep_for(milliseconds(50));  // the dialer waits by then
    const Descriptor accepted(::accept(listener.get(), nullptr, nullptr));
    EXPECT_TRUE(accepted);
  });
  const auto socket = SocketDialer(place).dial(SteadyClock::now() + std::chrono::seconds(20));
  server.join();
  ASSERT_TRUE(socket) << socket.error().message();
  char byte = 0;
  EXPECT_EQ(::recv(socket->get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, EAGAIN) << "it does not block";
}

TEST_F(UnixSocket, ADeadlineThatHasPassedIsNoWaitWithoutAnEnd) {
  fill_queue();
  const auto refused = SocketDialer(place).dial(SteadyClock::now() - milliseconds(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::timeout) << refused.error().message();
}

}  // namespace
}  // namespace websession::redis
