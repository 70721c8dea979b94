// One connection that many threads share: callers do the I/O for each other.
//
// A caller appends its commands under the mutex. Whoever finds nobody writing writes for all;
// whoever then finds nobody reading reads for all, until its own replies have come, and hands that
// role on. The others give the processor away for a moment and then sleep. So there is no thread
// behind it, and a lone caller does everything itself.
//
// Writing never waits for reading (full duplex), unless the server is near: then what comes while a
// batch is unanswered goes into the next one.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "dialer.hpp"
#include "patience.hpp"
#include "pipeline.hpp"
#include "silence.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"

namespace websession::redis {

class Lane {
 public:
  // The dialer and the silence, which all lanes share, outlive the lane.
  Lane(Dialer& dialer, Silence& silence, EngineOptions options);
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // Sends the commands and gives their replies, error replies among them. Connects if need be, by
  // `connect_by`, which is no later than the deadline. Safe to call from many threads at once.
  // Errors: unavailable, timeout, overloaded, corrupt, rejected (login).
  Result<Replies> execute(const Commands& commands, SteadyTime connect_by, SteadyTime deadline);

  // Connects unless there is a connection.
  Result<void> connect(SteadyTime deadline);

  // Enters a lane that nobody is in and where no answer is due; one that nobody is in; or the lane
  // whoever is in it. Each must be followed by leave().
  [[nodiscard]] bool enter_if_idle() noexcept { return nothing_due_ && enter_if_empty(); }
  [[nodiscard]] bool enter_if_empty() noexcept {
    std::size_t nobody = 0;
    return callers_.compare_exchange_strong(nobody, 1);
  }
  void enter() noexcept { ++callers_; }
  void leave() noexcept { --callers_; }

  [[nodiscard]] bool is_connected() const noexcept { return connected_; }

  // Lets go of the connection, if nobody is in the lane.
  void rest();

  // For the child of a fork: lets go of the parent's connection. The lane is of no use afterwards,
  // and no other of its functions may be called: a thread that is not here may hold its mutex.
  void disown() noexcept;

 private:
  using Lock = std::unique_lock<std::mutex>;

  // What can be told of a connection before it is used.
  enum class Sight { fit, ended, doubtful };

  Result<std::shared_ptr<Connection>> ready_connection(Lock& lock, SteadyTime deadline);
  [[nodiscard]] Sight look_at(const Connection& connection) const;
  std::shared_ptr<Connection> ask(Lock& lock, SteadyTime deadline);
  Result<std::shared_ptr<Connection>> dial(Lock& lock, SteadyTime deadline);
  Result<void> take_turns(Lock& lock, Connection& connection, Request& request,
                          SteadyTime deadline);
  bool write(Lock& lock, Connection& connection, SteadyTime deadline);
  void read(Lock& lock, Connection& connection, SteadyTime deadline);
  Result<std::size_t> receive(Connection& connection, std::span<char> buffer, SteadyTime deadline);
  void say_farewell(Lock& lock, Connection& connection, SteadyTime deadline);
  void fail(Connection& connection, const Error& error);
  Error give_up(Connection& connection, const Request& request);
  void set_connection(std::shared_ptr<Connection> connection);

  Dialer& dialer_;
  Silence& silence_;
  // Followers yield to each other as well, so a yield of theirs may take longer.
  Patience readers_patience_{std::chrono::milliseconds(1)};
  Patience followers_patience_{std::chrono::milliseconds(8)};
  const EngineOptions options_;

  // What the choice of a lane goes by; read without the mutex.
  std::atomic<std::size_t> callers_ = 0;
  std::atomic<bool> connected_ = false;
  std::atomic<bool> nothing_due_ = true;

  std::mutex mutex_;
  std::shared_ptr<Connection> connection_;
  // One thread connects, or asks, at a time; the others wait for what it finds.
  bool connecting_ = false;
  std::uint64_t failed_connects_ = 0;
  std::optional<Error> last_connect_error_{};
  std::condition_variable connect_done_;
};

}  // namespace websession::redis
