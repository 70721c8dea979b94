// One connection on an event loop: it is made, set up, and carries one query after the other.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "async/root_task.hpp"
#include "blocking_flow.hpp"
#include "connection.hpp"
#include "event/line.hpp"
#include "query_flow.hpp"
#include "schema.hpp"
#include "websession/async/reactor.hpp"

namespace websession::postgres {

// A descriptor of one's own.
class Duplicate {
 public:
  Duplicate() noexcept = default;
  explicit Duplicate(int fd) noexcept;
  Duplicate(Duplicate&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Duplicate& operator=(Duplicate&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Duplicate();
  // Negative: the system has none.
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_ = -1;
};

class Seat final : private internal::TaskOwner<Result<void>>,
                   private QueryDriver,
                   public std::enable_shared_from_this<Seat> {
 public:
  explicit Seat(Line& line);
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;
  ~Seat() = default;

  // Once, when it is in its shared_ptr: so long it may take to connect.
  void begin();
  // Once. The names are resolved.
  void connect(const ConnectionInfo& info);
  void cannot_connect(const Error& error);

  enum class State { connecting, setting_up, free, busy, ended };
  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] SteadyTime since() const noexcept { return since_; }

  // Precondition: free.
  void ask(Asked& asked);
  [[nodiscard]] Asked* asked() const noexcept { return asked_; }
  // Whether what it carries may have been applied.
  [[nodiscard]] bool may_have_applied() const noexcept {
    return connection_ && connection_->may_have_applied();
  }
  // Lets go of the connection, and tells nobody.
  void end() noexcept;

 private:
  bool run(const Query& query, internal::Answer<Result<Rows>>& answer) override;
  void finished(Result<void> result) noexcept override;
  std::shared_ptr<void> self() override { return shared_from_this(); }

  void ready();
  void start(const Query& query);
  bool watch();
  void go_on_connecting();
  void go_on();
  void fail(const Error& error);

  Line& line_;
  State state_ = State::connecting;
  const SteadyTime since_;
  std::unique_ptr<Connection> connection_{};
  // libpq closes its socket whenever it finds that the peer has, and a Watch must not live to see
  // it.
  Duplicate watched_{};
  std::unique_ptr<Watch> watch_{};  // goes before what it watches
  std::unique_ptr<Timer> timer_{};  // of connecting
  Asked* asked_ = nullptr;
  std::optional<Result<Rows>> came_{};  // an answer that was there at once
  internal::Answer<Result<Rows>>* setup_answer_ = nullptr;
  internal::FrameMemory memory_;  // not filled with zeros
  QueryFlow flow_;
  struct Making {
    const Seat& seat;
    Task<Result<void>> operator()(QueryFlow& flow) const;
  } making_{*this};
  const Setup setup_;
  internal::RootTask<Result<void>> task_{*this};
};

}  // namespace websession::postgres
