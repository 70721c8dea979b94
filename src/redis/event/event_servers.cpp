#include "event/event_servers.hpp"

#include <utility>

#include "cluster/login_at.hpp"

namespace websession::redis {

EventServers::EventServers(const std::shared_ptr<Reactor>& loop,
                           std::unique_ptr<LoopConnector> connector, const Login& login,
                           const EngineOptions& options)
    : loop_(*loop), kept_loop_(loop), login_(login), options_(options) {
  lines_.push_back(std::make_shared<EventLine>(loop, std::move(connector), login, options));
}

EventServers::EventServers(const std::shared_ptr<Reactor>& loop, const std::vector<Place>& named,
                           MakeLoopConnector connector, Login login, const EngineOptions& options)
    : loop_(*loop),
      kept_loop_(loop),
      connector_(std::move(connector)),
      login_(std::move(login)),
      options_(options) {
  map_.emplace(named);
}

EventLine* EventServers::line_to(NodeId node) {
  if (is_closed_) return nullptr;
  if (node >= lines_.size()) lines_.resize(node + 1);
  std::shared_ptr<EventLine>& line = lines_[node];
  if (line == nullptr) {
    const std::shared_ptr<Reactor> loop = kept_loop_.lock();
    line = std::make_shared<EventLine>(loop, connector_(map_->place_of(node)),
                                       login_at(login_, *map_, node), options_);
  }
  return line.get();
}

void EventServers::rest() {
  for (NodeId node = 0; node < lines_.size(); ++node) {
    if (lines_[node] != nullptr && !map_->has_slots(node)) lines_[node]->rest();
  }
}

void EventServers::renew(std::span<const NodeId> fresh) {
  for (const NodeId node : fresh) {
    if (node < lines_.size() && lines_[node] != nullptr) lines_[node]->rest();
  }
}

void EventServers::close() {
  is_closed_ = true;
  for (const auto& line : lines_) {
    if (line != nullptr) line->close();
  }
  for (Timer* const timer : pauses_) timer->arm(loop_.now());
}

void EventServers::drop() noexcept {
  is_closed_ = true;
  for (const auto& line : lines_) {
    if (line != nullptr) line->drop();
  }
}

}  // namespace websession::redis
