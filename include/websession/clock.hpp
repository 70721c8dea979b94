// Time, as the library sees it. Tests pass a clock of their own (testing/manual_clock.hpp).
#pragma once

#include <chrono>
#include <memory>

#include "websession/config.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// Unix time in milliseconds: what `@created` and attribute deadlines are kept in.
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;
using SteadyTime = std::chrono::steady_clock::time_point;

// Safe to call from many threads at once.
//
// Servers that share a store compare each other's wall times, so their clocks should agree to
// within a second or two (NTP): a server that runs ahead by d sees attribute deadlines and the
// absolute timeout d too early. Idle expiry does not depend on it: a record's time to live is
// relative and counted by the store.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual WallTime wall() const noexcept = 0;
  [[nodiscard]] virtual SteadyTime steady() const noexcept = 0;
};

// The machine's clock.
std::shared_ptr<const Clock> system_clock();

}  // namespace websession
WEBSESSION_API_END
