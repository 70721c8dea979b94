#include "dialer.hpp"

#include <algorithm>
#include <utility>

#include "call_errors.hpp"
#include "exchange_io.hpp"
#include "greeting.hpp"

namespace websession::redis {
namespace {

using SteadyClock = std::chrono::steady_clock;

std::optional<Error> run(Connection& connection, const Exchange& exchange, SteadyTime deadline,
                         std::vector<Reply>& replies) {
  return run(*connection.transport, connection.parser, exchange, deadline, replies);
}

}  // namespace

Dialer::Dialer(std::shared_ptr<Connector> connector, Login login, EngineOptions options)
    : connector_(std::move(connector)),
      login_(std::move(login)),
      options_(options),
      breaker_(std::min(options.connect_timeout, options.operation_timeout), options.retry_pause) {}

void Dialer::look_for_move() noexcept {
  if (!connector_->has_moved()) return;
  ++generation_;
  retry_at_ = SteadyTime();  // what failed was another server
}

bool Dialer::may_dial() const noexcept { return SteadyClock::now() >= retry_at_.load(); }

Result<std::shared_ptr<Connection>> Dialer::dial(SteadyTime deadline) {
  std::unique_lock lock(mutex_);
  if (!idle_.wait_until(lock, deadline, [this] { return !dialing_; })) {
    return no_connection();
  }
  const SteadyTime start = SteadyClock::now();
  if (start < retry_at_.load() && last_error_) return *last_error_;
  dialing_ = true;
  lock.unlock();
  if (forget_address_.exchange(false)) connector_->forget_address();
  const SteadyTime until = std::min(deadline, start + options_.connect_timeout);
  Result<std::shared_ptr<Connection>> made = connect(until);
  // The server has moved meanwhile.
  if (made && (*made)->generation != generation_) made = connect(until);
  lock.lock();
  dialing_ = false;
  idle_.notify_all();
  if (made) {
    last_error_.reset();
    breaker_.succeeded();
  } else {
    last_error_ = made.error();
    breaker_.failed(start, SteadyClock::now());
    retry_at_ = breaker_.retry_at();
  }
  return made;
}

Result<std::shared_ptr<Connection>> Dialer::connect(SteadyTime deadline) noexcept try {
  Greeting greeting(login_, options_.reply_bytes_max);
  Result<std::shared_ptr<Connection>> opened = open(deadline);
  while (opened) {
    Connection& connection = **opened;
    switch (greeting.next()) {
      case Greeting::Next::exchange: {
        const SteadyTime start = SteadyClock::now();
        std::vector<Reply> replies;
        std::optional<Error> failed = run(connection, greeting.exchange(), deadline, replies);
        greeting.came(std::move(replies), std::move(failed), SteadyClock::now() - start);
        break;
      }
      case Greeting::Next::reopen:
        opened = open(deadline);
        greeting.reopened();
        break;
      case Greeting::Next::failed:
        if (login_.must_be_primary) connector_->forget_address();
        return greeting.error();
      case Greeting::Next::done:
        connection.is_near = greeting.is_near();
        // Far away, the next batch must not wait for the answer to the last one. Nearby, waiting
        // for it makes larger batches, which cost both sides less.
        connection.pipeline = Pipeline(connection.is_near ? 1 : SIZE_MAX, greeting.abilities());
        connection.heard_at = SteadyClock::now();
        return opened;
    }
  }
  return opened;
} catch (...) {  // out of memory; the others who wait for a connection must learn that it failed
  return Error{Errc::unavailable, {}};
}

// A connection on which nothing has been said.
Result<std::shared_ptr<Connection>> Dialer::open(SteadyTime deadline) {
  std::uint64_t generation = generation_;
  Result<std::unique_ptr<Transport>> transport = connector_->connect(deadline);
  if (!transport) return std::move(transport).error();
  if (connector_->has_found_another()) {
    // The others are still connected to the one before.
    std::uint64_t before = generation;
    if (generation_.compare_exchange_strong(before, generation + 1)) ++generation;
  }
  return std::shared_ptr<Connection>(new Connection{.transport = *std::move(transport),
                                                    .generation = generation,
                                                    .parser = ReplyParser(options_.reply_bytes_max),
                                                    .heard_at = SteadyClock::now()});
}

std::optional<Error> Dialer::ask(Connection& connection, SteadyTime deadline) {
  std::vector<Reply> replies;
  return run(connection, ping(), deadline, replies);
}

}  // namespace websession::redis
