#include "dialer.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "server_error.hpp"

namespace websession::redis {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds backoff_first{100};
constexpr milliseconds backoff_most{1000};
// Beyond this round trip, threads that give the processor away instead of sleeping only burn it.
constexpr microseconds near_at_most{200};
// A PING may be held up by whatever else the machine does, and a near server that is taken for a
// far one serves half as many: so it is asked a few times, and again for a while.
constexpr int pings_at_least = 3;
constexpr milliseconds pings_for{5};
// Enough to divide the price of a transaction among many.
constexpr std::size_t transaction_parts_max = 256;

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

// Commands that are sent in one go, while nobody else uses the connection.
class Exchange {
 public:
  void add(std::initializer_list<std::string_view> words, std::string_view name) {
    append_command(bytes_, words);
    names_.emplace_back(name);
  }
  [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }
  [[nodiscard]] std::string_view name(std::size_t i) const noexcept { return names_[i]; }

  // A server that refuses to talk to us says why in one line, and closes: that line is worth more
  // than the broken connection. So it is read even when writing has failed.
  std::optional<Error> run(Connection& connection, SteadyTime deadline,
                           std::vector<Reply>& replies) const {
    std::optional<Error> failed = write_all(*connection.transport, bytes_, deadline);
    std::optional<Error> cut = read_replies(connection, size(), deadline, replies);
    return failed ? failed : cut;
  }

 private:
  std::string bytes_;
  std::vector<std::string_view> names_;
};

// Tries the shortcuts with all that a store sends in them, on a key that nobody has: what makes it
// ends it in the same step. Should the user have no right to MULTI, the commands are executed all
// the same, and leave nothing either.
//
// HSETEX is of use when it makes no key where there is none (a Valkey before 9.0 did), and writes
// all or nothing.
void add_probes(Exchange& login, const std::string& key) {
  login.add({"PEXPIRE", key, "1", "GT"}, "PEXPIRE");
  login.add({"HSETEX", key, "FXX", "FIELDS", "1", "a", "b"}, "HSETEX");
  login.add({"EXISTS", key}, "EXISTS");
  login.add({"MULTI"}, "MULTI");
  login.add({"HSET", key, "a", "b"}, "HSET");
  login.add({"HSETEX", key, "FXX", "FIELDS", "2", "a", "c", "y", "z"}, "HSETEX");
  login.add({"PEXPIREAT", key, "1", "NX"}, "PEXPIREAT");
  login.add({"EXEC"}, "EXEC");
  login.add({"MULTI"}, "MULTI");
  login.add({"HSET", key, "a", "b"}, "HSET");
  login.add({"PEXPIREAT", key, "1", "NX"}, "PEXPIREAT");
  login.add({"HDEL", key, "a"}, "HDEL");
  login.add({"PEXPIRE", key, "1", "GT"}, "PEXPIRE");
  login.add({"EXEC"}, "EXEC");
}
constexpr std::size_t first_exec = 7;  // of the probes

bool is_zero(const Reply& reply) {
  return reply.type() == Reply::Type::integer && reply.integer() == 0;
}

bool executed(const Reply& answer, std::initializer_list<std::int64_t> expected) {
  const auto elements = answer.elements();
  return std::equal(elements.begin(), elements.end(), expected.begin(), expected.end(),
                    [](const Reply::Element& element, std::int64_t wanted) {
                      return element.type == Reply::Type::integer && element.integer == wanted;
                    });
}

// `answers`: to the probes. `parts_max`: see Abilities.
Abilities abilities_by(std::span<const Reply> answers, std::size_t parts_max) {
  const bool guards = is_zero(answers[0]) && is_zero(answers[1]) && is_zero(answers[2]) &&
                      executed(answers[first_exec], {1, 0, 1});
  const bool does_transactions = executed(answers.back(), {1, 1, 0, 0});
  return {.guarded = guards, .parts_max = does_transactions ? parts_max : 0};
}

bool is_error(const Reply& reply) { return reply.type() == Reply::Type::error; }

bool is_sentinel(Connection& connection, SteadyTime deadline) {
  Exchange info;
  info.add({"INFO", "server"}, "INFO");
  std::vector<Reply> replies;
  return !info.run(connection, deadline, replies) &&
         replies.front().text().find("redis_mode:sentinel") != std::string_view::npos;
}

Error sentinel() {
  return make_error(Errc::rejected,
                    "this is a Redis Sentinel, which keeps no data: connect to the Redis that it "
                    "watches (SENTINEL GET-MASTER-ADDR-BY-NAME tells where)");
}

// A proxy in front of Redis may know some commands only.
Error hung_up(Error error, std::string_view command) {
  if (error.code != Errc::unavailable) return error;
  error.detail += "; it was asked for " + std::string(command) +
                  ": a proxy that hangs up on commands it does not know (twemproxy) must not stand "
                  "in between";
  return error;
}

}  // namespace

Dialer::Dialer(std::shared_ptr<Connector> connector, Login login, EngineOptions options)
    : connector_(std::move(connector)),
      login_(std::move(login)),
      options_(options),
      jitter_(std::random_device{}()) {}

bool Dialer::may_dial() const noexcept { return SteadyClock::now() >= retry_at_.load(); }

Result<std::shared_ptr<Connection>> Dialer::dial(SteadyTime deadline) {
  std::unique_lock lock(mutex_);
  if (!idle_.wait_until(lock, deadline, [this] { return !dialing_; })) {
    return make_error(Errc::timeout, "no connection to Redis by the deadline");
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
    backoff_ = milliseconds(0);
  } else {
    note_failure(made.error(), start);
  }
  return made;
}

// An attempt that failed at once costs little, so the next caller tries again. One that took long
// (a silent server, a resolver that does not answer) would cost every caller as much: for a while,
// callers get the error at once. One that was cut short because its caller had little time left
// says nothing about the server.
void Dialer::note_failure(const Error& error, SteadyTime start) {
  last_error_ = error;
  const SteadyTime now = SteadyClock::now();
  if (now - start < std::min(options_.connect_timeout, options_.operation_timeout) / 2) return;
  backoff_ = std::clamp(backoff_ * 2, backoff_first, backoff_most);
  std::uniform_real_distribution<double> around(0.5, 1.5);
  const double ms = static_cast<double>(backoff_.count()) * around(jitter_);
  retry_at_ = now + milliseconds(static_cast<milliseconds::rep>(ms));
}

Result<std::shared_ptr<Connection>> Dialer::connect(SteadyTime deadline) noexcept try {
  Result<std::shared_ptr<Connection>> made = open(deadline);
  if (!made) return made;
  if (std::optional<Error> failed = probe(**made, deadline)) {
    if (failed->code != Errc::unavailable) return *std::move(failed);
    // It has served the login, and then hung up: a proxy, perhaps, that does so on a command that
    // it does not know. What is only tried must not cost the connection.
    made = open(deadline);
    if (!made) return made;
  }
  if (std::optional<Error> failed = measure(**made, deadline)) return *std::move(failed);
  (*made)->heard_at = SteadyClock::now();
  return made;
} catch (...) {  // out of memory; the others who wait for a connection must learn that it failed
  return Error{Errc::unavailable, {}};
}

// A connection that has logged in.
Result<std::shared_ptr<Connection>> Dialer::open(SteadyTime deadline) const {
  const std::uint64_t generation = generation_;
  Result<std::unique_ptr<Transport>> transport = connector_->connect(deadline);
  if (!transport) return std::move(transport).error();
  std::shared_ptr<Connection> connection(
      new Connection{.transport = *std::move(transport),
                     .generation = generation,
                     .parser = ReplyParser(options_.reply_bytes_max),
                     .heard_at = SteadyClock::now()});
  Result<void> logged_in = log_in(*connection, deadline);
  if (logged_in) return connection;
  Error error = std::move(logged_in).error();
  if (error.code == Errc::timeout) error.detail = "Redis took the connection but does not answer";
  return error;
}

// Finds out which shortcuts there are, of those that are wanted.
std::optional<Error> Dialer::probe(Connection& connection, SteadyTime deadline) const {
  if (!login_.guarded && !login_.transactions) return std::nullopt;
  Exchange probes;
  add_probes(probes, login_.prefix + ":probe");
  std::vector<Reply> answers;
  if (std::optional<Error> failed = probes.run(connection, deadline, answers)) return failed;
  // One reply holds all answers of a transaction, and each may be an error of a line.
  const std::size_t parts_max =
      std::clamp<std::size_t>(options_.reply_bytes_max / 128, 1, transaction_parts_max);
  const Abilities found = abilities_by(answers, parts_max);
  if (login_.guarded) connection.abilities.guarded = found.guarded;
  if (login_.transactions) connection.abilities.parts_max = found.parts_max;
  return std::nullopt;
}

Result<void> Dialer::log_in(Connection& connection, SteadyTime deadline) const {
  Exchange login;
  if (login_.password && login_.user.empty()) login.add({"AUTH", *login_.password}, "AUTH");
  if (login_.password && !login_.user.empty()) {
    login.add({"AUTH", login_.user, *login_.password}, "AUTH");
  }
  const std::string database = std::to_string(login_.database);
  if (login_.database != 0) login.add({"SELECT", database}, "SELECT");
  // Tells whether the server is willing to serve us at all.
  login.add({"PING"}, "PING");
  const std::size_t decisive = login.size();
  // The rest is convenience: a user who may not do it is served all the same. But a Cluster refuses
  // a command on two keys, as those of the store are.
  if (!login_.prefix.empty()) {
    login.add({"EXISTS", login_.prefix + "a", login_.prefix + "b"}, "EXISTS");
  }
  if (!login_.client_name.empty()) {
    login.add({"CLIENT", "SETNAME", login_.client_name}, "CLIENT SETNAME");
  }
  for (const std::string& script : login_.scripts) {
    login.add({"SCRIPT", "LOAD", script}, "SCRIPT LOAD");
  }

  std::vector<Reply> replies;
  std::optional<Error> failed = login.run(connection, deadline, replies);
  const bool unknown = std::any_of(replies.begin(), replies.end(), [](const Reply& reply) {
    return is_error(reply) && is_unknown_command(reply.text());
  });
  if (!failed && unknown && is_sentinel(connection, deadline)) return sentinel();
  for (const Reply& reply : replies) {
    if (is_error(reply) && is_of_cluster(reply.text())) return server_error(reply.text(), false);
  }
  for (std::size_t i = 0; i < std::min(decisive, replies.size()); ++i) {
    if (is_error(replies[i])) return refusal(login.name(i), replies[i].text());
  }
  if (!failed) return {};
  return hung_up(*std::move(failed), login.name(std::min(replies.size(), login.size() - 1)));
}

// What an error reply to a step of the login means.
Error Dialer::refusal(std::string_view step, std::string_view text) const {
  const bool other =
      text.starts_with("ERR") && text.find("max number of clients") == std::string_view::npos;
  if (other && step == "SELECT") {
    return make_error(Errc::rejected, "Redis has no database " + std::to_string(login_.database) +
                                          " (the number at the end of the URL)");
  }
  if (other && step == "AUTH") {
    return make_error(Errc::rejected,
                      "Redis has no password set, but the URL brings one: remove it, or set "
                      "requirepass or an ACL user");
  }
  return server_error(text, false);
}

std::optional<Error> Dialer::ask(Connection& connection, SteadyTime deadline) {
  Exchange ping;
  ping.add({"PING"}, "PING");
  std::vector<Reply> replies;
  return ping.run(connection, deadline, replies);
}

std::optional<Error> Dialer::measure(Connection& connection, SteadyTime deadline) const {
  const SteadyTime first = SteadyClock::now();
  SteadyTime now = first;
  for (int i = 0; i < pings_at_least || now - first < pings_for; ++i) {
    const SteadyTime start = now;
    if (std::optional<Error> failed = ask(connection, deadline)) return failed;
    now = SteadyClock::now();
    connection.is_near = now - start <= near_at_most;
    if (connection.is_near) break;
  }
  // Far away, the next batch must not wait for the answer to the last one. Nearby, waiting for it
  // makes larger batches, which cost both sides less.
  connection.pipeline = Pipeline(connection.is_near ? 1 : SIZE_MAX, connection.abilities);
  return std::nullopt;
}

}  // namespace websession::redis
