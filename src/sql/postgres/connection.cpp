#include "connection.hpp"

#include <poll.h>

#include <algorithm>

#include "invalid.hpp"

namespace websession::postgres {
namespace {

constexpr const char* advice =
    ". In a URL, write what is special in a user's name or a password as %40 (@), %2F (/), %3A (:)";

// Whether a URL's user and password, or what should be them, contain what ends them too early. What
// libpq and the resolver then say would repeat parts of a password.
bool is_cut_in_the_password(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (!url.starts_with("postgres") || scheme == std::string_view::npos) return false;
  const std::string_view rest = url.substr(scheme + 3).substr(0, url.substr(scheme + 3).find('?'));
  const std::size_t last = rest.rfind('@');
  return last != std::string_view::npos && rest.find_first_of("@/") != last;
}

// An empty one is the default.
bool is_port(std::string_view text) {
  return text.size() <= 5 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// What others see is never shown, nor written anywhere: a server may put a statement's parameters
// into its notices.
void ignore(void*, const PGresult*) {}

// What a text column holds must be all of Unicode. SQL_ASCII holds any bytes.
std::optional<Error> check_encoding(const PGconn* connection) {
  const char* const encoding = PQparameterStatus(connection, "server_encoding");
  if (encoding == nullptr || std::string_view(encoding) == "UTF8" ||
      std::string_view(encoding) == "SQL_ASCII") {
    return std::nullopt;
  }
  return make_error(Errc::rejected,
                    "PostgreSQL: the database's encoding is " + std::string(encoding) +
                        ", which cannot hold every text: take one that was made with ENCODING "
                        "'UTF8'");
}

}  // namespace

std::vector<std::string> parts_of(std::string_view list) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t comma = list.find(',');
    parts.emplace_back(list.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    list.remove_prefix(comma + 1);
  }
}

Result<ConnectionInfo> parse_connection_info(const std::string& text) {
  using internal::invalid;
  if (text.find('\0') != std::string::npos) {
    return invalid("PostgresStore: the connection string contains a NUL");
  }
  if (is_cut_in_the_password(text)) {
    return invalid("PostgresStore: there is more than one '@', or a '/' before it, in the URL" +
                   std::string(advice));
  }
  char* said = nullptr;
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(
      PQconninfoParse(text.c_str(), &said), PQconninfoFree);
  const std::unique_ptr<char, void (*)(void*)> words(said, PQfreemem);
  if (options == nullptr) {
    // What libpq says may repeat a password.
    return invalid(
        "PostgresStore: not a connection string of libpq, as in "
        "postgresql://user@host/database or \"host=/run/postgresql dbname=app\"");
  }
  ConnectionInfo info;
  const auto has = [&info](std::string_view keyword) {
    return std::any_of(info.begin(), info.end(),
                       [keyword](const auto& entry) { return entry.first == keyword; });
  };
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) info.emplace_back(option->keyword, option->val);
  }
  for (const auto& [keyword, value] : info) {
    if (keyword != "port") continue;
    const std::vector<std::string> parts = parts_of(value);
    if (!std::all_of(parts.begin(), parts.end(), is_port)) {
      return invalid("PostgresStore: the port is no number" + std::string(advice));
    }
  }
  if (has("replication")) {
    return invalid("PostgresStore: `replication` is not for connections of a store: remove it");
  }
  if (!has("fallback_application_name"))
    info.emplace_back("fallback_application_name", "websession");
  // It would ask a Kerberos server first, and wait for that.
  if (!has("gssencmode")) info.emplace_back("gssencmode", "disable");
  // Names and values are bytes that were looked at.
  std::erase_if(info, [](const auto& entry) { return entry.first == "client_encoding"; });
  info.emplace_back("client_encoding", "UTF8");
  return info;
}

Connection::Connection(const ConnectionInfo& info, Prepares prepares) : prepares_(prepares) {
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  for (const auto& [keyword, value] : info) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  connection_.reset(PQconnectStartParams(keywords.data(), values.data(), 0));
  if (connection_ != nullptr) PQsetNoticeReceiver(connection_.get(), ignore, nullptr);
}

std::optional<Result<void>> Connection::go_on_connecting() {
  if (connection_ == nullptr) {
    return Result<void>(make_error(Errc::unavailable, "PostgreSQL: no memory for a connection"));
  }
  if (PQstatus(connection_.get()) == CONNECTION_BAD) {
    return Result<void>(cannot_connect(connection_.get()));
  }
  if (!std::exchange(is_begun_, true)) return std::nullopt;
  switch (PQconnectPoll(connection_.get())) {
    case PGRES_POLLING_READING:
      wants_ = Reactor::readable;
      return std::nullopt;
    case PGRES_POLLING_WRITING:
      wants_ = Reactor::writable;
      return std::nullopt;
    case PGRES_POLLING_OK:
      wants_ = Reactor::none;
      if (std::optional<Error> error = check_encoding(connection_.get())) {
        return Result<void>(*std::move(error));
      }
      if (PQsetnonblocking(connection_.get(), 1) == 0) return Result<void>();
      [[fallthrough]];
    default:
      return Result<void>(cannot_connect(connection_.get()));
  }
}

void Connection::ask(const Query& query) {
  query_ = &query;
  rows_.reset();
  may_prepare_again_ = prepares_ == Prepares::yes && query.sql.name != nullptr;
  is_preparing_ = may_prepare_again_ && !prepared_.contains(query.sql.name);
  has_failed_ = !send();
}

// Under another name, as the server may still have it under the one before.
void Connection::prepare_again() {
  may_prepare_again_ = false;
  prepared_.clear();
  ++generation_;
  is_preparing_ = true;
  rows_.reset();
  has_failed_ = !send();
}

std::string Connection::name_to_prepare() const {
  const std::string name = query_->sql.name;
  return generation_ == 0 ? name : name + "_" + std::to_string(generation_);
}

bool Connection::send() {
  PGconn* const connection = connection_.get();
  const Sql& sql = query_->sql;
  if (sql.name == nullptr) return PQsendQuery(connection, sql.text) != 0;
  if (is_preparing_) {
    return PQsendPrepare(connection, name_to_prepare().c_str(), sql.text, 0, nullptr) != 0;
  }
  std::vector<const char*> values;
  values.reserve(query_->parameters.size());
  for (const Parameter& parameter : query_->parameters) {
    values.push_back(parameter ? parameter->c_str() : nullptr);
  }
  const int count = static_cast<int>(values.size());
  if (prepares_ == Prepares::no) {
    return PQsendQueryParams(connection, sql.text, count, nullptr, values.data(), nullptr, nullptr,
                             0) != 0;
  }
  return PQsendQueryPrepared(connection, prepared_.at(sql.name).c_str(), count, values.data(),
                             nullptr, nullptr, 0) != 0;
}

std::optional<Result<Rows>> Connection::go_on() {
  PGconn* const connection = connection_.get();
  while (!has_failed_) {
    const int unsent = PQflush(connection);
    // What the server said before it hung up comes first.
    has_failed_ = PQconsumeInput(connection) == 0 || unsent < 0;
    if (PQisBusy(connection) != 0) {
      if (has_failed_) break;
      // While something is to be sent the server may wait for us to read.
      wants_ = Reactor::readable | (unsent == 1 ? Reactor::writable : 0U);
      return std::nullopt;
    }
    if (PGresult* const result = PQgetResult(connection); result != nullptr) {
      const bool was_refused = rows_ && !rows_->refusal().empty();
      Rows rows(result);
      if (!was_refused) rows_ = std::move(rows);
      continue;
    }
    if (PQstatus(connection) == CONNECTION_BAD || !rows_) break;
    if (may_prepare_again_ && !is_preparing_ && is_stale(rows_->refusal())) {
      prepare_again();
      continue;
    }
    if (!is_preparing_ || !rows_->refusal().empty()) {
      wants_ = Reactor::none;
      query_ = nullptr;
      return Result<Rows>(*std::exchange(rows_, std::nullopt));
    }
    is_preparing_ = false;
    prepared_.emplace(query_->sql.name, name_to_prepare());
    rows_.reset();
    has_failed_ = !send();
  }
  has_failed_ = true;
  return Result<Rows>(lost());
}

Error Connection::lost() const {
  Error error = rows_ && !rows_->refusal().empty()
                    ? rows_->error()
                    : connection_error(connection_.get(), "the connection was lost");
  error.maybe_applied = may_have_applied();
  return error;
}

bool Connection::has_gone() noexcept {
  pollfd descriptor{socket(), POLLIN, 0};
  return ::poll(&descriptor, 1, 0) != 0;
}

}  // namespace websession::postgres
