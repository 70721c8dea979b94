#include "call_flow.hpp"

#include "cluster/cluster_call.hpp"

namespace websession::redis {

Task<Result<Replies>> execute(CallFlow& flow, const Commands& commands, Repeat repeat,
                              bool& repeated) {
  if (flow.driver().cluster() != nullptr) {
    auto on_cluster = execute_on_cluster(flow, commands, repeat, repeated);
    co_return co_await on_cluster;
  }
  auto once = flow.send(commands);
  Result<Replies>& result = co_await once;
  // A connection that was lost (a restarted server, a failover) is worth one more try, on a new
  // one. A server that cannot be reached or does not answer is not.
  const bool lost = !result && result.error().code == Errc::unavailable;
  const bool sent = lost && result.error().maybe_applied;
  if (!lost || (sent && repeat != Repeat::harmless)) co_return std::move(result);
  repeated = repeated || sent;
  auto again = flow.send(commands);
  co_return std::move(co_await again);
}

Task<Result<Replies>> read(CallFlow& flow, const Commands& commands) {
  bool repeated = false;
  auto calls = execute(flow, commands, Repeat::harmless, repeated);
  Result<Replies> result = co_await calls;
  if (result) co_return std::move(result);
  Error error = std::move(result).error();
  error.maybe_applied = false;
  co_return error;
}

}  // namespace websession::redis
