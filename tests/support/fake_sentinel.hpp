// What is taken for a Sentinel: says what a test wants, to whoever asks.
#pragma once

#include <atomic>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "reserved_port.hpp"
#include "socket.hpp"

namespace websession::testing {

// In a thread of its own, as long as it lives. Safe to call from many threads at once.
class FakeSentinel {
 public:
  // `answer`: what to say to a whole question. Nothing: not a word.
  explicit FakeSentinel(std::string answer);
  ~FakeSentinel();
  FakeSentinel(const FakeSentinel&) = delete;
  FakeSentinel& operator=(const FakeSentinel&) = delete;

  [[nodiscard]] int port() const noexcept { return port_; }
  [[nodiscard]] std::string place() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] int asked() const noexcept { return asked_; }  // whole questions
  void answer_with(std::string answer);
  // Says this to all who are connected.
  void tell(const std::string& bytes);
  // Nobody is there any more.
  void end();

  // An honest answer.
  static std::string names(int port);
  // The message that it has moved.
  static std::string moved();

 private:
  struct Client {
    redis::Descriptor socket;
    std::string heard{};
  };
  void run();
  void hear(Client& client);

  int port_ = 0;
  redis::Descriptor listener_;
  redis::Descriptor wake_;
  std::mutex mutex_;
  std::string answer_;
  std::list<Client> clients_{};
  std::atomic<bool> is_over_ = false;
  std::atomic<int> asked_ = 0;
  std::thread thread_;
};

}  // namespace websession::testing
