#include "event/sentinel_loop_connector.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "by_place.hpp"
#include "event/event_connection.hpp"
#include "sentinel_notice.hpp"
#include "sentinels.hpp"

namespace websession::redis {
namespace {

// Those to one place each, as each resolves its host's name at most once at a time.
class Connectors {
 public:
  explicit Connectors(std::shared_ptr<const TlsContext> tls) : tls_(std::move(tls)) {}
  LoopConnector& at(const Place& place, const std::shared_ptr<Reactor>& loop) {
    return all_.at(
        place, [&] { return make_loop_connector(place, tls_ ? tls_->at(place) : nullptr, loop); });
  }

 private:
  const std::shared_ptr<const TlsContext> tls_;
  ByPlace<LoopConnector> all_{};
};

// What all attempts share.
class Known {
 public:
  Known(const Endpoint& endpoint, const std::shared_ptr<Reactor>& loop,
        std::chrono::milliseconds time_to_ask)
      : ask_for(time_to_ask),
        sentinels(endpoint.url.places, endpoint.url.primary, endpoint.sentinel_login),
        to_sentinels(endpoint.sentinel_tls),
        to_redis(endpoint.tls),
        loop_(*loop),
        kept_loop_(loop) {}

  [[nodiscard]] Reactor& loop() const noexcept { return loop_; }
  [[nodiscard]] std::shared_ptr<Reactor> kept_loop() const noexcept { return kept_loop_.lock(); }

  void listen(std::unique_ptr<Transport> transport) {
    watch_.reset();
    notice_.emplace(std::move(transport));
    // Not to hear of a failover is no error: then the next connection asks.
    auto watch = loop_.watch(notice_->descriptor(), [this](unsigned) { look(); });
    if (!watch) return notice_.reset();
    watch_ = *std::move(watch);
    watch_->want(Reactor::readable);
  }
  void close() noexcept {
    watch_.reset();
    notice_.reset();
    told = {};
  }

  // All Sentinels together have so much time: callers wait for a connection no longer than for
  // anything else.
  const std::chrono::milliseconds ask_for;
  Sentinels sentinels;
  Connectors to_sentinels;
  Connectors to_redis;
  Callback<void()> told{};

 private:
  void look() {
    const SentinelNotice::Seen seen = notice_->look(sentinels);
    if (seen == SentinelNotice::Seen::ended) {
      watch_.reset();
      notice_.reset();
    } else if (seen == SentinelNotice::Seen::moved && told) {
      told();
    }
  }

  Reactor& loop_;
  const std::weak_ptr<Reactor> kept_loop_;
  std::optional<SentinelNotice> notice_{};
  std::unique_ptr<Watch> watch_{};  // goes before what it watches
};

// Asks one Sentinel after the other, and connects to the Redis that they name.
class Search final : public Attempt, private EventConnection::Host {
 public:
  Search(std::shared_ptr<Known> known, SteadyTime deadline,
         Callback<void(LoopConnector::Made)> made)
      : known_(std::move(known)),
        sentinels_(known_->sentinels),
        deadline_(deadline),
        asks_until_(std::min(deadline, known_->loop().now() + known_->ask_for)),
        made_(std::move(made)),
        timer_(known_->loop().timer([this] { expire(); })) {
    sentinels_.begin();
    ask();
  }

 private:
  // Each step ends with what the next event, or the time, leads to.

  void go_on() {
    switch (sentinels_.next()) {
      case Sentinels::Next::ask:
        return ask();
      case Sentinels::Next::connect:
        attempt_ = known_->to_redis.at(sentinels_.place(), known_->kept_loop())
                       .connect(deadline_, [this](LoopConnector::Made made) {
                         if (!made) sentinels_.disprove();
                         end(std::move(made));
                       });
        return;
      case Sentinels::Next::failed:
        return end(sentinels_.error());
    }
  }

  // One that does not answer must leave time for the others.
  void ask() {
    const SteadyTime now = known_->loop().now();
    until_ = now + (asks_until_ - now) / 2;

    attempt_ =
        known_->to_sentinels.at(sentinels_.asked(), known_->kept_loop())
            .connect(until_, [this](LoopConnector::Made made) { connected(std::move(made)); });
  }

  void connected(LoopConnector::Made made) {
    attempt_.reset();
    if (!made) return in_vain(std::move(made).error());
    auto opened =
        EventConnection::open(*this, known_->loop(), *std::move(made), sentinel_reply_bytes_max);
    if (!opened) return in_vain(std::move(opened).error());
    connection_ = *std::move(opened);
    timer_->arm(until_);
    connection_->say(sentinels_.question());
  }

  void in_vain(const Error& error) {
    sentinels_.came({}, error);
    go_on();
  }

  void expire() {
    const auto connection = connection_;
    if (connection != nullptr) connection->expire();
  }

  void came(EventConnection& /*connection*/, std::vector<Reply> replies,
            std::optional<Error> failed, std::chrono::nanoseconds /*took*/) override {
    timer_->disarm();
    const auto connection = std::exchange(connection_, nullptr);
    if (sentinels_.came(replies, failed)) {
      known_->listen(connection->release());
    } else {
      connection->fail(closed());
    }
    go_on();
  }
  void worked(EventConnection& /*connection*/, bool /*heard*/) override {}
  void lost(EventConnection& /*connection*/, const Error& /*error*/) override {}

  static Error closed() { return Error{Errc::unavailable, {}}; }

  // The last step: this may be destroyed in it.
  void end(LoopConnector::Made made) {
    auto tell = std::move(made_);
    tell(std::move(made));
  }

  const std::shared_ptr<Known> known_;
  Sentinels& sentinels_;
  const SteadyTime deadline_;
  const SteadyTime asks_until_;
  SteadyTime until_{};
  Callback<void(LoopConnector::Made)> made_;
  std::unique_ptr<Timer> timer_;
  std::unique_ptr<Attempt> attempt_{};
  std::shared_ptr<EventConnection> connection_{};
};

class SentinelLoopConnector final : public LoopConnector {
 public:
  explicit SentinelLoopConnector(std::shared_ptr<Known> known) : known_(std::move(known)) {}

  std::unique_ptr<Attempt> connect(SteadyTime deadline, Callback<void(Made)> made) override {
    return std::make_unique<Search>(known_, deadline, std::move(made));
  }
  void forget_address() noexcept override { known_->sentinels.disprove(); }
  void when_moved(Callback<void()> told) override { known_->told = std::move(told); }
  void close() noexcept override { known_->close(); }

 private:
  const std::shared_ptr<Known> known_;
};

}  // namespace

std::unique_ptr<LoopConnector> make_sentinel_loop_connector(const Endpoint& endpoint,
                                                            const std::shared_ptr<Reactor>& loop,
                                                            std::chrono::milliseconds ask_for) {
  return std::make_unique<SentinelLoopConnector>(std::make_shared<Known>(endpoint, loop, ask_for));
}

}  // namespace websession::redis
