// Waiting for what servers do among themselves.
#pragma once

#include <chrono>
#include <csignal>
#include <stdexcept>
#include <thread>

namespace websession::testing {

// Until it is so; what it throws, as servers come and go, means not yet. A Redis that becomes a
// replica hangs up on everybody, and hiredis knows nothing of SIGPIPE.
template <class IsSo>
void wait_for(const char* what, const IsSo& is_so) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  const auto tried = [&] {
    try {
      return is_so();
    } catch (const std::runtime_error&) {
      return false;
    }
  };
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  bool done = false;
  while (!(done = tried()) && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  std::signal(SIGPIPE, before);
  if (!done) throw std::runtime_error(what);
}

}  // namespace websession::testing
