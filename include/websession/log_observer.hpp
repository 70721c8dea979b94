// An observer that writes lines: for a start, and so that a 503 is no riddle.
#pragma once

#include <iosfwd>
#include <memory>

#include "websession/clock.hpp"
#include "websession/config.hpp"
#include "websession/observer.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// Writes one line for each failed call of the store, each event that somebody should look at (what
// the program asked for and did not get is one), and each warning about the set-up:
//
//   websession: load failed: unavailable: Redis at 127.0.0.1:6379: Connection refused
//   websession: refused: invalid argument: attribute "@x": names that start with '@' are…
//   websession: unreadable [r3Xk0a9-QbTe] (and 41 more since the last such line)
//
// A line of one kind (the verb and the error, or the event) is written at most every 10 seconds, so
// a store that is away fills no disk; the next one says how many were left out. What is in brackets
// is the session's label (Observer::label). No line holds an id, a cookie, a value or a control
// byte. No time: whoever collects stderr adds one.
//
// Safe to use from many threads at once. One line at a time is written, under a lock.
class LogObserver final : public Observer {
 public:
  enum class Level {
    problems,  // failed calls of the store, and events that are no part of a session's usual life
    all,       // every event, without a limit: to watch what one's own requests do
  };

  // To stderr.
  explicit LogObserver(Level level = Level::problems);
  // The stream must live as long, and be used by nobody else meanwhile.
  explicit LogObserver(std::ostream& out, Level level = Level::problems,
                       std::shared_ptr<const Clock> clock = system_clock());
  ~LogObserver() override;

 protected:
  void on_session(const SessionEvent& event) override;
  void on_store_call(const StoreCall& call) override;
  void on_warning(const Warning& warning) override;

 private:
  struct Lines;
  std::unique_ptr<Lines> lines_;
};

}  // namespace websession
WEBSESSION_API_END
