#include "lanes.hpp"

#include <utility>

namespace websession::redis {
namespace {

// Counts a caller for as long as it is inside.
class Visit {
 public:
  explicit Visit(std::atomic<std::size_t>& callers) : callers_(callers), number_(++callers) {}
  ~Visit() { --callers_; }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;
  [[nodiscard]] std::size_t number() const noexcept { return number_; }

 private:
  std::atomic<std::size_t>& callers_;
  std::size_t number_;
};

}  // namespace

Lanes::Lanes(std::shared_ptr<Connector> connector, Login login, EngineOptions options)
    : options_(options), dialer_(std::move(connector), std::move(login), options) {
  for (std::size_t i = 0; i < options.connections; ++i) {
    lanes_.push_back(std::make_unique<Lane>(dialer_, options));
  }
}

Result<Replies> Lanes::execute(const Commands& commands, SteadyTime deadline) {
  const Visit visit(callers_);
  if (visit.number() > options_.pending_max) return overloaded(options_.pending_max);
  Lane& lane = choose(visit.number());
  struct Leave {
    Lane& lane;
    ~Leave() { lane.leave(); }
  } const leave{lane};
  return lane.execute(commands, deadline);
}

Lane& Lanes::choose(std::size_t callers) {
  if (callers <= lanes_.size()) {
    for (const auto& lane : lanes_) {
      if (lane->is_connected() && lane->enter_if_idle()) return *lane;
    }
    for (const auto& lane : lanes_) {
      if (!lane->is_connected() && dialer_.may_dial() && lane->enter_if_idle()) return *lane;
    }
  }
  // One that works, even if another that does not could be tried again.
  for (const auto& lane : lanes_) {
    if (!lane->is_connected()) continue;
    lane->enter();
    return *lane;
  }
  lanes_.front()->enter();
  return *lanes_.front();
}

Result<void> Lanes::connect(SteadyTime deadline) { return lanes_.front()->connect(deadline); }

void Lanes::renew_connections() {
  dialer_.forget_address();
  for (const auto& lane : lanes_) lane->renew_connection();
}

void Lanes::disown() noexcept {
  for (const auto& lane : lanes_) lane->disown();
}

}  // namespace websession::redis
