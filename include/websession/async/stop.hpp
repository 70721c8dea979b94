// How an operation is told that nobody waits for it any more.
//
//   StopSource browser;                                      // one a request
//   manager.open(request).stop_on(browser.token()).start(…);
//   …
//   browser.request_stop();                                  // the browser has hung up
#pragma once

#include <memory>
#include <utility>
#include <version>

#if defined(__cpp_lib_jthread)
#include <stop_token>
#endif

#include "websession/async/callback.hpp"
#include "websession/config.hpp"

WEBSESSION_API_BEGIN
namespace websession {

namespace internal {
class StopState;
}

// As std::stop_token, which not every standard library has without a flag. Where there is one, it
// converts to this.
//
// Cheap to copy. Safe to use from many threads at once.
class StopToken {
 public:
  // Never stops anything.
  StopToken() noexcept = default;
#if defined(__cpp_lib_jthread)
  // NOLINTNEXTLINE(google-explicit-constructor): the same in other words
  StopToken(std::stop_token token) : StopToken(bridge(std::move(token))) {}
#endif

  [[nodiscard]] bool stop_requested() const noexcept;
  [[nodiscard]] bool stop_possible() const noexcept { return state_ != nullptr; }

 private:
  friend class StopSource;
  friend class StopCallback;
  explicit StopToken(std::shared_ptr<internal::StopState> state) noexcept
      : state_(std::move(state)) {}
  static std::shared_ptr<internal::StopState> make_state();
  static void request(internal::StopState& state) noexcept;
  static void hold(internal::StopState& state, std::shared_ptr<void> held);

#if defined(__cpp_lib_jthread)
  static StopToken bridge(std::stop_token token) {
    if (!token.stop_possible()) return {};
    const auto stop = [](internal::StopState* state) { return [state] { request(*state); }; };
    using Registration = std::stop_callback<decltype(stop(nullptr))>;
    std::shared_ptr<internal::StopState> state = make_state();
    hold(*state, std::make_shared<Registration>(std::move(token), stop(state.get())));
    return StopToken(std::move(state));
  }
#endif

  std::shared_ptr<internal::StopState> state_;
};

// Safe to use from many threads at once.
class StopSource {
 public:
  StopSource() : token_(StopToken::make_state()) {}
  // There is none without a state: it copies where it is moved.
  StopSource(const StopSource&) = default;
  StopSource& operator=(const StopSource&) = default;
  ~StopSource() = default;
  [[nodiscard]] StopToken token() const noexcept { return token_; }
  // Once; from then on nothing happens. The callbacks that wait for it run now, on this thread.
  void request_stop() const noexcept { StopToken::request(*token_.state_); }

 private:
  StopToken token_;
};

// As std::stop_callback: calls `stopped` once when a stop is requested, on the thread that requests
// it, and at once when that has been done. It must not throw. After the destructor has returned it
// does not run any more, nor does it still (unless it is what destroys this).
class StopCallback {
 public:
  StopCallback(const StopToken& token, Callback<void()> stopped);
  StopCallback(const StopCallback&) = delete;
  StopCallback& operator=(const StopCallback&) = delete;
  ~StopCallback();

 private:
  friend class internal::StopState;
  std::shared_ptr<internal::StopState> state_;
  Callback<void()> stopped_;
  // Among those that wait.
  StopCallback* previous_ = nullptr;
  StopCallback* next_ = nullptr;
};

}  // namespace websession
WEBSESSION_API_END
