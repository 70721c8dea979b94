#include "options.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "ask_credentials.hpp"
#include "invalid.hpp"

namespace websession::postgres {

using std::chrono::milliseconds;

Result<void> validate(const PostgresOptions& options) {
  using internal::invalid;
  const auto is_time = [](milliseconds time) {
    return time >= milliseconds(1) && time <= std::chrono::hours(1);
  };
  if (!is_time(options.operation_timeout)) {
    return invalid("PostgresOptions::operation_timeout: must be 1 ms to 1 h");
  }
  if (!is_time(options.connect_timeout)) {
    return invalid("PostgresOptions::connect_timeout: must be 1 ms to 1 h");
  }
  if (options.connections_max < 1 || options.connections_max > 1024) {
    return invalid("PostgresOptions::connections_max: must be 1 to 1024");
  }
  if (options.pending_max < 1) return invalid("PostgresOptions::pending_max: must be at least 1");
  return {};
}

Connection::Prepares prepares(const PostgresOptions& options) noexcept {
  return options.transaction_pooling ? Connection::Prepares::no : Connection::Prepares::yes;
}

Setup setup_of(const PostgresOptions& options) {
  Setup setup;
  // The caller is still there to be told that nothing was applied.
  if (!options.transaction_pooling) {
    setup.statement_timeout = std::max(options.operation_timeout * 3 / 4, milliseconds(1));
  }
  setup.creates_tables = options.create_tables;
  return setup;
}

Result<ConnectionInfo> with_credentials(ConnectionInfo info, const PostgresOptions& options) {
  if (!options.credentials) return info;
  Result<Credentials> given =
      internal::ask_credentials(options.credentials, "PostgresOptions::credentials");
  if (!given) return std::move(given).error();
  const auto set = [&info](std::string_view keyword, std::string value) {
    std::erase_if(info, [&](const auto& entry) { return entry.first == keyword; });
    info.emplace_back(keyword, std::move(value));
  };
  if (!given->user.empty()) set("user", std::move(given->user));
  set("password", std::move(given->password));
  return info;
}

}  // namespace websession::postgres
