// What is said on a new connection before it is used: the login, what the server is able to do, and
// how near it is. No I/O and no clock: whoever drives it carries the bytes.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline.hpp"
#include "resp.hpp"
#include "websession/credentials.hpp"
#include "websession/result.hpp"

namespace websession::redis {

// What is sent first on each new connection.
struct Login {
  std::string user{};
  std::optional<std::string> password{};
  CredentialsSource credentials{};  // in place of these; none: there is no such thing
  int database = 0;
  std::string client_name{};
  std::vector<std::string> scripts{};  // made known to the server, so that EVALSHA finds them
  std::string prefix{};                // of the store's keys; empty: none are tried
  bool guarded = false;                // which of its abilities are wanted, and tried
  bool transactions = false;
  bool must_be_primary = false;  // whoever named this server may have been wrong
  bool on_cluster = false;       // it is one of its nodes
  // A key of the store's, and nobody's, to try things on; empty: there is none that this server
  // has. Asked on each connection. None: under the prefix.
  std::function<std::string()> probe_key{};
};

// Commands that are sent in one go, while nobody else uses the connection.
class Exchange {
 public:
  void add(std::initializer_list<std::string_view> words, std::string_view name) {
    append_command(bytes_, words);
    names_.emplace_back(name);
  }
  [[nodiscard]] std::string_view bytes() const noexcept { return bytes_; }
  // So many replies are due.
  [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }
  [[nodiscard]] std::string_view name(std::size_t i) const noexcept { return names_[i]; }

 private:
  std::string bytes_;
  std::vector<std::string_view> names_;
};

// Whether somebody is there.
[[nodiscard]] Exchange ping();

// The login must outlive it.
class Greeting {
 public:
  enum class Next {
    exchange,  // send exchange(), and tell what came
    reopen,    // the peer has hung up on what was only tried: begin again on a new connection
    done,
    failed,
  };

  // `reply_bytes_max`: of one reply. `asks_how_near`: else it is not known.
  Greeting(const Login& login, std::size_t reply_bytes_max, bool asks_how_near = true);

  [[nodiscard]] Next next() const noexcept { return next_; }
  [[nodiscard]] const Exchange& exchange() const noexcept { return exchange_; }
  // The replies to the exchange, all of them, or those that came before the error; and how long it
  // took. A server that refuses to talk says why in one line, and closes: that line is worth more
  // than the broken connection, so read it even when writing has failed.
  void came(std::vector<Reply> replies, std::optional<Error> failed, std::chrono::nanoseconds took);
  void reopened();

  // When it has failed.
  [[nodiscard]] const Error& error() const noexcept { return *error_; }
  // When it is done.
  [[nodiscard]] const Abilities& abilities() const noexcept { return abilities_; }
  // The answer to a PING came so fast that giving the processor away beats sleeping.
  [[nodiscard]] bool is_near() const noexcept { return is_near_; }

 private:
  enum class Stage { login, is_it_a_sentinel, probes, pings };

  void begin_login();
  Result<void> take_credentials();
  void after_login(std::vector<Reply> replies, std::optional<Error> failed);
  void judge_login(const std::vector<Reply>& replies, std::optional<Error> failed);
  [[nodiscard]] bool is_primary(const std::vector<Reply>& replies) const;
  void begin_probes();
  void begin_pings();
  void after_ping(std::chrono::nanoseconds took);
  void fail(Error error);
  void say(Stage stage, Exchange exchange);
  [[nodiscard]] Error refusal(std::string_view step, std::string_view text) const;

  const Login& login_;
  const std::size_t reply_bytes_max_;
  const bool asks_how_near_;
  std::string user_;
  std::optional<std::string> password_;
  bool probes_;
  Next next_ = Next::exchange;
  Stage stage_ = Stage::login;
  Exchange exchange_;
  std::size_t decisive_ = 0;  // steps of the login that have to succeed
  std::vector<Reply> login_replies_{};
  Exchange login_exchange_{};
  int pings_ = 0;
  std::chrono::nanoseconds pinged_for_{0};
  std::optional<Error> error_{};
  Abilities abilities_{};
  bool is_near_ = false;
};

}  // namespace websession::redis
