// Threads that still serve requests when main returns, and that a static object joins.
#pragma once

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "websession/session_manager.hpp"

namespace websession::testing {

// Make one of static storage duration, which is there before main begins: it ends late.
class WorkersAtExit {
 public:
  WorkersAtExit() = default;
  WorkersAtExit(const WorkersAtExit&) = delete;
  WorkersAtExit& operator=(const WorkersAtExit&) = delete;
  ~WorkersAtExit() {
    const int until = served_ + further_requests;
    while (!threads_.empty() && served_ < until) std::this_thread::yield();
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

  // Serves visitors, and ends the process as if main returned 0 meanwhile. A request that fails
  // ends it at once with 3.
  [[noreturn]] void serve_and_exit(const SessionManager& manager) {
    for (int i = 0; i < 4; ++i) {
      threads_.emplace_back([this, manager] {
        while (!stop_) serve(manager);
      });
    }
    while (served_ < 20) std::this_thread::yield();
    std::exit(0);  // NOLINT(concurrency-mt-unsafe): the point of the test
  }

 private:
  // More than one thread has random bytes for.
  static constexpr int further_requests = 1000;

  [[noreturn]] static void fail(const std::string& what) {
    std::fputs(what.c_str(), stderr);
    std::_Exit(3);
  }

  void serve(const SessionManager& manager) {
    Result<Session> session = manager.open({});
    if (!session) fail(session.error().message());
    session->set("name", "Ada");
    const Result<Commit> stored = manager.commit(*session);
    if (!stored) fail(stored.error().message());
    const std::string& header = stored->headers.front().value;
    const Result<Session> again = manager.open({header.substr(0, header.find(';')), false});
    if (!again || again->value("name", "") != "Ada") fail("the session is not there");
    ++served_;
  }

  std::atomic<bool> stop_ = false;
  std::atomic<int> served_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace websession::testing
