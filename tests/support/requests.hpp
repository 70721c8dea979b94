// Requests of one visitor, one after the other and many at once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <latch>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "websession/session_manager.hpp"

namespace websession::testing {

// The id of a new session that holds nothing.
inline SessionId store_session(const SessionManager& manager) {
  return *manager.create().value().id();
}

// The session as a request loads it.
inline Session load_session(const SessionManager& manager, const SessionId& id) {
  return std::move(*manager.find(id).value());
}

// The session of a request with this Cookie header, over plain http.
inline Session open_session(const SessionManager& manager, const std::string& cookie = "") {
  return manager.open({cookie, false}).value();
}

// What a browser sends back: `name=value` of the Set-Cookie that comes first.
inline std::string cookie_of(const Commit& commit) {
  const std::string& header = commit.headers.at(0).value;
  return header.substr(0, header.find(';'));
}

inline bool sends_cookie(const Commit& commit) {
  return std::any_of(commit.headers.begin(), commit.headers.end(),
                     [](const Header& header) { return header.name == "Set-Cookie"; });
}

// Runs work(i) on so many threads. `before(i)` runs on them first, and none goes on before all have
// done it: for loads that must not see what the others write.
template <class Before, class Work>
void at_once(std::size_t threads, Before before, Work work) {
  std::latch ready(static_cast<std::ptrdiff_t>(threads));
  std::vector<std::thread> running;
  for (std::size_t i = 0; i < threads; ++i) {
    running.emplace_back([&, i] {
      auto prepared = before(i);
      ready.arrive_and_wait();
      work(i, prepared);
    });
  }
  for (std::thread& thread : running) thread.join();
}

}  // namespace websession::testing
