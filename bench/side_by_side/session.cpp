#include "session.hpp"

#include <stdexcept>

#include "websession/session_id.hpp"

namespace websession::bench {
namespace {

std::string random_text() {
  const Result<SessionId> id = SessionId::generate();
  if (!id) throw std::runtime_error("no randomness");
  return id->secret();
}

}  // namespace

Lifetime lifetime_of(Renewal renewal) {
  Lifetime lifetime{time_to_live};
  if (renewal == Renewal::when_due) lifetime.renew_after = time_to_live / 10;
  lifetime.left = time_to_live - std::chrono::seconds(1);
  return lifetime;
}

Keys draw_keys(std::size_t count) {
  Keys keys{"bench_" + random_text().substr(0, 8) + "_", {}};
  for (std::size_t i = 0; i < count; ++i) keys.ids.push_back(random_text());
  return keys;
}

}  // namespace websession::bench
