// Writes of many callers. All that wait at a moment share one transaction: what takes time is the
// disk, and so it is asked once for all of them. Whoever comes first does the work; there is no
// thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

#include "connection.hpp"
#include "row_verbs.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"

namespace websession::sqlite {

// Safe to call from many threads at once.
class WriteQueue {
 public:
  // Does what it can in the transaction, which ends without effect if one of its statements fails.
  // It may be called again, when the work of another one has failed.
  using Work = std::function<void(Transaction&)>;

  WriteQueue(std::unique_ptr<Connection> connection, std::size_t pending_max,
             std::shared_ptr<const Clock> clock);

  // Does the work. Success: what it did is committed. What it throws comes out here.
  Result<void> run(const Work& work, SteadyTime deadline);
  // Of the file's log, after the last one.
  [[nodiscard]] int log_pages() const noexcept { return connection_->log_pages(); }

 private:
  struct Job;

  void lead(std::unique_lock<std::mutex>& lock);
  void execute(std::span<Job* const> jobs);
  void do_work(std::span<Job* const> jobs);
  void pass_on();

  const std::unique_ptr<Connection> connection_;  // the leader's
  const std::size_t pending_max_;
  const std::shared_ptr<const Clock> clock_;
  std::mutex mutex_;
  std::deque<Job*> waiting_;  // those that run first
  std::size_t running_ = 0;
  bool has_leader_ = false;
};

}  // namespace websession::sqlite
