// One connection that many threads share: callers do the I/O for each other.
//
// A caller appends its commands under the mutex. Whoever finds nobody writing writes for all;
// whoever then finds nobody reading reads for all, until its own replies have come, and hands that
// role on. The others are parked. So there is no thread behind it, a lone caller does everything
// itself, and writing never waits for reading (full duplex).
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline.hpp"
#include "resp.hpp"
#include "transport.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"

namespace websession::redis {

// What is sent first on each new connection.
struct Login {
  std::string user{};
  std::optional<std::string> password{};
  int database = 0;
  std::string client_name{};
  std::vector<std::string> scripts{};  // made known to the server, so that EVALSHA finds them
};

struct LaneOptions {
  std::chrono::milliseconds connect_timeout{};
  std::chrono::milliseconds operation_timeout{};
  std::size_t pending_max = 0;
  std::size_t reply_bytes_max = 0;
};

class Lane {
 public:
  Lane(std::shared_ptr<Connector> connector, Login login, LaneOptions options);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // Sends the commands and gives their replies, error replies among them. Connects if need be.
  // Safe to call from many threads at once.
  // Errors: unavailable, timeout, overloaded, corrupt, rejected (login).
  Result<std::vector<Reply>> execute(std::string_view commands, std::size_t replies,
                                     SteadyTime deadline);

  // Connects unless there is a connection.
  Result<void> connect(SteadyTime deadline);

  // The next call connects anew, and resolves the name again; calls in flight are not disturbed.
  void renew_connection();

  // For the child of a fork: lets go of the parent's connection. The lane is of no use afterwards,
  // and no other of its functions may be called: a thread that is not here may hold its mutex.
  void disown() noexcept;

 private:
  // What belongs to one connection. Threads that do I/O keep it alive, so that its descriptor is
  // never closed under them.
  struct Connection {
    std::unique_ptr<Transport> transport;
    ReplyParser parser;
    Pipeline pipeline{};
    bool writing = false;
    bool reading = false;
    bool broken = false;
    SteadyTime heard_at;  // when a byte came last, or was first waited for
  };
  using Lock = std::unique_lock<std::mutex>;

  Result<std::shared_ptr<Connection>> ready_connection(Lock& lock, SteadyTime deadline);
  Result<std::shared_ptr<Connection>> connect_now(SteadyTime deadline) noexcept;
  Result<void> log_in(Connection& connection, SteadyTime deadline) const;
  void note_failed_connect(const Error& error, SteadyTime start);

  void write(Lock& lock, const std::shared_ptr<Connection>& connection, SteadyTime deadline);
  void read(Lock& lock, const std::shared_ptr<Connection>& connection, SteadyTime deadline);
  void fail(const std::shared_ptr<Connection>& connection, const Error& error);
  void leave(Lock& lock, const std::shared_ptr<Connection>& connection, SteadyTime deadline);
  Error give_up(const std::shared_ptr<Connection>& connection, const Request& request);

  const std::shared_ptr<Connector> connector_;
  const Login login_;
  const LaneOptions options_;

  std::mutex mutex_;
  std::shared_ptr<Connection> connection_;
  // One thread connects at a time; the others wait for what it finds.
  bool connecting_ = false;
  bool forget_address_ = false;
  std::uint64_t failed_connects_ = 0;
  std::condition_variable connect_done_;
  // The breaker: after an attempt that took long, nobody tries before `retry_at_`.
  std::optional<Error> last_connect_error_{};
  std::chrono::milliseconds backoff_{0};
  SteadyTime retry_at_{};
  std::minstd_rand jitter_;
};

}  // namespace websession::redis
