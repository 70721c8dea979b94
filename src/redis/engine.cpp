#include "engine.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <span>

#include "invalid.hpp"
#include "redis_url.hpp"
#include "server_error.hpp"
#include "socket_transport.hpp"
#include "tls_transport.hpp"

namespace websession::redis {
namespace {

using std::chrono::milliseconds;

using internal::invalid;

Result<void> validate(const RedisOptions& options) {
  const auto out_of_range = [](milliseconds time) {
    return time < milliseconds(1) || time > std::chrono::minutes(1);
  };
  if (out_of_range(options.connect_timeout))
    return invalid("connect_timeout: must be 1 ms to 1 minute");
  if (out_of_range(options.operation_timeout)) {
    return invalid("operation_timeout: must be 1 ms to 1 minute");
  }
  if (options.pending_max == 0) return invalid("pending_max: must not be 0");
  if (options.connections == 0 || options.connections > 64) {
    return invalid("connections: must be 1 to 64");
  }
  if (options.record_bytes_max < 1024) return invalid("record_bytes_max: must be 1,024 or more");
  const bool printable = std::all_of(options.client_name.begin(), options.client_name.end(),
                                     [](char c) { return c > 0x20 && c < 0x7f; });
  if (!printable) return invalid("client_name: only printable ASCII without blanks");
  return {};
}

Result<std::unique_ptr<Connector>> make_connector(RedisUrl url, const TlsOptions& tls) {
  if (url.tls) return make_tls_connector(std::move(url), tls);
  // Whoever asks for TLS must not get plain text.
  if (tls != TlsOptions()) return invalid("tls: is for rediss:// URLs, and this one is none");
  return make_socket_connector(std::move(url));
}

bool refers_elsewhere(std::span<const Reply> replies) {
  return std::any_of(replies.begin(), replies.end(), [](const Reply& reply) {
    return reply.type() == Reply::Type::error && is_wrong_server(reply.text());
  });
}

}  // namespace

Result<Endpoint> make_endpoint(std::string_view url, const RedisOptions& options,
                               std::string prefix, std::vector<std::string> scripts) {
  if (auto valid = validate(options); !valid) return std::move(valid).error();
  Result<RedisUrl> parsed = parse_redis_url(url);
  if (!parsed) return std::move(parsed).error();
  Login login{parsed->user,        parsed->password,   parsed->database,
              options.client_name, std::move(scripts), std::move(prefix)};
  Result<std::unique_ptr<Connector>> connector = make_connector(*std::move(parsed), options.tls);
  if (!connector) return std::move(connector).error();
  return Endpoint{*std::move(connector), std::move(login)};
}

Engine::Engine(Endpoint endpoint, const RedisOptions& options)
    : endpoint_(std::move(endpoint)),
      options_{options.connect_timeout, options.operation_timeout, options.pending_max,
               options.record_bytes_max, options.connections},
      current_(make_lanes(nullptr)) {}

Engine::~Engine() {
  OwnedLanes* own = current_.load();
  // What was inherited is not destroyed: its mutex may be locked for ever.
  if (own->owner == ::getpid()) delete own;
}

Engine::OwnedLanes* Engine::make_lanes(OwnedLanes* inherited) const {
  return new OwnedLanes{::getpid(), Lanes(endpoint_.connector, endpoint_.login, options_),
                        inherited};
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
  if (result && refers_elsewhere(*result)) mine.renew(generation);
  return result;
}

}  // namespace websession::redis
