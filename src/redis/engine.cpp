#include "engine.hpp"

#include <unistd.h>

#include <chrono>

#include "endpoint.hpp"
#include "server_error.hpp"

namespace websession::redis {

Engine::Engine(MakeConnector connector, Login login, const RedisOptions& options)
    : make_connector_(std::move(connector)),
      login_(std::move(login)),
      options_(engine_options(login_, options)),
      current_(make_lanes(nullptr)) {}

Engine::~Engine() {
  OwnedLanes* own = current_.load();
  // What was inherited is not destroyed: its mutex may be locked for ever.
  if (own->owner == ::getpid()) delete own;
}

Engine::OwnedLanes* Engine::make_lanes(OwnedLanes* inherited) const {
  return new OwnedLanes{::getpid(), Lanes(make_connector_(), login_, options_), inherited};
}

Lanes& Engine::lanes() {
  OwnedLanes* found = current_.load(std::memory_order_acquire);
  if (found->owner == ::getpid()) return found->lanes;
  OwnedLanes* mine = make_lanes(found);
  if (current_.compare_exchange_strong(found, mine)) {
    mine->inherited->lanes.disown();
    return mine->lanes;
  }
  delete mine;  // another thread of this child was first
  return found->lanes;
}

Result<void> Engine::connect() {
  return lanes().connect(std::chrono::steady_clock::now() + options_.connect_timeout);
}

SteadyTime Engine::deadline() const {
  return std::chrono::steady_clock::now() + options_.operation_timeout;
}

Result<Replies> Engine::send(const Commands& commands, SteadyTime until) {
  Lanes& mine = lanes();
  const std::uint64_t generation = mine.generation();
  Result<Replies> result = mine.execute(commands, until);
  if (result && refers_elsewhere(*result, login_.must_be_primary)) mine.renew(generation);
  return result;
}

}  // namespace websession::redis
