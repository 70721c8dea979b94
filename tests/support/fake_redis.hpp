// A server without a socket: answers as a test says, counts the I/O, and breaks on demand.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transport.hpp"

namespace websession::testing {

class FakeRedis final : public redis::Connector, public std::enable_shared_from_this<FakeRedis> {
 public:
  // From what was written at once to what is answered. It may be called with half a command, or
  // several. Each connection has a copy of its own, so half a command that one kept is never put
  // together with what another one brings.
  using Answer = std::function<std::string(std::string_view)>;

  explicit FakeRedis(Answer answer) : answer_(std::move(answer)) {}

  Result<std::unique_ptr<redis::Transport>> connect(SteadyTime deadline) override {
    std::unique_lock lock(mutex_);
    ++connects;
    if (refuse_connects) return make_error(Errc::unavailable, "refused");
    if (silent_connects) {
      changed_.wait_until(lock, deadline, [] { return false; });
      return make_error(Errc::timeout, "silent");
    }
    return std::unique_ptr<redis::Transport>(new Fake(shared_from_this(), closed_generation_));
  }

  // The test's side. What is counted includes the login of a connection: one write and one read.
  int connects = 0;
  int writes = 0;
  int reads = 0;
  bool refuse_connects = false;
  bool silent_connects = false;
  bool silent = false;                            // takes commands, and answers nothing
  bool full = false;                              // takes no bytes at all
  std::optional<std::size_t> write_at_most;       // bytes a call
  std::size_t read_at_most = 1 << 20;             // bytes a call
  std::string hangs_up_on;                        // bytes at which it ends the connection
  std::optional<std::size_t> write_breaks_after;  // bytes; then the connection is lost
  std::optional<std::size_t> read_breaks_after;

  // Sends something on all connections, or closes them.
  void send(const std::string& bytes) {
    const std::lock_guard lock(mutex_);
    for (Fake* connection : connections_) connection->inbox += bytes;
    changed_.notify_all();
  }
  void close_all() {
    const std::lock_guard lock(mutex_);
    ++closed_generation_;
    for (Fake* connection : connections_) connection->inbox.clear();
    changed_.notify_all();
  }
  // How often a connection was tried.
  int connects_so_far() {
    const std::lock_guard lock(mutex_);
    return connects;
  }

 private:
  class Fake final : public redis::Transport {
   public:
    // With the server's mutex held.
    Fake(std::shared_ptr<FakeRedis> server, int generation)
        : server_(std::move(server)), generation_(generation) {
      answer_ = server_->answer_;
      server_->connections_.push_back(this);
      descriptor_ = ++server_->descriptors_;
    }
    Fake(const Fake&) = delete;
    Fake& operator=(const Fake&) = delete;
    ~Fake() override {
      const std::lock_guard lock(server_->mutex_);
      std::erase(server_->connections_, this);
    }

    std::string inbox;  // guarded by the server's mutex

    Result<std::size_t> write_some(std::string_view bytes, SteadyTime) override {
      const std::lock_guard lock(server_->mutex_);
      FakeRedis& s = *server_;
      ++s.writes;
      if (ended()) return lost();
      if (s.full) return make_error(Errc::timeout, "full");
      std::size_t size = std::min(bytes.size(), s.write_at_most.value_or(bytes.size()));
      if (s.write_breaks_after) {
        size = std::min(size, *s.write_breaks_after);
        *s.write_breaks_after -= size;
        if (size == 0) return lost();
      }
      if (!s.hangs_up_on.empty() && bytes.find(s.hangs_up_on) != std::string_view::npos) {
        ++s.closed_generation_;
        return size;
      }
      if (!s.silent) inbox += answer_(bytes.substr(0, size));
      s.changed_.notify_all();
      return size;
    }

    Result<std::size_t> read_some(std::span<char> buffer, SteadyTime deadline) override {
      std::unique_lock lock(server_->mutex_);
      FakeRedis& s = *server_;
      const bool ready = s.changed_.wait_until(
          lock, deadline, [&] { return !inbox.empty() || ended() || s.read_breaks_after == 0U; });
      if (!ready) return make_error(Errc::timeout, "late");
      ++s.reads;
      if (ended() || s.read_breaks_after == 0U) return lost();
      std::size_t size = std::min({buffer.size(), inbox.size(), s.read_at_most});
      if (s.read_breaks_after) {
        size = std::min(size, *s.read_breaks_after);
        *s.read_breaks_after -= size;
      }
      std::copy_n(inbox.begin(), size, buffer.begin());
      inbox.erase(0, size);
      return size;
    }

    Result<std::size_t> read_ready(std::span<char> buffer) override {
      {
        const std::lock_guard lock(server_->mutex_);
        if (inbox.empty() && !ended() && server_->read_breaks_after != 0U) {
          return std::size_t{0};
        }
      }
      return read_some(buffer, SteadyTime::max());
    }

    [[nodiscard]] bool is_stale() const noexcept override {
      const std::lock_guard lock(server_->mutex_);
      return ended() || !inbox.empty();
    }
    [[nodiscard]] bool has_ended() const noexcept override {
      const std::lock_guard lock(server_->mutex_);
      return ended();
    }
    [[nodiscard]] int descriptor() const noexcept override { return descriptor_; }
    void shut_down() noexcept override {
      const std::lock_guard lock(server_->mutex_);
      shut_down_ = true;
      inbox.clear();
      server_->changed_.notify_all();
    }
    void disown() noexcept override {}

   private:
    [[nodiscard]] bool ended() const {
      return shut_down_ || generation_ != server_->closed_generation_;
    }
    static Error lost() { return make_error(Errc::unavailable, "the fake connection was lost"); }

    std::shared_ptr<FakeRedis> server_;
    Answer answer_;
    int generation_;
    int descriptor_ = -1;  // for a loop that is a fake, too
    bool shut_down_ = false;
  };

  Answer answer_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Fake*> connections_;
  int closed_generation_ = 0;
  int descriptors_ = 1000;
};

}  // namespace websession::testing
