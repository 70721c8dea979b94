#include "write_queue.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace websession::sqlite {
namespace {

// So many share a transaction: others are not kept waiting longer than that takes.
constexpr std::size_t together_max = 64;
// More than the one that each adds, so that expired ones do not pile up.
constexpr std::size_t removed_for_each = 2;

Error timeout_error() {
  return make_error(Errc::timeout, "SQLite: other calls kept the file until the deadline");
}

Error overloaded_error() {
  return make_error(Errc::overloaded,
                    "SQLite: too many calls wait for the disk (SqliteOptions::pending_max)");
}

// A commit that failed for want of a lock or of room has written no end of the transaction. After
// any other failure it may stand in the log, and a crash now would bring it back.
bool may_stand(int code) {
  const int primary = code & 0xff;
  return primary != SQLITE_BUSY && primary != SQLITE_FULL;
}

}  // namespace

struct WriteQueue::Job {
  enum class State { waiting, running, done };

  const Work& work;
  SteadyTime deadline;
  State state = State::waiting;  // changes under the lock only
  // The leader's, while it is running.
  Result<void> result{};
  std::exception_ptr thrown{};
  bool goes_on_waiting = false;
  bool is_finished = false;  // the result is there
  std::condition_variable changed{};
};

WriteQueue::WriteQueue(std::unique_ptr<Connection> connection, std::size_t pending_max,
                       std::shared_ptr<const Clock> clock)
    : connection_(std::move(connection)), pending_max_(pending_max), clock_(std::move(clock)) {}

Result<void> WriteQueue::run(const Work& work, SteadyTime deadline) {
  Job job{work, deadline};
  std::unique_lock lock(mutex_);
  if (waiting_.size() - running_ >= pending_max_) return overloaded_error();
  waiting_.push_back(&job);
  while (job.state != Job::State::done) {
    if (job.state == Job::State::running) {
      job.changed.wait(lock);
    } else if (std::chrono::steady_clock::now() >= deadline) {
      waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &job));
      pass_on();  // the leadership may have come to this one just now
      return timeout_error();
    } else if (!has_leader_) {
      lead(lock);
    } else {
      job.changed.wait_until(lock, deadline);
    }
  }
  if (job.thrown) std::rethrow_exception(job.thrown);
  return std::move(job.result);
}

// Wakes the next leader, if there has to be one.
void WriteQueue::pass_on() {
  if (!has_leader_ && !waiting_.empty()) waiting_.front()->changed.notify_one();
}

void WriteQueue::lead(std::unique_lock<std::mutex>& lock) {
  has_leader_ = true;
  running_ = std::min(together_max, waiting_.size());
  std::array<Job*, together_max> places{};
  const std::span<Job*> jobs(places.data(), running_);
  std::copy_n(waiting_.begin(), jobs.size(), jobs.begin());
  for (Job* job : jobs) job->state = Job::State::running;
  lock.unlock();
  try {
    execute(jobs);
  } catch (...) {
    // There is no memory for an error.
    connection_->roll_back();
    for (Job* job : jobs) {
      if (!job->is_finished) job->thrown = std::current_exception();
    }
  }
  lock.lock();
  has_leader_ = false;
  running_ = 0;
  // They have kept their places: those for whom it was too early for an answer come first again.
  const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(jobs.size());
  waiting_.erase(
      std::remove_if(waiting_.begin(), end, [](const Job* job) { return !job->goes_on_waiting; }),
      end);
  for (Job* job : jobs) {
    const bool goes_on = std::exchange(job->goes_on_waiting, false);
    if (goes_on) job->is_finished = false;
    job->state = goes_on ? Job::State::waiting : Job::State::done;
    job->changed.notify_one();  // under the lock: afterwards it may be gone
  }
  pass_on();
}

void WriteQueue::execute(std::span<Job* const> jobs) {
  const auto earliest = std::min_element(jobs.begin(), jobs.end(), [](const Job* a, const Job* b) {
    return a->deadline < b->deadline;
  });
  connection_->set_deadline((*earliest)->deadline);
  const auto finish = [&jobs](const Error& error) {
    for (Job* job : jobs) {
      job->result = error;
      job->is_finished = true;
    }
  };
  connection_->roll_back();  // one that could not be rolled back when it failed
  connection_->forget_failure();
  if (const Result<void> begun = Statement(*connection_, Sql::begin_write).run(); !begun) {
    finish(begun.error());
    if (begun.error().code != Errc::timeout) return;
    const SteadyTime now = std::chrono::steady_clock::now();
    for (Job* job : jobs) job->goes_on_waiting = job->deadline > now;
    return;
  }
  do_work(jobs);
  if (const std::optional<Error> failure = connection_->failure()) {
    connection_->roll_back();
    if (jobs.size() == 1) return finish(*failure);
    // One of them is to blame. Whoever has no time left for that has done nothing.
    for (Job* const& job : jobs) {
      const std::span alone(&job, 1);
      if (std::chrono::steady_clock::now() < job->deadline) {
        execute(alone);
      } else {
        job->result = timeout_error();
        job->is_finished = true;
      }
    }
    return;
  }
  if (const Result<void> committed = Statement(*connection_, Sql::commit).run(); !committed) {
    Error error = committed.error();
    error.maybe_applied = may_stand(connection_->last_code());
    connection_->roll_back();
    return finish(error);
  }
  for (Job* job : jobs) job->is_finished = true;
}

// Goes on until a statement fails.
void WriteQueue::do_work(std::span<Job* const> jobs) {
  Transaction transaction{*connection_, clock_->wall()};
  for (Job* job : jobs) {
    job->result = {};
    job->thrown = nullptr;
    try {
      job->work(transaction);
    } catch (...) {
      job->thrown = std::current_exception();
      connection_->fail(make_error(Errc::overloaded, "out of memory"));
    }
    if (connection_->failure()) return;
  }
  if (transaction.inserted == 0) return;
  static_cast<void>(drop_expired(transaction, transaction.inserted * removed_for_each));
}

}  // namespace websession::sqlite
