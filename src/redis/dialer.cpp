#include "dialer.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "call_errors.hpp"
#include "greeting.hpp"

namespace websession::redis {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Reads until `count` replies have come. The error, if any, comes beside what had come before it.
std::optional<Error> read_replies(Connection& connection, std::size_t count, SteadyTime deadline,
                                  std::vector<Reply>& replies) {
  std::array<char, 4096> buffer;
  while (replies.size() < count) {
    const Result<std::size_t> received = connection.transport->read_some(buffer, deadline);
    if (!received) return received.error();
    Result<void> parsed = connection.parser.feed({buffer.data(), *received}, replies);
    if (!parsed) return std::move(parsed).error();
  }
  if (replies.size() == count) return std::nullopt;
  return make_error(Errc::corrupt, "Redis sent a reply nobody asked for");
}

std::optional<Error> write_all(Transport& transport, std::string_view bytes, SteadyTime deadline) {
  while (!bytes.empty()) {
    const Result<std::size_t> written = transport.write_some(bytes, deadline);
    if (!written) return written.error();
    bytes.remove_prefix(*written);
  }
  return std::nullopt;
}

// Sends the commands, and reads all their replies, or those that come before the error. What a
// server says before it closes is read even when writing has failed.
std::optional<Error> run(Connection& connection, const Exchange& exchange, SteadyTime deadline,
                         std::vector<Reply>& replies) {
  std::optional<Error> failed = write_all(*connection.transport, exchange.bytes(), deadline);
  std::optional<Error> cut = read_replies(connection, exchange.size(), deadline, replies);
  return failed ? failed : cut;
}

}  // namespace

Dialer::Dialer(std::shared_ptr<Connector> connector, Login login, EngineOptions options)
    : connector_(std::move(connector)),
      login_(std::move(login)),
      options_(options),
      breaker_(std::min(options.connect_timeout, options.operation_timeout)) {}

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
  Result<std::shared_ptr<Connection>> made =
      connect(std::min(deadline, start + options_.connect_timeout));
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
Result<std::shared_ptr<Connection>> Dialer::open(SteadyTime deadline) const {
  const std::uint64_t generation = generation_;
  Result<std::unique_ptr<Transport>> transport = connector_->connect(deadline);
  if (!transport) return std::move(transport).error();
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
