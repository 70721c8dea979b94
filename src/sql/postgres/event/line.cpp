#include "event/line.hpp"

#include <algorithm>
#include <system_error>
#include <thread>

#include "async/errors.hpp"
#include "call_errors.hpp"
#include "event/resolve.hpp"
#include "event/seat.hpp"

namespace websession::postgres {

Line::Line(const std::shared_ptr<Reactor>& loop, ConnectionInfo info,
           const PostgresOptions& options)
    : loop_(*loop),
      kept_loop_(loop),
      info_(std::move(info)),
      options_(options),
      breaker_(std::min(options.connect_timeout, options.operation_timeout)) {}

bool Line::is_any_connected() const noexcept {
  return std::any_of(seats_.begin(), seats_.end(), [](const std::shared_ptr<Seat>& seat) {
    return seat->state() == Seat::State::free || seat->state() == Seat::State::busy;
  });
}

std::optional<Error> Line::send(Asked& asked) {
  if (is_closed_) return internal::store_gone();
  const SteadyTime now = loop_.now();
  if (now >= asked.until) return no_answer();
  const auto found = std::find_if(seats_.begin(), seats_.end(), [](const auto& seat) {
    return seat->state() == Seat::State::free;
  });
  const std::shared_ptr<Seat> free = found != seats_.end() ? *found : nullptr;
  if (free == nullptr) {
    if (waiting_.size() >= options_.pending_max) {
      return overloaded(options_.pending_max);
    }
    const bool may_connect = !last_error_ || now >= breaker_.retry_at();
    if (!may_connect && !is_any_connected()) return last_error_;
    waiting_.push_back(&asked);
    if (may_connect) open_seat();
  }
  asked.timer = loop_.timer([this, &asked] { give_up(asked); });
  asked.timer->arm(asked.until);
  if (free != nullptr) free->ask(asked);
  return std::nullopt;
}

void Line::cancel(Asked& asked, Error error) {
  if (asked.timer == nullptr) return;
  asked.why = std::move(error);
  asked.timer->arm(loop_.now());
}

void Line::give_up(Asked& asked) {
  const auto keep = shared_from_this();
  const std::shared_ptr<Seat> seat = asked.seat;
  Error error = asked.why ? *std::move(asked.why) : seat ? no_answer() : no_connection();
  if (seat) {
    error.maybe_applied = seat->may_have_applied();
    seat->end();  // what it carries cannot be called back
    std::erase(seats_, seat);
    if (!waiting_.empty()) open_seat();
  } else {
    std::erase(waiting_, &asked);
  }
  give(asked, std::move(error));
}

void Line::give(Asked& asked, Result<Rows> rows) {
  // Whoever is told may destroy the store, and with it the line and the loop.
  const auto keep = std::pair(shared_from_this(), kept_loop_.lock());
  const std::shared_ptr<void> owner = std::move(asked.owner);
  asked.timer.reset();
  asked.seat.reset();
  asked.answer.give(std::move(rows));
}

// If there may be one more, and those that are being made are fewer than those who wait.
void Line::open_seat() {
  const auto connecting =
      static_cast<std::size_t>(std::count_if(seats_.begin(), seats_.end(), [](const auto& seat) {
        return seat->state() == Seat::State::connecting || seat->state() == Seat::State::setting_up;
      }));
  if (seats_.size() >= options_.connections_max || connecting >= waiting_.size()) return;
  const auto seat = std::make_shared<Seat>(*this);
  seats_.push_back(seat);
  seat->begin();
  if (needs_resolver(info_)) return resolve(seat);
  seat->connect(info_);
}

// By a thread, which owns all that it has: it may outlive all else.
void Line::resolve(const std::shared_ptr<Seat>& seat) {
  const auto ask = [info = info_, loop = kept_loop_, weak = std::weak_ptr(seat)] {
    Result<ConnectionInfo> found = resolved(info);
    const std::shared_ptr<Reactor> still_there = loop.lock();
    if (still_there == nullptr) return;
    still_there->post([weak, found = std::move(found)] {
      const std::shared_ptr<Seat> waits = weak.lock();
      if (waits == nullptr) return;
      found ? waits->connect(*found) : waits->cannot_connect(found.error());
    });
  };
  try {
    std::thread(ask).detach();
  } catch (const std::system_error&) {
    loop_.post([weak = std::weak_ptr(seat)] {
      const std::shared_ptr<Seat> waits = weak.lock();
      if (waits == nullptr) return;
      waits->cannot_connect(
          make_error(Errc::unavailable, "no thread to resolve the name of PostgreSQL's host with"));
    });
  }
}

void Line::is_connected(Seat& seat) {
  last_error_.reset();
  breaker_.succeeded();
  is_free(seat);
}

void Line::is_free(Seat& seat) {
  if (waiting_.empty()) return;
  Asked& next = *waiting_.front();
  waiting_.pop_front();
  seat.ask(next);
}

void Line::has_ended(Seat& seat, const Error& error, bool was_connected, Asked* asked) {
  const auto keep = shared_from_this();
  std::erase_if(seats_, [&seat](const auto& one) { return one.get() == &seat; });
  if (!was_connected) {
    last_error_ = error;
    breaker_.failed(seat.since(), loop_.now());
  }
  if (asked != nullptr) give(*asked, error);
  if (is_closed_ || !seats_.empty() || waiting_.empty()) return;
  if (was_connected) return open_seat();
  // Those who are told may ask again at once: they wait for the next attempt.
  for (std::size_t left = waiting_.size(); left > 0 && !waiting_.empty(); --left) {
    Asked& first = *waiting_.front();
    waiting_.pop_front();
    give(first, error);
  }
}

void Line::close() {
  const auto keep = shared_from_this();
  is_closed_ = true;
  for (const std::shared_ptr<Seat>& seat : std::exchange(seats_, {})) {
    Asked* const asked = seat->asked();
    Error error = internal::store_gone();
    error.maybe_applied = seat->may_have_applied();
    seat->end();
    if (asked != nullptr) give(*asked, std::move(error));
  }
  while (!waiting_.empty()) {
    Asked& first = *waiting_.front();
    waiting_.pop_front();
    give(first, internal::store_gone());
  }
}

void Line::drop() noexcept {
  is_closed_ = true;
  const auto let_go = [](Asked& asked) {
    asked.timer.reset();
    asked.seat.reset();
    const std::shared_ptr<void> owner = std::move(asked.owner);
  };
  for (const std::shared_ptr<Seat>& seat : std::exchange(seats_, {})) {
    Asked* const asked = seat->asked();
    seat->end();
    if (asked != nullptr) let_go(*asked);
  }
  for (Asked* const asked : std::exchange(waiting_, {})) let_go(*asked);
}

}  // namespace websession::postgres
