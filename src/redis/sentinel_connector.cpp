#include "sentinel_connector.hpp"

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "exchange_io.hpp"
#include "place_connector.hpp"
#include "sentinel_notice.hpp"
#include "sentinels.hpp"

namespace websession::redis {
namespace {

using SteadyClock = std::chrono::steady_clock;

// So seldom does a caller look whether a Sentinel has said something: it is a system call.
constexpr std::chrono::milliseconds look_pause{100};

class SentinelConnector final : public Connector {
 public:
  explicit SentinelConnector(const Endpoint& endpoint)
      : tls_(endpoint.tls),
        sentinel_tls_(endpoint.sentinel_tls),
        sentinels_(endpoint.url.places, endpoint.url.primary, endpoint.sentinel_login) {}

  Result<std::unique_ptr<Transport>> connect(SteadyTime deadline) override {
    const std::lock_guard lock(mutex_);
    sentinels_.begin();
    while (sentinels_.next() == Sentinels::Next::ask) ask(deadline);
    if (sentinels_.next() == Sentinels::Next::failed) return sentinels_.error();
    return make_place_connector(sentinels_.place(), tls_)->connect(deadline);
  }

  void forget_address() noexcept override {
    const std::lock_guard lock(mutex_);
    sentinels_.disprove();
  }

  bool has_moved() noexcept override {
    const SteadyTime now = SteadyClock::now();
    if (now < next_look_.load(std::memory_order_relaxed)) return false;
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock() || !notice_) return false;
    next_look_ = now + look_pause;
    const SentinelNotice::Seen seen = notice_->look(sentinels_);
    if (seen == SentinelNotice::Seen::ended) notice_.reset();
    return seen == SentinelNotice::Seen::moved;
  }

 private:
  // One that does not answer must leave time for the others, and for Redis itself.
  void ask(SteadyTime deadline) {
    const SteadyTime now = SteadyClock::now();
    const SteadyTime until = now + (deadline - now) / 2;
    auto transport = make_place_connector(sentinels_.asked(), sentinel_tls_)->connect(until);
    if (!transport) {
      sentinels_.came({}, std::move(transport).error());
      return;
    }
    ReplyParser parser(sentinel_reply_bytes_max);
    std::vector<Reply> replies;
    const std::optional<Error> failed =
        run(**transport, parser, sentinels_.question(), until, replies);
    if (sentinels_.came(replies, failed)) notice_.emplace(*std::move(transport));
  }

  const std::shared_ptr<const TlsContext> tls_;
  const std::shared_ptr<const TlsContext> sentinel_tls_;
  std::mutex mutex_;
  Sentinels sentinels_;
  std::optional<SentinelNotice> notice_{};
  std::atomic<SteadyTime> next_look_{SteadyTime()};
};

}  // namespace

std::shared_ptr<Connector> make_sentinel_connector(const Endpoint& endpoint) {
  return std::make_shared<SentinelConnector>(endpoint);
}

}  // namespace websession::redis
