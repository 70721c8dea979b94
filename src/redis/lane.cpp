#include "lane.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "server_error.hpp"

namespace websession::redis {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds backoff_first{100};
constexpr milliseconds backoff_most{1000};
constexpr std::size_t read_size = std::size_t{16} * 1024;

Error no_answer(milliseconds timeout) {
  return make_error(Errc::timeout,
                    "no answer from Redis within " + std::to_string(timeout.count()) + " ms");
}

// Reads until `count` replies have come. The error, if any, comes beside what had come before it.
std::optional<Error> read_replies(Transport& transport, ReplyParser& parser, std::size_t count,
                                  SteadyTime deadline, std::vector<Reply>& replies) {
  std::array<char, 4096> buffer;
  while (replies.size() < count) {
    const Result<std::size_t> received = transport.read_some(buffer, deadline);
    if (!received) return received.error();
    Result<void> parsed = parser.feed({buffer.data(), *received}, replies);
    if (!parsed) return std::move(parsed).error();
  }
  return std::nullopt;
}

std::optional<Error> write_all(Transport& transport, std::string_view bytes, SteadyTime deadline) {
  while (!bytes.empty()) {
    const Result<std::size_t> written = transport.write_some(bytes, deadline);
    if (!written) return written.error();
    bytes.remove_prefix(*written);
  }
  return std::nullopt;
}

}  // namespace

Lane::Lane(std::shared_ptr<Connector> connector, Login login, LaneOptions options)
    : connector_(std::move(connector)),
      login_(std::move(login)),
      options_(options),
      jitter_(std::random_device{}()) {}

Lane::~Lane() = default;

Result<void> Lane::connect(SteadyTime deadline) {
  Lock lock(mutex_);
  Result<std::shared_ptr<Connection>> connection = ready_connection(lock, deadline);
  if (!connection) return std::move(connection).error();
  return {};
}

void Lane::renew_connection() {
  const Lock lock(mutex_);
  connection_.reset();  // who is inside holds it until they leave
  forget_address_ = true;
}

void Lane::disown() noexcept {
  if (connection_) connection_->transport->disown();
}

Result<std::vector<Reply>> Lane::execute(std::string_view commands, std::size_t replies,
                                         SteadyTime deadline) {
  Lock lock(mutex_);
  Result<std::shared_ptr<Connection>> ready = ready_connection(lock, deadline);
  if (!ready) return std::move(ready).error();
  const std::shared_ptr<Connection> connection = *std::move(ready);
  if (connection->pipeline.pending() >= options_.pending_max) {
    return make_error(Errc::overloaded, std::to_string(options_.pending_max) +
                                            " operations are waiting for Redis already "
                                            "(pending_max); nothing was sent");
  }
  Request request;
  request.replies_expected = replies;
  if (connection->pipeline.pending() == 0) connection->heard_at = SteadyClock::now();
  connection->pipeline.enqueue(request, commands);

  std::optional<Error> gave_up;
  while (!request.done) {
    if (SteadyClock::now() >= deadline) {
      gave_up = give_up(connection, request);
      break;
    }
    if (!connection->writing && connection->pipeline.has_unwritten()) {
      write(lock, connection, deadline);
    } else if (!connection->reading) {
      read(lock, connection, deadline);
    } else {
      request.parked = true;
      lock.unlock();
      request.parker.park_until(deadline);
      lock.lock();
      request.parked = false;
    }
  }
  leave(lock, connection, deadline);
  if (gave_up) return *std::move(gave_up);
  if (request.error) return *std::move(request.error);
  return std::move(request.replies);
}

// Writes what is queued, for all. A role is taken and given back under the mutex; the I/O between
// is done without it.
void Lane::write(Lock& lock, const std::shared_ptr<Connection>& connection, SteadyTime deadline) {
  connection->writing = true;
  const std::string_view bytes = connection->pipeline.stage();
  lock.unlock();
  const Result<std::size_t> written = connection->transport->write_some(bytes, deadline);
  lock.lock();
  connection->writing = false;
  if (connection->broken) return;  // the reader saw it first
  if (written) {
    connection->pipeline.wrote(*written);
  } else if (written.error().code != Errc::timeout) {
    fail(connection, written.error());
  }
}

// Reads what has come, for all.
void Lane::read(Lock& lock, const std::shared_ptr<Connection>& connection, SteadyTime deadline) {
  connection->reading = true;
  lock.unlock();
  std::array<char, read_size> buffer;
  std::vector<Reply> replies;
  Result<std::size_t> received = connection->transport->read_some(buffer, deadline);
  Result<void> parsed;
  try {
    if (received) parsed = connection->parser.feed({buffer.data(), *received}, replies);
  } catch (...) {  // out of memory: what was read is lost, and so the connection is of no use
    parsed = Error{Errc::unavailable, {}};
  }
  lock.lock();
  connection->reading = false;
  if (connection->broken) return;
  if (!received) {
    if (received.error().code != Errc::timeout) fail(connection, received.error());
    return;
  }
  connection->heard_at = SteadyClock::now();
  for (Reply& reply : replies) {
    Request* completed = nullptr;
    Result<void> expected = connection->pipeline.on_reply(std::move(reply), completed);
    if (!expected && parsed) parsed = std::move(expected);
    if (completed != nullptr && completed->parked) completed->parker.unpark();
  }
  if (!parsed) fail(connection, parsed.error());
}

// The connection is of no use any more. All that is in flight fails now; the descriptor is closed
// when the last thread that uses it has left.
void Lane::fail(const std::shared_ptr<Connection>& connection, const Error& error) {
  connection->broken = true;
  connection->transport->shut_down();
  connection->pipeline.fail_all(error, connection->writing);
  if (connection_ == connection) connection_.reset();
}

// Whoever leaves sees to it that the free roles are taken. A thread that is woken for a role and
// has reached its deadline comes by here as well, so no wake-up is lost.
void Lane::leave(Lock& lock, const std::shared_ptr<Connection>& connection, SteadyTime deadline) {
  while (!connection->broken) {
    const bool unwritten = !connection->writing && connection->pipeline.has_unwritten();
    if (connection->reading && !unwritten) return;
    if (Request* next = connection->pipeline.last_parked()) {
      next->parked = false;  // it is on its way; the next one to leave wakes another
      next->parker.unpark();
      return;
    }
    // With nobody parked, the only one left may be the reader, who waits for an answer to what is
    // not written yet: a request that was queued while this thread was writing. So it is written
    // before leaving; after the deadline only what the socket takes without waiting.
    if (!unwritten) return;
    const bool late = SteadyClock::now() >= deadline;
    write(lock, connection, deadline);
    if (late) return;
  }
}

Error Lane::give_up(const std::shared_ptr<Connection>& connection, const Request& request) {
  Error error = no_answer(options_.operation_timeout);
  error.maybe_applied = connection->pipeline.abandon(request);
  // A server that has not said a word for two whole timeouts will not answer on this connection:
  // the path may be dead without either side knowing.
  if (!connection->broken &&
      SteadyClock::now() - connection->heard_at > 2 * options_.operation_timeout) {
    fail(connection, make_error(Errc::unavailable, "Redis has stopped answering"));
  }
  return error;
}

Result<std::shared_ptr<Lane::Connection>> Lane::ready_connection(Lock& lock, SteadyTime deadline) {
  while (true) {
    if (connection_) {
      // A server that went away while nobody was looking: finding that out now, before anything is
      // sent, spares the caller a write whose fate is unknown.
      // While answers to abandoned requests are due, bytes may come; an end still is one.
      const bool idle = !connection_->reading && !connection_->pipeline.has_callers();
      const bool ended =
          idle && (connection_->pipeline.pending() == 0 ? connection_->transport->is_stale()
                                                        : connection_->transport->has_ended());
      if (!ended) return connection_;
      fail(connection_, make_error(Errc::unavailable, "Redis closed the connection"));
    }
    const SteadyTime now = SteadyClock::now();
    if (now >= deadline) {
      return make_error(Errc::timeout, "no connection to Redis by the deadline");
    }
    if (now < retry_at_ && last_connect_error_) return *last_connect_error_;
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
    connecting_ = true;
    if (std::exchange(forget_address_, false)) connector_->forget_address();
    lock.unlock();
    Result<std::shared_ptr<Connection>> made =
        connect_now(std::min(deadline, now + options_.connect_timeout));
    lock.lock();
    connecting_ = false;
    if (made) {
      connection_ = *made;
      last_connect_error_.reset();
      backoff_ = milliseconds(0);
    } else {
      note_failed_connect(made.error(), now);
    }
    connect_done_.notify_all();
    return made;
  }
}

// An attempt that failed at once costs little, so the next caller tries again. One that took long
// (a silent server, a resolver that does not answer) would cost every caller as much: for a while,
// callers get the error at once. One that was cut short because its caller had little time left
// says nothing about the server.
void Lane::note_failed_connect(const Error& error, SteadyTime start) {
  last_connect_error_ = error;
  ++failed_connects_;
  const SteadyTime now = SteadyClock::now();
  if (now - start < std::min(options_.connect_timeout, options_.operation_timeout) / 2) return;
  backoff_ = std::clamp(backoff_ * 2, backoff_first, backoff_most);
  std::uniform_real_distribution<double> around(0.5, 1.5);
  const double ms = static_cast<double>(backoff_.count()) * around(jitter_);
  retry_at_ = now + milliseconds(static_cast<milliseconds::rep>(ms));
}

Result<std::shared_ptr<Lane::Connection>> Lane::connect_now(SteadyTime deadline) noexcept try {
  Result<std::unique_ptr<Transport>> transport = connector_->connect(deadline);
  if (!transport) return std::move(transport).error();
  std::shared_ptr<Connection> connection(
      new Connection{.transport = *std::move(transport),
                     .parser = ReplyParser(options_.reply_bytes_max),
                     .heard_at = SteadyClock::now()});
  Result<void> logged_in = log_in(*connection, deadline);
  if (!logged_in) {
    Error error = std::move(logged_in).error();
    if (error.code == Errc::timeout) {
      error.detail = "Redis took the connection but does not answer";
    }
    return error;
  }
  return connection;
} catch (...) {  // out of memory; the others who wait for a connection must learn that it failed
  return Error{Errc::unavailable, {}};
}

Result<void> Lane::log_in(Connection& connection, SteadyTime deadline) const {
  std::string commands;
  std::size_t count = 0;
  const auto add = [&](std::initializer_list<std::string_view> words) {
    append_command(commands, words);
    ++count;
  };
  if (login_.password && login_.user.empty()) add({"AUTH", *login_.password});
  if (login_.password && !login_.user.empty()) add({"AUTH", login_.user, *login_.password});
  const std::string database = std::to_string(login_.database);
  if (login_.database != 0) add({"SELECT", database});
  // Tells whether the server is willing to serve us at all.
  add({"PING"});
  const std::size_t decisive = count;
  // The rest is convenience: a user who may not do it is served all the same.
  if (!login_.client_name.empty()) add({"CLIENT", "SETNAME", login_.client_name});
  for (const std::string& script : login_.scripts) add({"SCRIPT", "LOAD", script});

  std::optional<Error> failed = write_all(*connection.transport, commands, deadline);
  // A server that refuses to talk to us says why in one line, and closes: that line is worth more
  // than the broken connection. So it is read even when writing has failed.
  std::vector<Reply> replies;
  std::optional<Error> cut =
      read_replies(*connection.transport, connection.parser, count, deadline, replies);
  if (!failed) failed = std::move(cut);
  for (std::size_t i = 0; i < std::min(decisive, replies.size()); ++i) {
    const Reply& reply = replies[i];
    if (reply.type != Reply::Type::error) continue;
    const bool other = reply.text.starts_with("ERR") &&
                       reply.text.find("max number of clients") == std::string::npos;
    const bool is_select = login_.database != 0 && i + 2 == decisive;
    if (other && is_select) {
      return make_error(Errc::rejected, "Redis has no database " + database +
                                            " (the number at the end of the URL)");
    }
    if (other && login_.password && i == 0) {
      return make_error(Errc::rejected,
                        "Redis has no password set, but the URL brings one: remove it, or set "
                        "requirepass or an ACL user");
    }
    return server_error(reply.text, false);
  }
  if (failed) return *std::move(failed);
  return {};
}

}  // namespace websession::redis
