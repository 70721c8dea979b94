#include "lanes.hpp"

#include <chrono>
#include <utility>

#include "call_errors.hpp"

namespace websession::redis {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Something to be undone when a caller leaves.
template <class Function>
class AtExit {
 public:
  explicit AtExit(Function function) : function_(std::move(function)) {}
  ~AtExit() { function_(); }
  AtExit(const AtExit&) = delete;
  AtExit& operator=(const AtExit&) = delete;

 private:
  Function function_;
};

// After one that could not be made, so long no connection is tried that others can do without.
constexpr std::chrono::seconds spare_pause{1};

// Precondition: the lane was entered.
Result<Replies> stay(Lane& lane, const Commands& commands, SteadyTime connect_by,
                     SteadyTime deadline) {
  const AtExit leave([&lane] { lane.leave(); });
  return lane.execute(commands, connect_by, deadline);
}

}  // namespace

Lanes::Lanes(std::shared_ptr<Connector> connector, Login login, EngineOptions options)
    : options_(options), dialer_(std::move(connector), std::move(login), options) {
  for (std::size_t i = 0; i < options.connections; ++i) {
    lanes_.push_back(std::make_unique<Lane>(dialer_, silence_, options));
  }
}

Result<Replies> Lanes::execute(const Commands& commands, SteadyTime deadline) {
  const std::size_t callers = ++callers_;
  const AtExit leave([this] { --callers_; });
  if (callers > options_.pending_max) return overloaded(options_.pending_max);
  dialer_.look_for_move();
  const Choice choice = choose(callers);
  if (!choice.is_spare) return stay(*choice.lane, commands, deadline, deadline);

  const SteadyTime now = SteadyClock::now();
  const SteadyTime connect_by = now + (deadline - now) / 4;
  Result<Replies> result = stay(*choice.lane, commands, connect_by, deadline);
  if (result || choice.lane->is_connected() || result.error().maybe_applied) return result;
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

void Lanes::rest() {
  for (const auto& lane : lanes_) lane->rest();
}

void Lanes::disown() noexcept {
  for (const auto& lane : lanes_) lane->disown();
}

}  // namespace websession::redis
