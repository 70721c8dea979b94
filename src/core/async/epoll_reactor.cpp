#include "websession/async/epoll_reactor.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <system_error>
#include <unordered_set>
#include <utility>
#include <vector>

#include "system.hpp"
#include "websession/async/internal/loop_parts.hpp"

namespace websession {
namespace {

// A store that was destroyed is closed in one, and whoever waits is told in the next.
constexpr int rounds_at_end = 4;

Error no_room(const char* what) {
  const int error = errno;
  const bool is_full = error == EMFILE || error == ENFILE || error == ENOSPC || error == ENOMEM;
  return make_error(Errc::unavailable,
                    std::string(what) + ": " + std::generic_category().message(error) +
                        (is_full ? " (is there room for more descriptors?)" : ""));
}

}  // namespace

// Outlives the reactor for as long as there are watches and timers.
class EpollReactor::Impl : public std::enable_shared_from_this<Impl> {
 public:
  // What a Watch or a Timer has given to the loop. Of no use once that is gone; it is destroyed
  // when the round is over, as it may be what is being called.
  struct WatchNode {
    int fd = -1;
    unsigned interest = Reactor::none;
    Callback<void(unsigned)> ready{};
    bool alive = true;
  };
  struct TimerNode;
  using Timers = std::multimap<SteadyTime, TimerNode*>;
  struct TimerNode {
    Callback<void()> fired{};
    Timers::iterator place{};
    bool armed = false;
    bool due = false;
    bool alive = true;
  };

  Result<void> open() {
    if (!poller_.open()) return no_room("no event loop");
    return {};
  }

  // From now on nothing is called. In the midst of a round, what is left goes at its end.
  void close() {
    closing_ = true;
    if (!is_runner()) let_go();
  }
  // What nobody is to call any more goes, with all that it holds. What is posted later does so on
  // the thread that posts, and with it may go watches and timers: those leave the rest alone.
  void let_go() {
    if (closed_) return;
    std::vector<Callback<void()>> functions;
    std::vector<Callback<void(unsigned)>> watchers;
    watchers.reserve(watches_.size());
    functions.reserve(timers_.size());
    for (WatchNode* node : watches_) watchers.push_back(std::move(node->ready));
    for (TimerNode* node : timers_) functions.push_back(std::move(node->fired));
    watchers.clear();
    functions.clear();
    watches_.clear();
    timers_.clear();
    armed_.clear();
    closed_ = true;
    posted_.close();
  }

  [[nodiscard]] int descriptor() const noexcept { return poller_.descriptor(); }
  [[nodiscard]] bool is_runner() const noexcept {
    return runner_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }

  void post(Callback<void()> function) {
    if (posted_.add(std::move(function)) && !is_runner()) poller_.wake();
  }

  void run() {
    is_running_on_ = true;
    while (!stopped_.exchange(false) && !closing_) round(std::nullopt);
    is_running_on_ = false;
    if (!posted_.is_empty()) poller_.wake();  // for whoever runs it next
  }
  void stop() {
    stopped_ = true;
    poller_.wake();
  }

  void round(std::optional<std::chrono::milliseconds> at_most) {
    const std::thread::id outer = runner_.exchange(std::this_thread::get_id());
    constexpr std::chrono::milliseconds least{0};
    constexpr std::chrono::milliseconds most = std::chrono::hours(24);
    int timeout = at_most ? static_cast<int>(std::clamp(*at_most, least, most).count()) : -1;
    if (!posted_.is_empty()) timeout = 0;
    internal::Poller::Room room;
    for (const internal::Poller::Event& event : poller_.wait(timeout, room)) {
      if (closing_) break;
      handle(event);
    }
    posted_.call([this] { return !closing_; });
    bury();
    runner_ = outer;
    if (closing_ && outer == std::thread::id()) return let_go();
    if (!is_running_on_ && !posted_.is_empty()) poller_.wake();  // for the loop that this one is in
  }

  // On the loop.

  void add(WatchNode& node) {
    if (!closed_) watches_.insert(&node);
  }
  void remove(std::unique_ptr<WatchNode> node) {
    if (closed_) return;
    watches_.erase(node.get());
    if (node->interest != Reactor::none && owner_ == ::getpid()) {
      poller_.watch(node->fd, node->interest, Reactor::none, nullptr);
    }
    node->alive = false;
    if (is_runner()) dead_watches_.push_back(std::move(node));
  }
  // False: the system has no room for it.
  bool want(WatchNode& node, unsigned interest) {
    if (interest == node.interest || owner_ != ::getpid()) return true;
    if (!poller_.watch(node.fd, node.interest, interest, &node)) return false;
    node.interest = interest;
    return true;
  }

  void add(TimerNode& node) {
    if (!closed_) timers_.insert(&node);
  }
  void remove(std::unique_ptr<TimerNode> node) {
    if (closed_) return;
    disarm(*node);
    timers_.erase(node.get());
    node->alive = false;
    if (is_runner()) dead_timers_.push_back(std::move(node));
  }
  void arm(TimerNode& node, SteadyTime at) {
    if (closed_) return;
    disarm(node);
    node.place = armed_.emplace(at, &node);
    node.armed = true;
    if (node.place == armed_.begin()) poller_.set_time(at);
  }
  void disarm(TimerNode& node) {
    if (closed_) return;
    if (std::exchange(node.armed, false)) armed_.erase(node.place);
    node.due = false;
  }

 private:
  void handle(const internal::Poller::Event& event) {
    if (event.watched == nullptr) return fire();
    auto* const node = static_cast<WatchNode*>(event.watched);
    if (!node->alive) return;
    const unsigned ready = event.ready & node->interest;
    if (ready != 0) node->ready(ready);
  }
  void fire() {
    const SteadyTime now = std::chrono::steady_clock::now();
    // What is armed meanwhile for a time that has passed fires in the next round.
    std::vector<TimerNode*> due;
    while (!armed_.empty() && armed_.begin()->first <= now) {
      TimerNode* const node = armed_.begin()->second;
      disarm(*node);
      node->due = true;
      due.push_back(node);
    }
    for (TimerNode* const node : due) {
      if (node->alive && std::exchange(node->due, false) && !closing_) node->fired();
    }
    if (!armed_.empty()) poller_.set_time(armed_.begin()->first);
  }
  // What goes may hold others, which then go, too.
  void bury() {
    while (!dead_watches_.empty() || !dead_timers_.empty()) {
      const auto watches = std::exchange(dead_watches_, {});
      const auto timers = std::exchange(dead_timers_, {});
    }
  }

  internal::Poller poller_;
  const pid_t owner_ = ::getpid();
  std::atomic<std::thread::id> runner_{};
  std::atomic<bool> stopped_ = false;
  bool is_running_on_ = false;

  std::unordered_set<WatchNode*> watches_;
  std::unordered_set<TimerNode*> timers_;
  Timers armed_;
  std::vector<std::unique_ptr<WatchNode>> dead_watches_;
  std::vector<std::unique_ptr<TimerNode>> dead_timers_;

  internal::Posted posted_;
  std::atomic<bool> closing_ = false;
  std::atomic<bool> closed_ = false;
};

namespace {

template <class Impl>
class EpollWatch final : public Watch {
 public:
  EpollWatch(std::shared_ptr<Impl> impl, std::unique_ptr<typename Impl::WatchNode> node)
      : impl_(std::move(impl)), node_(std::move(node)) {
    impl_->add(*node_);
  }
  ~EpollWatch() override { impl_->remove(std::move(node_)); }
  void want(unsigned interest) override { static_cast<void>(impl_->want(*node_, interest)); }

 private:
  const std::shared_ptr<Impl> impl_;
  std::unique_ptr<typename Impl::WatchNode> node_;
};

template <class Impl>
class EpollTimer final : public Timer {
 public:
  EpollTimer(std::shared_ptr<Impl> impl, std::unique_ptr<typename Impl::TimerNode> node)
      : impl_(std::move(impl)), node_(std::move(node)) {
    impl_->add(*node_);
  }
  ~EpollTimer() override { impl_->remove(std::move(node_)); }
  void arm(SteadyTime at) override { impl_->arm(*node_, at); }
  void disarm() override { impl_->disarm(*node_); }

 private:
  const std::shared_ptr<Impl> impl_;
  std::unique_ptr<typename Impl::TimerNode> node_;
};

}  // namespace

Result<std::shared_ptr<EpollReactor>> EpollReactor::make() {
  auto impl = std::make_shared<Impl>();
  if (auto opened = impl->open(); !opened) return std::move(opened).error();
  return std::shared_ptr<EpollReactor>(new EpollReactor(std::move(impl)));
}

EpollReactor::EpollReactor(std::shared_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
EpollReactor::~EpollReactor() { impl_->close(); }

// What is called may destroy the reactor.
void EpollReactor::run() {
  const std::shared_ptr<Impl> keep = impl_;
  keep->run();
}
void EpollReactor::run_once(std::optional<std::chrono::milliseconds> at_most) {
  const std::shared_ptr<Impl> keep = impl_;
  keep->round(at_most);
}
void EpollReactor::end() { impl_->close(); }
void EpollReactor::stop() { impl_->stop(); }
int EpollReactor::descriptor() const noexcept { return impl_->descriptor(); }
void EpollReactor::post(Callback<void()> function) { impl_->post(std::move(function)); }
bool EpollReactor::here() const noexcept { return impl_->is_runner(); }

Result<std::unique_ptr<Watch>> EpollReactor::watch(int fd, Callback<void(unsigned)> ready) {
  auto node = std::make_unique<Impl::WatchNode>();
  node->fd = fd;
  node->ready = std::move(ready);
  // Whether the system has room for it, and takes such a descriptor, is found out now.
  if (!impl_->want(*node, writable) || !impl_->want(*node, none)) return no_room("no event");
  return std::unique_ptr<Watch>(std::make_unique<EpollWatch<Impl>>(impl_, std::move(node)));
}

std::unique_ptr<Timer> EpollReactor::timer(Callback<void()> fired) {
  auto node = std::make_unique<Impl::TimerNode>();
  node->fired = std::move(fired);
  return std::make_unique<EpollTimer<Impl>>(impl_, std::move(node));
}

Result<IoThread> IoThread::start() {
  auto reactor = EpollReactor::make();
  if (!reactor) return std::move(reactor).error();
  try {
    std::thread thread([loop = *reactor] {
      loop->run();
      // What the end of stores has left to be told.
      for (int round = 0; round < rounds_at_end; ++round) {
        loop->run_once(std::chrono::milliseconds(0));
      }
      loop->end();
    });
    return IoThread(*std::move(reactor), std::move(thread));
  } catch (const std::system_error& error) {
    return make_error(Errc::unavailable, std::string("no thread: ") + error.what());
  }
}

IoThread::IoThread(std::shared_ptr<EpollReactor> reactor, std::thread thread) noexcept
    : reactor_(std::move(reactor)), thread_(std::move(thread)), owner_(::getpid()) {}

IoThread::~IoThread() {
  if (!thread_.joinable()) return;
  const bool is_inherited = owner_ != ::getpid();  // the child of a fork has no such thread
  if (!is_inherited) reactor_->stop();
  if (is_inherited || reactor_->here()) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

}  // namespace websession
