// All that one event loop has in flight at PostgreSQL: a few connections, which are made when they
// are needed, and whoever waits for one.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "breaker.hpp"
#include "connection.hpp"
#include "query_flow.hpp"
#include "websession/async/reactor.hpp"
#include "websession/clock.hpp"
#include "websession/postgres_store.hpp"
#include "websession/result.hpp"

namespace websession::postgres {

class Seat;

// A query on its way, and who waits for the answer. It stays where it is until it is answered.
struct Asked {
  Asked(const Query& its_query, SteadyTime its_deadline, internal::Answer<Result<Rows>>& its_answer,
        std::shared_ptr<void> its_owner) noexcept
      : query(its_query), until(its_deadline), answer(its_answer), owner(std::move(its_owner)) {}
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;
  ~Asked() = default;

  const Query& query;
  const SteadyTime until;
  internal::Answer<Result<Rows>>& answer;
  // Kept alive until the answer has been given.
  std::shared_ptr<void> owner;

  // The line's.
  std::shared_ptr<Seat> seat{};    // where it is in flight
  std::unique_ptr<Timer> timer{};  // none: it has been answered
  std::optional<Error> why{};      // it is given up for, in place of the deadline
};

// On its loop. What is in flight keeps who waits for it alive, and the line with it.
class Line final : public std::enable_shared_from_this<Line> {
 public:
  // On any thread. The loop outlives all calls on it.
  Line(const std::shared_ptr<Reactor>& loop, ConnectionInfo info, const PostgresOptions& options);
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  ~Line() = default;

  [[nodiscard]] Reactor& loop() const noexcept { return loop_; }
  [[nodiscard]] const PostgresOptions& options() const noexcept { return options_; }

  // Sends it, as soon as a connection is free. None: it is answered later, by its deadline. An
  // error: that is its answer, and the line is done with it. Errors: those of QueryDriver::run.
  std::optional<Error> send(Asked& asked);
  // Nobody waits for it any more: answers it soon.
  void cancel(Asked& asked, Error error);
  // All in flight is `unavailable`.
  void close();
  // The loop has ended: lets go of all that is in flight, untold. On any thread.
  void drop() noexcept;

 private:
  friend class Seat;
  void give_up(Asked& asked);
  void give(Asked& asked, Result<Rows> rows);
  void open_seat();
  void resolve(const std::shared_ptr<Seat>& seat);
  [[nodiscard]] bool is_any_connected() const noexcept;
  // From seats.
  void is_connected(Seat& seat);
  void is_free(Seat& seat);
  void has_ended(Seat& seat, const Error& error, bool was_connected, Asked* asked);

  Reactor& loop_;
  const std::weak_ptr<Reactor> kept_loop_;
  const ConnectionInfo info_;
  const PostgresOptions options_;
  std::deque<Asked*> waiting_{};
  std::vector<std::shared_ptr<Seat>> seats_{};
  internal::Breaker breaker_;
  std::optional<Error> last_error_{};
  bool is_closed_ = false;
};

}  // namespace websession::postgres
