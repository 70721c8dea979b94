// Many threads at once on one store, each call checked.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "session_history.hpp"

namespace websession::testing {

// Each thread has sessions of its own, and shares others with some of the rest.
class Crowd {
 public:
  static constexpr std::size_t threads_default = 64;

  // The store must work when the crowd starts.
  Crowd(SessionStore& store, Tally& tally, std::uint64_t seed,
        std::size_t threads = threads_default) {
    for (std::size_t i = 0; i < shared_sessions; ++i) {
      shared_.push_back(
          std::make_unique<SharedSession>(store, tally, "shared" + std::to_string(i)));
      if (!shared_.back()->create()) tally.fail("a shared session could not be created");
    }
    for (std::size_t i = 0; i < threads; ++i) {
      owned_.push_back(
          std::make_unique<OwnedSessions>(store, tally, "thread" + std::to_string(i), seed + i));
    }
    for (std::size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this, i, seed] { work(i, seed); });
    }
  }
  ~Crowd() { stop(); }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  void stop() {
    done_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  // To be called when no fault is left: checks that every session is what it must be.
  void settle() {
    stop();
    for (const auto& owned : owned_) owned->settle();
    for (const auto& shared : shared_) shared->settle();
  }

 private:
  static constexpr std::size_t shared_sessions = 8;

  void work(std::size_t i, std::uint64_t seed) {
    std::mt19937_64 engine(~seed - i);
    while (!done_) {
      if (engine() % 4 == 0) {
        shared_[i % shared_sessions]->step(engine());
      } else {
        owned_[i]->step();
      }
    }
  }

  std::vector<std::unique_ptr<SharedSession>> shared_;
  std::vector<std::unique_ptr<OwnedSessions>> owned_;
  std::vector<std::thread> threads_;
  std::atomic<bool> done_ = false;
};

}  // namespace websession::testing
