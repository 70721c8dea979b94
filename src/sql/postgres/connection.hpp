// A connection to PostgreSQL that never waits: whoever drives it waits for its socket. One thread
// at a time.
#pragma once

#include <libpq-fe.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "query.hpp"
#include "websession/async/reactor.hpp"
#include "websession/result.hpp"

namespace websession::postgres {

// Keywords and values, as libpq knows them.
using ConnectionInfo = std::vector<std::pair<std::string, std::string>>;
// With what the library wants where `text` says nothing. Error: invalid_argument.
Result<ConnectionInfo> parse_connection_info(const std::string& text);
// What a value says of each host: "5432,5433".
std::vector<std::string> parts_of(std::string_view list);

class Connection {
 public:
  enum class Prepares { yes, no };

  // Begins to connect; what goes wrong, go_on_connecting tells. Names are resolved here and now,
  // unless `info` has their addresses (hostaddr).
  Connection(const ConnectionInfo& info, Prepares prepares);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() = default;

  // May be another one after each step of connecting. Negative: there is none.
  [[nodiscard]] int socket() const noexcept { return PQsocket(connection_.get()); }
  // What of it to wait for (Reactor::Interest) before it can go on.
  [[nodiscard]] unsigned wants() const noexcept { return wants_; }

  // One step. None: it waits, at first to be writable.
  std::optional<Result<void>> go_on_connecting();

  // Precondition: connected, and nothing is asked. The query stays until it is answered.
  void ask(const Query& query);
  // Goes on with that as far as it can. None: it waits. Error: unavailable, the connection is lost;
  // maybe_applied, if that is so.
  std::optional<Result<Rows>> go_on();

  // Whether what was asked may have been applied if nobody waits for the answer.
  [[nodiscard]] bool may_have_applied() const noexcept {
    return query_ != nullptr && query_->writes && !is_preparing_;
  }
  // Whether the server has closed it, or says anything, while nothing is asked. Does not wait.
  [[nodiscard]] bool has_gone() noexcept;

 private:
  struct Finish {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
  };
  bool send();
  void prepare_again();
  [[nodiscard]] std::string name_to_prepare() const;
  [[nodiscard]] Error lost() const;

  std::unique_ptr<PGconn, Finish> connection_;
  const Prepares prepares_;
  std::map<std::string_view, std::string> prepared_{};  // what the server calls each statement
  int generation_ = 0;                                  // of these names
  bool may_prepare_again_ = false;                      // for this query
  unsigned wants_ = Reactor::writable;
  const Query* query_ = nullptr;
  bool is_begun_ = false;  // connecting
  bool is_preparing_ = false;
  bool has_failed_ = false;
  std::optional<Rows> rows_{};  // what came last, or was refused first
};

}  // namespace websession::postgres
