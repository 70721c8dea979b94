#include "event/loop_connector.hpp"

#include <poll.h>

#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "socket.hpp"
#include "socket_transport.hpp"
#include "tls_transport.hpp"

namespace websession::redis {
namespace {

using std::chrono::milliseconds;
using Addresses = Result<std::vector<Address>>;

// How often a unix socket is tried whose queue is full: no event tells when there is room again.
constexpr milliseconds unix_retry{5};

// What all attempts of a connector share.
struct Known {
  Place place;
  std::shared_ptr<const TlsContext> tls;
  std::weak_ptr<Reactor> loop;
  std::optional<Address> last_good{};
  // While a thread asks the resolver; and who waits for that, if somebody still does.
  bool is_resolving = false;
  Callback<void(Addresses)> resolved{};
};

Addresses without_resolver(const Place& place) {
  if (!place.host.empty()) return resolve(place, true);
  Result<Address> address = unix_address(place);
  if (!address) return std::move(address).error();
  return std::vector<Address>{*address};
}

// False: the system has no thread. What the thread has, it owns: it may outlive all else.
bool ask_resolver(const std::shared_ptr<Known>& known) {
  const auto ask = [place = known->place, loop = known->loop, weak = std::weak_ptr(known)] {
    Addresses addresses = resolve(place);
    const std::shared_ptr<Reactor> still_there = loop.lock();
    if (still_there == nullptr) return;
    still_there->post([weak, addresses = std::move(addresses)]() mutable {
      const std::shared_ptr<Known> asked = weak.lock();
      if (asked == nullptr) return;
      asked->is_resolving = false;
      if (auto resolved = std::exchange(asked->resolved, {})) resolved(std::move(addresses));
    });
  };
  try {
    std::thread(ask).detach();
  } catch (const std::system_error&) {
    return false;
  }
  known->is_resolving = true;
  return true;
}

// Resolves, connects and shakes hands; whatever it waits for, it has one timer.
class Steps final : public std::enable_shared_from_this<Steps> {
 public:
  Steps(std::shared_ptr<Known> known, Reactor& loop, SteadyTime deadline,
        Callback<void(LoopConnector::Made)> made)
      : known_(std::move(known)), loop_(loop), deadline_(deadline), made_(std::move(made)) {}

  void begin() {
    timer_ = loop_.timer([this] { ring_(); });
    loop_.post([weak = weak_from_this()] {
      if (const auto steps = weak.lock(); steps != nullptr && steps->made_) steps->try_first();
    });
  }

 private:
  // Each step ends with what the next event, or the time, leads to.

  void try_first() {
    if (!known_->last_good) return look_up();
    // It must leave time for the others; and it stays, for the time that no name is resolved.
    const SteadyTime now = loop_.now();
    connect_to(*known_->last_good, now + (deadline_ - now) / 2);
  }

  void look_up() {
    has_looked_up_ = true;
    Addresses addresses = without_resolver(known_->place);
    if (addresses || known_->place.host.empty()) return found(std::move(addresses));
    if (!known_->is_resolving && !ask_resolver(known_)) {
      return end(make_error(Errc::unavailable, "no thread to resolve the name of Redis with"));
    }
    known_->resolved = [weak = weak_from_this()](Addresses answer) {
      const auto steps = weak.lock();
      if (steps != nullptr && steps->made_) steps->found(std::move(answer));
    };
    wait_until(deadline_, [this] {
      end(make_error(Errc::timeout, "the name of Redis' host was not resolved by the deadline"));
    });
  }

  void found(Addresses addresses) {
    timer_->disarm();
    if (!addresses) return end(std::move(addresses).error());
    addresses_ = *std::move(addresses);
    try_next(make_error(Errc::unavailable, "no address"));
  }

  void try_next(Error last) {
    if (!has_looked_up_) return look_up();
    if (next_ == addresses_.size()) return end(cannot_connect(known_->place, std::move(last)));
    // An address that does not answer must leave time for the others.
    const SteadyTime now = loop_.now();
    const auto share = (deadline_ - now) / static_cast<int>(addresses_.size() - next_);
    connect_to(addresses_[next_++], now + share);
  }

  void connect_to(const Address& address, SteadyTime until) {
    at_ = address;
    Result<Begun> begun = begin_connect(address);
    if (!begun) return try_next(std::move(begun).error());
    if (begun->full) {
      const SteadyTime again = std::min(loop_.now() + unix_retry, until);
      return wait_until(again, [this, until] {
        if (loop_.now() >= until) return try_next(backlog_full());
        connect_to(at_, until);
      });
    }
    socket_ = std::move(begun->socket);
    if (begun->connected) return connected();
    const auto when_writable = [this](unsigned) {
      watch_.reset();
      timer_->disarm();
      if (const int error = error_of(socket_); error != 0) {
        return try_next(make_error(Errc::unavailable, words(error)));
      }
      connected();
    };
    if (!watch(socket_.get(), Reactor::writable, when_writable)) return;
    wait_until(until, [this] {
      watch_.reset();
      try_next(connect_timed_out());
    });
  }

  void connected() {
    known_->last_good = at_;
    if (known_->tls == nullptr) return end(make_socket_transport(std::move(socket_)));
    handshake_.emplace(known_->tls, std::move(socket_));
    wait_until(deadline_, [this] { end(handshake_->silent()); });
    if (!watch(handshake_->descriptor(), Reactor::writable, [this](unsigned) { shake_hands(); })) {
      return;
    }
  }
  void shake_hands() {
    Result<short> events = handshake_->step();
    if (!events) {
      // The address may have become somebody else's.
      if (events.error().code == Errc::rejected) known_->last_good.reset();
      return end(std::move(events).error());
    }
    if (*events == 0) {
      watch_.reset();
      return end(std::move(*handshake_).take());
    }
    watch_->want(((*events & POLLIN) != 0 ? Reactor::readable : 0U) |
                 ((*events & POLLOUT) != 0 ? Reactor::writable : 0U));
  }

  // False: it has failed, and all has ended.
  bool watch(int fd, unsigned interest, Callback<void(unsigned)> ready) {
    Result<std::unique_ptr<Watch>> watch = loop_.watch(fd, std::move(ready));
    if (!watch) {
      end(std::move(watch).error());
      return false;
    }
    watch_ = *std::move(watch);
    watch_->want(interest);
    return true;
  }
  void wait_until(SteadyTime time, Callback<void()> then) {
    then_ = std::move(then);
    timer_->arm(time);
  }
  void ring_() {
    const auto keep = shared_from_this();
    if (Callback<void()> then = std::exchange(then_, {})) then();
  }
  // The last step: this may be destroyed in it.
  void end(LoopConnector::Made made) {
    const auto keep = shared_from_this();
    watch_.reset();
    timer_->disarm();
    if (auto tell = std::exchange(made_, {})) tell(std::move(made));
  }

  const std::shared_ptr<Known> known_;
  Reactor& loop_;
  const SteadyTime deadline_;
  Callback<void(LoopConnector::Made)> made_;
  std::unique_ptr<Timer> timer_{};
  Callback<void()> then_{};
  bool has_looked_up_ = false;
  std::vector<Address> addresses_{};
  std::size_t next_ = 0;
  Address at_{};
  Descriptor socket_{};
  std::optional<TlsHandshake> handshake_{};
  std::unique_ptr<Watch> watch_{};  // goes before what it watches
};

class SocketAttempt final : public Attempt {
 public:
  explicit SocketAttempt(std::shared_ptr<Steps> steps) noexcept : steps_(std::move(steps)) {}

 private:
  const std::shared_ptr<Steps> steps_;
};

class SocketLoopConnector final : public LoopConnector {
 public:
  SocketLoopConnector(std::shared_ptr<Known> known, Reactor& loop)
      : known_(std::move(known)), loop_(loop) {}

  std::unique_ptr<Attempt> connect(SteadyTime deadline, Callback<void(Made)> made) override {
    auto steps = std::make_shared<Steps>(known_, loop_, deadline, std::move(made));
    steps->begin();
    return std::make_unique<SocketAttempt>(std::move(steps));
  }
  void forget_address() noexcept override { known_->last_good.reset(); }

 private:
  const std::shared_ptr<Known> known_;
  Reactor& loop_;
};

}  // namespace

std::unique_ptr<LoopConnector> make_loop_connector(Place place,
                                                   std::shared_ptr<const TlsContext> tls,
                                                   const std::shared_ptr<Reactor>& loop) {
  auto known = std::make_shared<Known>(Known{std::move(place), std::move(tls), loop});
  return std::make_unique<SocketLoopConnector>(std::move(known), *loop);
}

}  // namespace websession::redis
