#include "sentinel_connector.hpp"

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "by_place.hpp"
#include "exchange_io.hpp"
#include "place_connector.hpp"
#include "sentinel_notice.hpp"
#include "sentinels.hpp"

namespace websession::redis {
namespace {

using SteadyClock = std::chrono::steady_clock;

// So seldom does a caller look whether a Sentinel has said something: it is a system call.
constexpr std::chrono::milliseconds look_pause{100};

// Those to one place each: each tries the address that worked last time first.
class Connectors {
 public:
  explicit Connectors(std::shared_ptr<const TlsContext> tls) : tls_(std::move(tls)) {}
  Connector& at(const Place& place) {
    return all_.at(place, [&] { return make_place_connector(place, tls_); });
  }

 private:
  const std::shared_ptr<const TlsContext> tls_;
  ByPlace<Connector> all_{};
};

class SentinelConnector final : public Connector {
 public:
  explicit SentinelConnector(const Endpoint& endpoint)
      : sentinels_(endpoint.url.places, endpoint.url.primary, endpoint.sentinel_login),
        to_sentinels_(endpoint.sentinel_tls),
        to_redis_(endpoint.tls) {}

  Result<std::unique_ptr<Transport>> connect(SteadyTime deadline) override {
    const std::lock_guard lock(mutex_);
    has_found_another_ = false;
    // All of them together leave half of the time for Redis itself.
    const SteadyTime now = SteadyClock::now();
    const SteadyTime until = now + (deadline - now) / 2;
    sentinels_.begin();
    while (sentinels_.next() == Sentinels::Next::ask) ask(until);
    if (sentinels_.next() == Sentinels::Next::failed) return sentinels_.error();
    auto transport = to_redis_.at(sentinels_.place()).connect(deadline);
    if (!transport) {
      sentinels_.disprove();
      return transport;
    }
    has_found_another_ = connected_to_ && *connected_to_ != sentinels_.place();
    connected_to_ = sentinels_.place();
    return transport;
  }
  [[nodiscard]] bool has_found_another() const noexcept override { return has_found_another_; }

  void forget_address() noexcept override {
    const std::lock_guard lock(mutex_);
    sentinels_.disprove();
  }

  bool has_moved() noexcept override {
    const SteadyTime now = SteadyClock::now();
    if (now < next_look_.load(std::memory_order_relaxed)) return false;
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return false;
    next_look_ = now + look_pause;
    return std::exchange(was_told_, false) || is_told();
  }

 private:
  bool is_told() noexcept {
    if (!notice_) return false;
    const SentinelNotice::Seen seen = notice_->look(sentinels_);
    if (seen == SentinelNotice::Seen::ended) notice_.reset();
    return seen == SentinelNotice::Seen::moved;
  }

  // One that does not answer must leave time for the others.
  void ask(SteadyTime deadline) {
    const SteadyTime now = SteadyClock::now();
    const SteadyTime until = now + (deadline - now) / 2;
    if (now >= deadline) {
      sentinels_.came({}, make_error(Errc::timeout, "there was no time left to ask them"));
      return;
    }
    auto transport = to_sentinels_.at(sentinels_.asked()).connect(until);
    if (!transport) {
      sentinels_.came({}, std::move(transport).error());
      return;
    }
    ReplyParser parser(sentinel_reply_bytes_max);
    std::vector<Reply> replies;
    const std::optional<Error> failed =
        run(**transport, parser, sentinels_.question(), until, replies);
    if (!sentinels_.came(replies, failed)) return;
    was_told_ = was_told_ || is_told();  // the last one's word counts, too
    notice_.emplace(*std::move(transport));
  }

  std::mutex mutex_;
  Sentinels sentinels_;
  Connectors to_sentinels_;
  Connectors to_redis_;
  std::optional<Place> connected_to_{};
  bool has_found_another_ = false;  // read by whoever has connected
  bool was_told_ = false;
  std::optional<SentinelNotice> notice_{};
  std::atomic<SteadyTime> next_look_{SteadyTime()};
};

}  // namespace

std::shared_ptr<Connector> make_sentinel_connector(const Endpoint& endpoint) {
  return std::make_shared<SentinelConnector>(endpoint);
}

}  // namespace websession::redis
