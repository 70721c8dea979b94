#include "websession/async/stop.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace websession {

class internal::StopState : public std::enable_shared_from_this<StopState> {
 public:
  [[nodiscard]] bool is_requested() const noexcept {
    const std::lock_guard lock(mutex_);
    return requested_;
  }

  void request() noexcept {
    // A callback may destroy the last that has it. (It is on its way out already when a standard
    // token requests it so late: then nobody waits for it.)
    const std::shared_ptr<StopState> keep = weak_from_this().lock();
    if (keep == nullptr) return;
    std::unique_lock lock(mutex_);
    if (std::exchange(requested_, true)) return;
    by_ = std::this_thread::get_id();
    while (first_ != nullptr) {
      running_ = first_;
      unlink(*first_);
      Callback<void()> stopped = std::move(running_->stopped_);
      lock.unlock();
      stopped();
      lock.lock();
      running_ = nullptr;
      over_.notify_all();
    }
  }

  // False: a stop was requested already.
  bool add(StopCallback& callback) noexcept {
    const std::lock_guard lock(mutex_);
    if (requested_) return false;
    callback.next_ = first_;
    if (first_ != nullptr) first_->previous_ = &callback;
    first_ = &callback;
    return true;
  }

  void remove(StopCallback& callback) noexcept {
    std::unique_lock lock(mutex_);
    if (first_ == &callback || callback.previous_ != nullptr) unlink(callback);
    if (by_ == std::this_thread::get_id()) return;  // inside of it, perhaps
    over_.wait(lock, [&] { return running_ != &callback; });
  }

  void hold(std::shared_ptr<void> held) {
    const std::lock_guard lock(mutex_);
    held_ = std::move(held);
  }

 private:
  void unlink(StopCallback& callback) noexcept {
    StopCallback* const next = std::exchange(callback.next_, nullptr);
    StopCallback* const previous = std::exchange(callback.previous_, nullptr);
    (previous != nullptr ? previous->next_ : first_) = next;
    if (next != nullptr) next->previous_ = previous;
  }

  mutable std::mutex mutex_;
  std::condition_variable over_;
  bool requested_ = false;
  std::thread::id by_{};
  StopCallback* first_ = nullptr;  // of those that wait
  StopCallback* running_ = nullptr;
  std::shared_ptr<void> held_;
};

bool StopToken::stop_requested() const noexcept { return state_ && state_->is_requested(); }
std::shared_ptr<internal::StopState> StopToken::make_state() {
  return std::make_shared<internal::StopState>();
}
void StopToken::request(internal::StopState& state) noexcept { state.request(); }
void StopToken::hold(internal::StopState& state, std::shared_ptr<void> held) {
  state.hold(std::move(held));
}

StopCallback::StopCallback(const StopToken& token, Callback<void()> stopped)
    : state_(token.state_), stopped_(std::move(stopped)) {
  if (state_ == nullptr) return;
  if (state_->add(*this)) return;
  state_.reset();
  stopped_();
}

StopCallback::~StopCallback() {
  if (state_ != nullptr) state_->remove(*this);
}

}  // namespace websession
