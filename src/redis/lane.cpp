#include "lane.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <utility>

#include "call_errors.hpp"
#include "parker.hpp"
#include "socket.hpp"

namespace websession::redis {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t read_size = std::size_t{16} * 1024;
// How often callers give the processor away before they sleep, on a connection whose round trip is
// short: about a round trip long. It spares them and the processor the way to sleep and back. What
// was measured: docs/decisions.md#the-redis-engine.
constexpr int yields_before_sleep = 64;
// A reader looks around this often, for what a caller at its deadline could not write to a socket
// that was full.
constexpr milliseconds look_around{10};

// A caller that blocks: it sleeps while others write and read for it.
struct Sleeper : Request {
  Sleeper() noexcept : Request(&wake_for_good) {}
  static Sleeper& of(Request& request) noexcept { return static_cast<Sleeper&>(request); }
  static void wake_for_good(Request& request) noexcept { of(request).parker.finish(); }

  Parker parker{};
};

}  // namespace

Lane::Lane(Dialer& dialer, Silence& silence, EngineOptions options)
    : dialer_(dialer), silence_(silence), options_(options) {}

Result<void> Lane::connect(SteadyTime deadline) {
  Lock lock(mutex_);
  Result<std::shared_ptr<Connection>> connection = ready_connection(lock, deadline);
  if (!connection) return std::move(connection).error();
  return {};
}

void Lane::rest() {
  if (!enter_if_empty()) return;
  {
    const Lock lock(mutex_);
    set_connection(nullptr);
  }
  leave();
}

void Lane::disown() noexcept {
  if (connection_) connection_->transport->disown();
}

void Lane::set_connection(std::shared_ptr<Connection> connection) {
  connection_ = std::move(connection);
  connected_ = connection_ != nullptr;
  nothing_due_ = true;
}

Result<Replies> Lane::execute(const Commands& commands, SteadyTime connect_by,
                              SteadyTime deadline) {
  Lock lock(mutex_);
  Result<std::shared_ptr<Connection>> ready = ready_connection(lock, connect_by);
  if (!ready) return std::move(ready).error();
  const std::shared_ptr<Connection> connection = *std::move(ready);
  Pipeline& pipeline = connection->pipeline;
  if (pipeline.pending() >= options_.pending_max) return overloaded(options_.pending_max);
  if (pipeline.pending() == 0) connection->heard_at = SteadyClock::now();
  Sleeper request;
  Result<void> completed;
  pipeline.enqueue(request, commands);
  try {
    completed = take_turns(lock, *connection, request, deadline);
    if (lock.owns_lock()) {
      say_farewell(lock, *connection, deadline);
      if (connection == connection_) nothing_due_ = pipeline.pending() == 0;
    }
  } catch (...) {
    // Out of memory, somewhere on the way. The others must not find the place of one who is gone.
    if (!lock.owns_lock()) lock.lock();
    fail(*connection, Error{Errc::unavailable, {}});
    throw;
  }
  if (!completed) return std::move(completed).error();
  if (request.error) return *std::move(request.error);
  return std::move(request.replies);
}

// Until the request is done or the deadline has come. Whoever is done while it waits needs the
// mutex no more: the thread that completed it has a role, and will see to what is left when it
// leaves.
Result<void> Lane::take_turns(Lock& lock, Connection& connection, Request& request,
                              SteadyTime deadline) {
  while (true) {
    const Turn turn = connection.pipeline.turn_of(request);
    if (turn == Turn::leave) return {};
    if (SteadyClock::now() >= deadline) return give_up(connection, request);
    if (turn == Turn::write) {
      write(lock, connection, deadline);
    } else if (turn == Turn::read) {
      read(lock, connection, deadline);
    } else {
      Parker& parker = Sleeper::of(request).parker;
      request.waiting = true;
      lock.unlock();
      if (connection.is_near) {
        followers_patience_.wait_for(yields_before_sleep, [&parker] { return parker.is_called(); });
      }
      if (parker.wait(deadline)) return {};
      lock.lock();
      request.waiting = false;
    }
  }
}

// Writes what is queued, for all. A role is taken and given back under the mutex; the I/O between
// is done without it. False: the socket did not take all of it by the deadline.
bool Lane::write(Lock& lock, Connection& connection, SteadyTime deadline) {
  const std::string_view bytes = connection.pipeline.begin_write();
  lock.unlock();
  const Result<std::size_t> written = connection.transport->write_some(bytes, deadline);
  lock.lock();
  const std::size_t size = bytes.size();  // the bytes themselves may go with end_write()
  connection.pipeline.end_write(written ? *written : 0);
  if (!written && written.error().code != Errc::timeout) fail(connection, written.error());
  return written && *written == size;
}

// Reads what has come, for all.
void Lane::read(Lock& lock, Connection& connection, SteadyTime deadline) {
  connection.pipeline.begin_read();
  lock.unlock();
  std::array<char, read_size> buffer;
  Result<std::size_t> received = receive(connection, buffer, deadline);
  Result<void> parsed;
  try {
    if (received) parsed = connection.parser.feed({buffer.data(), *received}, connection.arrived);
  } catch (...) {  // out of memory: what was read is lost, and so the connection is of no use
    parsed = Error{Errc::unavailable, {}};
  }
  lock.lock();
  connection.pipeline.end_read();
  if (connection.pipeline.has_failed()) return;  // the writer saw it first
  if (!received) {
    if (received.error().code != Errc::timeout) fail(connection, received.error());
    return;
  }
  if (!connection.arrived.empty()) {
    connection.heard_at = SteadyClock::now();
    silence_.end();
  }
  for (Reply& reply : connection.arrived) {
    Result<void> expected = connection.pipeline.on_reply(std::move(reply));
    if (!expected && parsed) parsed = std::move(expected);
  }
  connection.arrived.clear();
  if (!parsed) fail(connection, parsed.error());
}

Result<std::size_t> Lane::receive(Connection& connection, std::span<char> buffer,
                                  SteadyTime deadline) {
  Transport& transport = *connection.transport;
  if (connection.is_near) {
    Result<std::size_t> received = std::size_t{0};
    const auto has_come = [&] {
      received = transport.read_ready(buffer);
      return !received || *received > 0;
    };
    if (readers_patience_.wait_for(yields_before_sleep, has_come)) return received;
  }
  return transport.read_some(buffer, std::min(deadline, SteadyClock::now() + look_around));
}

// The connection is of no use any more. All that is in flight fails now; the descriptor is closed
// when the last thread that uses it has left.
void Lane::fail(Connection& connection, const Error& error) {
  if (connection.pipeline.has_failed()) return;
  connection.transport->shut_down();
  connection.pipeline.fail(error);
  if (connection_.get() == &connection) set_connection(nullptr);
}

// Whoever leaves sees to it that the free roles are taken. A thread that is called for a role and
// has reached its deadline comes by here as well, so no call is lost.
void Lane::say_farewell(Lock& lock, Connection& connection, SteadyTime deadline) {
  while (true) {
    const Pipeline::Farewell farewell = connection.pipeline.farewell();
    if (farewell.heir != nullptr) Sleeper::of(*farewell.heir).parker.call();
    if (farewell.turn == Turn::leave) return;
    // Its own request is over, so it waits for nothing any more: what the socket does not take now,
    // or what others go on queueing, the reader writes when it looks around.
    const SteadyTime now = SteadyClock::now();
    if (!write(lock, connection, now) || now >= deadline) return;
  }
}

Error Lane::give_up(Connection& connection, const Request& request) {
  Error error = no_answer(options_.operation_timeout);
  error.maybe_applied = connection.pipeline.abandon(request);
  // A server that has not given a reply for two whole timeouts will not answer on any connection
  // that there is: the path may be dead without either side knowing.
  const SteadyTime silent_since = silence_.goes_on(connection.heard_at);
  if (SteadyClock::now() - silent_since > 2 * options_.operation_timeout) {
    dialer_.renew(connection.generation);
    fail(connection, stopped_answering());
  }
  return error;
}

Result<std::shared_ptr<Connection>> Lane::ready_connection(Lock& lock, SteadyTime deadline) {
  while (true) {
    if (connection_ && connection_->generation != dialer_.generation()) {
      set_connection(nullptr);  // who is inside holds it until they leave
    }
    if (connection_ && !connecting_) {
      switch (look_at(*connection_)) {
        case Sight::fit:
          return connection_;
        case Sight::ended:
          fail(*connection_, closed_by_peer());
          break;
        case Sight::doubtful:
          break;
      }
    }
    if (SteadyClock::now() >= deadline) {
      return no_connection();
    }
    if (connecting_) {
      const std::uint64_t failed_before = failed_connects_;
      connect_done_.wait_until(lock, deadline);
      // What was refused to one is refused to all who waited, also when somebody else is trying
      // again by now; but one whose own deadline cut its attempt short says nothing about the
      // server.
      if (failed_connects_ != failed_before && last_connect_error_ &&
          last_connect_error_->code != Errc::timeout) {
        return *last_connect_error_;
      }
      continue;
    }
    if (connection_) {
      if (std::shared_ptr<Connection> answered = ask(lock, deadline)) return answered;
      continue;
    }
    return dial(lock, deadline);
  }
}

Lane::Sight Lane::look_at(const Connection& connection) const {
  const Pipeline& pipeline = connection.pipeline;
  if (pipeline.is_reading() || pipeline.has_callers()) return Sight::fit;
  // A server that went away while nobody was looking: finding that out now, before anything is
  // sent, spares the caller a write whose fate is unknown.
  // While answers to abandoned requests are due, bytes may come; an end still is one.
  const bool nothing_due = pipeline.pending() == 0;
  const Transport& transport = *connection.transport;
  if (nothing_due ? transport.is_stale() : transport.has_ended()) return Sight::ended;
  if (SteadyClock::now() - connection.heard_at < options_.ask_after) return Sight::fit;
  // Answers that were due long ago do not come any more.
  return nothing_due ? Sight::doubtful : Sight::ended;
}

// A connection that a firewall has forgotten takes what is sent and gives nothing back. So a write
// must not be the first thing sent on it, and a read need not be: half of the time is left for a
// new connection. Null: it has failed.
std::shared_ptr<Connection> Lane::ask(Lock& lock, SteadyTime deadline) {
  std::shared_ptr<Connection> asked = connection_;
  connecting_ = true;  // nobody else uses it meanwhile
  lock.unlock();
  std::optional<Error> failed = Error{Errc::unavailable, {}};
  try {
    const SteadyTime now = SteadyClock::now();
    failed = Dialer::ask(*asked, now + (deadline - now) / 2);
  } catch (...) {  // out of memory
  }
  lock.lock();
  connecting_ = false;
  connect_done_.notify_all();
  if (failed) {
    fail(*asked, *failed);
    return nullptr;
  }
  asked->heard_at = SteadyClock::now();
  return asked;
}

Result<std::shared_ptr<Connection>> Lane::dial(Lock& lock, SteadyTime deadline) {
  connecting_ = true;
  lock.unlock();
  // Whatever happens, the others learn of it.
  Result<std::shared_ptr<Connection>> made = Error{Errc::unavailable, {}};
  try {
    made = dialer_.dial(deadline);
  } catch (...) {
  }
  lock.lock();
  connecting_ = false;
  connect_done_.notify_all();
  last_connect_error_.reset();
  if (made) {
    silence_.end();
    set_connection(*made);
  } else {
    ++failed_connects_;
    last_connect_error_ = made.error();
  }
  return made;
}

}  // namespace websession::redis
