// The databases that a program's session tests run on. Each program has a file that lists its own.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "websession/clock.hpp"
#include "websession/session_store.hpp"

namespace websession::testing {

// A database of its own; each store that is opened is on it.
class SqlBackend {
 public:
  virtual ~SqlBackend() = default;
  // `clock`: null, the machine's.
  virtual std::shared_ptr<SessionStore> open(std::shared_ptr<const Clock> clock) = 0;
};

struct NamedSqlBackend {
  std::string name;
  // Null: it is not installed here.
  std::function<std::unique_ptr<SqlBackend>()> make;
};
std::vector<NamedSqlBackend> sql_backends();

}  // namespace websession::testing
