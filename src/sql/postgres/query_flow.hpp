// How the verbs of the store ask PostgreSQL, whoever sends the queries; and what is asked again.
#pragma once

#include "query.hpp"
#include "task.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"

namespace websession::postgres {

using internal::Task;

// Whoever sends a query, once, on whichever connection is free. True: the answer is there
// (Answer::put); false: it comes later (Answer::give). The query stays until then.
class QueryDriver {
 public:
  QueryDriver() = default;
  QueryDriver(const QueryDriver&) = delete;
  QueryDriver& operator=(const QueryDriver&) = delete;
  // Errors: unavailable, timeout, overloaded, rejected, canceled. A refusal is among the rows.
  virtual bool run(const Query& query, internal::Answer<Result<Rows>>& answer) = 0;

 protected:
  ~QueryDriver() = default;
};

// The queries of one verb.
class QueryFlow final : public internal::Flow {
 public:
  // `clock`: null, the database's time counts everywhere.
  QueryFlow(internal::Arena& arena, QueryDriver& driver, const Clock* clock = nullptr) noexcept
      : Flow(arena), driver_(driver), clock_(clock) {}
  auto run(const Query& query) {
    const auto start = [this, &query](internal::Answer<Result<Rows>>& answer) {
      return driver_.run(query, answer);
    };
    return internal::Ask<Result<Rows>, decltype(start)>(start);
  }
  auto run(Query&&) = delete;
  // What the deadlines of attributes are compared with, when it is so late in the database.
  [[nodiscard]] WallTime now(WallTime in_database) const {
    return clock_ != nullptr ? clock_->wall() : in_database;
  }

 private:
  QueryDriver& driver_;
  const Clock* const clock_;
};

// Asks until nobody is in the way. A unique violation is among the rows, any other refusal is an
// error.
Task<Result<Rows>> execute(QueryFlow& flow, const Query& query);

}  // namespace websession::postgres
