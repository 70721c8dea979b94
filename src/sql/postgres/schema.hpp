// The tables, and what each new connection begins with.
#pragma once

#include <chrono>
#include <span>

#include "query_flow.hpp"
#include "websession/result.hpp"

namespace websession::postgres {

// What makes each version of the tables of the one before it; the first one of nothing.
std::span<const char* const> schema_steps() noexcept;

struct Setup {
  std::chrono::milliseconds statement_timeout{};  // zero: the server's own settings stay
  bool creates_tables = true;
  std::span<const char* const> steps = schema_steps();
};
// Settings, and the tables, which are made or brought up to date. Errors: rejected, a newer
// version's, or there are none and none are to be made.
Task<Result<void>> set_up(QueryFlow& flow, const Setup& setup);

}  // namespace websession::postgres
