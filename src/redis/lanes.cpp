#include "lanes.hpp"

#include <chrono>
#include <utility>

namespace websession::redis {
namespace {

using SteadyClock = std::chrono::steady_clock;

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

// After one that could not be made, so long no connection is tried that others can do without.
constexpr std::chrono::seconds spare_pause{1};

// Precondition: the lane was entered.
Result<Replies> stay(Lane& lane, const Commands& commands, SteadyTime connect_by,
                     SteadyTime deadline) {
  struct Leave {
    Lane& lane;
    ~Leave() { lane.leave(); }
  } const leave{lane};
  return lane.execute(commands, connect_by, deadline);
}

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
  const Choice choice = choose(visit.number());
  const SteadyTime now = SteadyClock::now();
  const SteadyTime connect_by = choice.is_spare ? now + (deadline - now) / 4 : deadline;
  Result<Replies> result = stay(*choice.lane, commands, connect_by, deadline);
  if (result || !choice.is_spare || choice.lane->is_connected() || result.error().maybe_applied) {
    return result;
  }
  // One more connection is not to be had (maxclients, a dead path for new ones): that is no reason
  // to fail while there is one that works.
  no_spare_before_ = SteadyClock::now() + spare_pause;
  Lane* connected = enter_connected();
  if (connected == nullptr) return result;
  return stay(*connected, commands, deadline, deadline);
}

Lanes::Choice Lanes::choose(std::size_t callers) {
  bool any_connected = false;
  if (callers <= lanes_.size()) {
    for (const auto& lane : lanes_) {
      any_connected = any_connected || lane->is_connected();
      if (lane->is_connected() && lane->enter_if_idle()) return {lane.get(), false};
    }
    const bool may_dial =
        dialer_.may_dial() && (!any_connected || SteadyClock::now() >= no_spare_before_.load());
    for (const auto& lane : lanes_) {
      if (!lane->is_connected() && may_dial && lane->enter_if_idle()) {
        return {lane.get(), any_connected};
      }
    }
    // Where nobody is any more, but late answers are due, which the next caller takes in.
    for (const auto& lane : lanes_) {
      if (lane->is_connected() && lane->enter_if_empty()) return {lane.get(), false};
    }
  }
  if (Lane* connected = enter_connected()) return {connected, false};
  lanes_.front()->enter();
  return {lanes_.front().get(), false};
}

Lane* Lanes::enter_connected() noexcept {
  for (const auto& lane : lanes_) {
    if (!lane->is_connected()) continue;
    lane->enter();
    return lane.get();
  }
  return nullptr;
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
