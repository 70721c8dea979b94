// How connections to the server are made: logged in, one at a time, and not at all for a while
// after an attempt that took long.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "breaker.hpp"
#include "greeting.hpp"
#include "pipeline.hpp"
#include "replicas.hpp"
#include "resp.hpp"
#include "transport.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"

namespace websession::redis {

struct EngineOptions {
  std::chrono::milliseconds connect_timeout{};
  std::chrono::milliseconds operation_timeout{};
  Replicas waits_for{};
  std::size_t pending_max = 0;
  std::size_t reply_bytes_max = 0;
  std::size_t connections = 1;
  // A connection that was idle for so long may have been forgotten on the way (a stateful
  // firewall), and is asked before it is used. Shorter than any firewall waits.
  std::chrono::milliseconds ask_after = std::chrono::seconds(10);
  // Between attempts to connect that fail at once: where each asks somebody else first.
  std::chrono::milliseconds retry_pause{};
};

// What belongs to one connection. Threads that do I/O keep it alive, so that its descriptor is
// never closed under them.
struct Connection {
  std::unique_ptr<Transport> transport;
  std::uint64_t generation;
  ReplyParser parser;
  SteadyTime heard_at;   // when a whole reply came last, or was first waited for
  bool is_near = false;  // Greeting::is_near
  Pipeline pipeline{};
  std::vector<Reply> arrived{};  // the reader's, kept for its memory
};

// Safe to use from many threads at once.
class Dialer {
 public:
  Dialer(std::shared_ptr<Connector> connector, Login login, EngineOptions options);

  // Errors: unavailable, timeout, rejected (login), corrupt.
  Result<std::shared_ptr<Connection>> dial(SteadyTime deadline);

  // Whether the server is still at the other end of a connection that nobody uses: one round trip.
  // The error otherwise; the connection is of no use then.
  static std::optional<Error> ask(Connection& connection, SteadyTime deadline);

  // When the server is another one by now, this generation ends. Costs little.
  void look_for_move() noexcept;

  // False: dial() would give the last error, without trying.
  [[nodiscard]] bool may_dial() const noexcept;

  // Connections of an earlier generation are not to be used for new requests.
  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }
  // Ends this generation, unless that has been done: what several callers find out about the same
  // connections costs them one renewal. The next connection resolves the name again.
  void renew(std::uint64_t generation) noexcept {
    if (generation_.compare_exchange_strong(generation, generation + 1)) forget_address_ = true;
  }

 private:
  Result<std::shared_ptr<Connection>> connect(SteadyTime deadline) noexcept;
  Result<std::shared_ptr<Connection>> open(SteadyTime deadline);

  const std::shared_ptr<Connector> connector_;
  const Login login_;
  const EngineOptions options_;
  std::atomic<std::uint64_t> generation_ = 0;
  std::atomic<bool> forget_address_ = false;

  std::mutex mutex_;
  std::condition_variable idle_;
  bool dialing_ = false;
  internal::Breaker breaker_;
  std::optional<Error> last_error_{};
  std::atomic<SteadyTime> retry_at_{SteadyTime()};  // the breaker's, without the mutex
};

}  // namespace websession::redis
