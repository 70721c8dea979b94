// A host's event loop, as the library needs it: a few functions, which are easily made of any
// framework's. websession brings one of its own (epoll_reactor.hpp).
#pragma once

#include <memory>

#include "websession/async/callback.hpp"
#include "websession/clock.hpp"
#include "websession/config.hpp"
#include "websession/result.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// Tells when something can be read from a descriptor, or written to it; level-triggered. Destroying
// it stops that at once, also within its own callback. It never closes the descriptor, which must
// stay open for as long as this lives.
class Watch {
 public:
  Watch() = default;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  virtual ~Watch() = default;
  // What to tell, from Reactor::Interest. `none`: nothing, however much there is to read, and not
  // even that the peer has gone.
  virtual void want(unsigned interest) = 0;
};

// Fires once each time that it was armed. Destroying it stops that at once, also within its own
// callback.
class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  virtual ~Timer() = default;
  // In place of what it was armed for. A time that has passed fires soon, never inside of this.
  virtual void arm(SteadyTime at) = 0;
  virtual void disarm() = 0;
};

// For those who make one of another framework's loop.
//
// One thread at a time runs the loop and what it calls: all callbacks, watch(), timer(), and what
// they give. (A pool of threads that run one loop needs a strand.) Callbacks are never called
// inside of the function that they were given to, and do not throw.
//
// A loop that ends destroys what it was given and has not called.
class Reactor {
 public:
  enum Interest : unsigned { none = 0, readable = 1, writable = 2 };

  Reactor() = default;
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;
  virtual ~Reactor() = default;

  // At most one for a descriptor at a time, which wants nothing at first. `ready(events)`: what can
  // be done, of what is wanted. That the peer has closed, and errors, are both: whoever tries finds
  // out. Error: unavailable, the system has no room for it.
  virtual Result<std::unique_ptr<Watch>> watch(int fd, Callback<void(unsigned)> ready) = 0;
  virtual std::unique_ptr<Timer> timer(Callback<void()> fired) = 0;

  // Calls the function soon, in the order of the calls. From any thread, at any time.
  virtual void post(Callback<void()> function) = 0;
  // Whether the loop is running this very code. From any thread.
  [[nodiscard]] virtual bool here() const noexcept = 0;
  // The time that its timers go by. From any thread.
  [[nodiscard]] virtual SteadyTime now() const noexcept { return std::chrono::steady_clock::now(); }
};

}  // namespace websession
WEBSESSION_API_END
