#include "greeting.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>

#include "ask_credentials.hpp"
#include "server_error.hpp"

namespace websession::redis {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Beyond this round trip, threads that give the processor away instead of sleeping only burn it.
constexpr microseconds near_at_most{200};
// A PING may be held up by whatever else the machine does, and a near server that is taken for a
// far one serves half as many: so it is asked a few times, and again for a while.
constexpr int pings_at_least = 3;
constexpr milliseconds pings_for{5};
// Enough to divide the price of a transaction among many.
constexpr std::size_t transaction_parts_max = 256;

// Tries the shortcuts with all that a store sends in them, on a key that nobody has: what makes it
// ends it in the same step. Should the user have no right to MULTI, the commands are executed all
// the same, and leave nothing either.
//
// HSETEX is of use when it makes no key where there is none (a Valkey before 9.0 did), and writes
// all or nothing.
void add_probes(Exchange& probes, const std::string& key) {
  probes.add({"PEXPIRE", key, "1", "GT"}, "PEXPIRE");
  probes.add({"HSETEX", key, "FXX", "FIELDS", "1", "a", "b"}, "HSETEX");
  probes.add({"EXISTS", key}, "EXISTS");
  probes.add({"MULTI"}, "MULTI");
  probes.add({"HSET", key, "a", "b"}, "HSET");
  probes.add({"HSETEX", key, "FXX", "FIELDS", "2", "a", "c", "y", "z"}, "HSETEX");
  probes.add({"PEXPIREAT", key, "1", "NX"}, "PEXPIREAT");
  probes.add({"EXEC"}, "EXEC");
  probes.add({"MULTI"}, "MULTI");
  probes.add({"HSET", key, "a", "b"}, "HSET");
  probes.add({"PEXPIREAT", key, "1", "NX"}, "PEXPIREAT");
  probes.add({"HDEL", key, "a"}, "HDEL");
  probes.add({"PEXPIRE", key, "1", "GT"}, "PEXPIRE");
  probes.add({"EXEC"}, "EXEC");
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

Error sentinel() {
  return make_error(Errc::rejected,
                    "this is a Redis Sentinel, which keeps no data: it is asked for the Redis that "
                    "it watches by a URL like redis-sentinel://host:26379#mymaster");
}

Error replica() {
  return make_error(Errc::unavailable,
                    "the Redis that the Sentinels name is no primary (any more, or yet): they are "
                    "asked again");
}

// A proxy in front of Redis may know some commands only.
Error hung_up(Error error, std::string_view command) {
  if (error.code != Errc::unavailable) return error;
  error.detail += "; it was asked for " + std::string(command) +
                  ": a proxy that hangs up on commands it does not know (twemproxy) must not stand "
                  "in between";
  return error;
}

// One reply holds all answers of a transaction, and each may be an error of a line.
std::size_t parts_max(std::size_t reply_bytes_max) {
  return std::clamp<std::size_t>(reply_bytes_max / 128, 1, transaction_parts_max);
}

Abilities wanted(const Login& login, const Abilities& found) {
  return {.guarded = login.guarded && found.guarded,
          .parts_max = login.transactions ? found.parts_max : 0};
}

}  // namespace

Exchange ping() {
  Exchange ping;
  ping.add({"PING"}, "PING");
  return ping;
}

Greeting::Greeting(const Login& login, std::size_t reply_bytes_max, bool asks_how_near)
    : login_(login),
      reply_bytes_max_(reply_bytes_max),
      asks_how_near_(asks_how_near),
      user_(login.user),
      password_(login.password),
      probes_(login.guarded || login.transactions) {
  begin_login();
}

void Greeting::reopened() { begin_login(); }

void Greeting::came(std::vector<Reply> replies, std::optional<Error> failed, nanoseconds took) {
  switch (stage_) {
    case Stage::login:
      return after_login(std::move(replies), std::move(failed));
    case Stage::is_it_a_sentinel: {
      const bool is_one =
          !failed && replies.front().text().find("redis_mode:sentinel") != std::string_view::npos;
      if (is_one) return fail(sentinel());
      return judge_login(login_replies_, std::nullopt);
    }
    case Stage::probes:
      if (failed && failed->code != Errc::unavailable) return fail(*std::move(failed));
      if (failed) {
        // It has served the login, and then hung up: a proxy, perhaps, that does so on a command
        // that it does not know. What is only tried must not cost the connection.
        probes_ = false;
        next_ = Next::reopen;
        return;
      }
      abilities_ = wanted(login_, abilities_by(replies, parts_max(reply_bytes_max_)));
      return begin_pings();
    case Stage::pings:
      if (failed) return fail(*std::move(failed));
      return after_ping(took);
  }
}

void Greeting::say(Stage stage, Exchange exchange) {
  stage_ = stage;
  exchange_ = std::move(exchange);
  next_ = Next::exchange;
}

void Greeting::fail(Error error) {
  error_ = std::move(error);
  next_ = Next::failed;
}

Result<void> Greeting::take_credentials() {
  if (!login_.credentials) return {};
  Result<Credentials> given =
      internal::ask_credentials(login_.credentials, "RedisOptions::credentials");
  if (!given) return std::move(given).error();
  user_ = std::move(given->user);
  password_ = std::move(given->password);
  return {};
}

void Greeting::begin_login() {
  if (auto taken = take_credentials(); !taken) return fail(std::move(taken).error());
  Exchange login;
  if (password_ && user_.empty()) login.add({"AUTH", *password_}, "AUTH");
  if (password_ && !user_.empty()) login.add({"AUTH", user_, *password_}, "AUTH");
  if (login_.database != 0) login.add({"SELECT", std::to_string(login_.database)}, "SELECT");
  // Tells whether the server is willing to serve us at all.
  login.add({"PING"}, "PING");
  if (login_.must_be_primary) login.add({"ROLE"}, "ROLE");
  decisive_ = login.size();
  // The rest is convenience: a user who may not do it is served all the same. But a Cluster refuses
  // a command on two keys, as those of the store are.
  if (!login_.prefix.empty() && !login_.on_cluster) {
    login.add({"EXISTS", login_.prefix + "a", login_.prefix + "b"}, "EXISTS");
  }
  if (!login_.client_name.empty()) {
    login.add({"CLIENT", "SETNAME", login_.client_name}, "CLIENT SETNAME");
  }
  for (const std::string& script : login_.scripts) {
    login.add({"SCRIPT", "LOAD", script}, "SCRIPT LOAD");
  }
  login_exchange_ = login;
  say(Stage::login, std::move(login));
}

void Greeting::after_login(std::vector<Reply> replies, std::optional<Error> failed) {
  const bool unknown = std::any_of(replies.begin(), replies.end(), [](const Reply& reply) {
    return is_error(reply) && is_unknown_command(reply.text());
  });
  if (failed || !unknown) return judge_login(replies, std::move(failed));
  login_replies_ = std::move(replies);
  Exchange info;
  info.add({"INFO", "server"}, "INFO");
  say(Stage::is_it_a_sentinel, std::move(info));
}

void Greeting::judge_login(const std::vector<Reply>& replies, std::optional<Error> failed) {
  for (const Reply& reply : replies) {
    if (is_error(reply) && is_of_cluster(reply.text())) {
      return fail(node_of_cluster());
    }
  }
  for (std::size_t i = 0; i < std::min(decisive_, replies.size()); ++i) {
    if (is_error(replies[i])) return fail(refusal(login_exchange_.name(i), replies[i].text()));
  }
  if (login_.must_be_primary && replies.size() >= decisive_ && !is_primary(replies)) {
    return fail(replica());
  }
  if (!failed) return probes_ ? begin_probes() : begin_pings();
  if (failed->code == Errc::timeout) {
    failed->detail = "Redis took the connection but does not answer";
  }
  const std::size_t last = login_exchange_.size() - 1;
  fail(hung_up(*std::move(failed), login_exchange_.name(std::min(replies.size(), last))));
}

bool Greeting::is_primary(const std::vector<Reply>& replies) const {
  const auto role = replies[decisive_ - 1].elements();
  return !role.empty() && role[0].text == "master";
}

// What an error reply to a step of the login means.
Error Greeting::refusal(std::string_view step, std::string_view text) const {
  const bool other =
      text.starts_with("ERR") && text.find("max number of clients") == std::string_view::npos;
  if (other && step == "SELECT") {
    return make_error(Errc::rejected, "Redis has no database " + std::to_string(login_.database) +
                                          " (the number at the end of the URL)");
  }
  if (other && step == "AUTH") {
    return make_error(Errc::rejected,
                      login_.credentials
                          ? "Redis has no password set, but RedisOptions::credentials bring one: "
                            "leave them out, or set requirepass or an ACL user"
                          : "Redis has no password set, but the URL brings one: remove it, or set "
                            "requirepass or an ACL user");
  }
  return server_error(text, false);
}

void Greeting::begin_probes() {
  const std::string key = login_.probe_key ? login_.probe_key() : login_.prefix + ":probe";
  if (key.empty()) return begin_pings();
  Exchange probes;
  add_probes(probes, key);
  say(Stage::probes, std::move(probes));
}

void Greeting::begin_pings() {
  if (asks_how_near_) return say(Stage::pings, ping());
  next_ = Next::done;
}

void Greeting::after_ping(nanoseconds took) {
  ++pings_;
  pinged_for_ += took;
  is_near_ = took <= near_at_most;
  if (is_near_ || (pings_ >= pings_at_least && pinged_for_ >= pings_for)) next_ = Next::done;
}

}  // namespace websession::redis
