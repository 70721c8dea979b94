#include "websession/async/op.hpp"

#include <condition_variable>
#include <mutex>

#include "async/operation.hpp"

namespace websession::internal {

struct Signal::State {
  std::mutex mutex;
  std::condition_variable given_now;
  bool given = false;
};

Signal::Signal() : state_(std::make_shared<State>()) {}

void Signal::give() const noexcept {
  const std::lock_guard lock(state_->mutex);
  state_->given = true;
  state_->given_now.notify_all();
}

void Signal::wait() const {
  std::unique_lock lock(state_->mutex);
  state_->given_now.wait(lock, [this] { return state_->given; });
}

AsyncHome::AsyncHome(const std::shared_ptr<AsyncSessionStore>& its_store)
    : store(its_store), loops(its_store->reactors().begin(), its_store->reactors().end()) {}

AsyncHome::Loop AsyncHome::loop() const noexcept {
  Loop first;
  for (std::size_t i = 0; i < loops.size(); ++i) {
    std::shared_ptr<Reactor> reactor = loops[i].lock();
    if (reactor == nullptr) continue;
    if (reactor->here()) return {std::move(reactor), i, true};
    if (first.reactor == nullptr) first = {std::move(reactor), i, false};
  }
  return first;
}

}  // namespace websession::internal
