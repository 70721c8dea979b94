// A host's coroutine: runs at once, and can be destroyed where it waits.
#pragma once

#include <coroutine>
#include <exception>

namespace websession::testing {

// Whoever has it destroys it.
struct Handler {
  struct promise_type {
    Handler get_return_object() {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    static std::suspend_never initial_suspend() noexcept { return {}; }
    static std::suspend_always final_suspend() noexcept { return {}; }
    static void return_void() noexcept {}
    static void unhandled_exception() noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

}  // namespace websession::testing
