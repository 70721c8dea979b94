#include "cluster/cluster_call.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "call_errors.hpp"
#include "cluster/redirection.hpp"

namespace websession::redis {
namespace {

using std::chrono::milliseconds;
using Kind = Redirection::Kind;

// Nodes that are asked for the slots on behalf of one caller. Each has half of the time that is
// left.
constexpr std::size_t asked_max = 4;
// Nodes that send on to each other do so until they have heard of each other's views.
constexpr int hops_without_pause = 3;
// Of pauses, each twice the one before.
constexpr milliseconds first_pause{2};
constexpr milliseconds longest_pause{50};

// How long to wait before a node is asked again.
class Pauses {
 public:
  milliseconds next() noexcept { return std::exchange(next_, std::min(2 * next_, longest_pause)); }

 private:
  milliseconds next_ = first_pause;
};

// While somebody asks, nobody else does; whatever becomes of it.
class Asking {
 public:
  explicit Asking(ClusterMap& map) noexcept : map_(map) {}
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;
  ~Asking() { map_.end_asking(); }

 private:
  ClusterMap& map_;
};

Task<Result<void>> ask_for_slots(CallFlow& flow, std::optional<NodeId> in_vain) {
  ClusterMap& map = *flow.driver().cluster();
  const Asking asking(map);
  const auto append = [](std::string& out) { append_slots(out); };
  const Commands commands(1, append);
  Error error = no_connection();
  std::vector<NodeId> nodes = map.to_ask(in_vain);
  if (nodes.size() > asked_max) nodes.resize(asked_max);
  for (const NodeId node : nodes) {
    const SteadyTime now = flow.driver().now();
    if (now >= flow.until()) break;
    auto ask = flow.send(commands, node, now + (flow.until() - now) / 2);
    const Result<Replies>& replies = co_await ask;
    Result<std::vector<SlotRange>> ranges =
        replies ? decode_slots((*replies)[0], map.place_of(node)) : replies.error();
    if (ranges) {
      const bool is_first = map.assign(*ranges);
      flow.driver().map_changed(is_first);
      co_return Result<void>();
    }
    error = std::move(ranges).error();
    if (error.code == Errc::canceled) break;
  }
  map.doubt();
  error.maybe_applied = false;
  co_return error;
}

}  // namespace

Task<Result<void>> look_at_slots(CallFlow& flow, std::optional<NodeId> in_vain) {
  ClusterMap& map = *flow.driver().cluster();
  while (true) {
    if (map.begin_asking(flow.driver().now())) {
      auto ask = ask_for_slots(flow, in_vain);
      Result<void> asked = co_await ask;
      if (map.is_known() && (asked || asked.error().code != Errc::canceled)) {
        co_return Result<void>();
      }
      co_return std::move(asked);
    }
    if (map.is_known()) co_return Result<void>();
    // Somebody else asks for the first time.
    const SteadyTime later = flow.driver().now() + longest_pause / 10;
    if (later >= flow.until()) co_return no_connection();
    auto wait = flow.pause(later);
    Result<void>& waited = co_await wait;
    if (!waited) co_return std::move(waited);
    if (map.is_known()) co_return Result<void>();
  }
}

Task<Result<Replies>> execute_on_cluster(CallFlow& flow, const Commands& commands, Repeat repeat,
                                         bool& repeated) {
  ClusterMap& map = *flow.driver().cluster();
  if (map.is_doubted() || !map.is_known()) {
    auto look = look_at_slots(flow, std::nullopt);
    const Result<void> looked = co_await look;
    if (!looked) co_return looked.error();
  }

  const auto append_with_asking = [&](std::string& out) { append_asking(out, commands.append); };
  const auto append_guarded = [&](std::string& out) {
    append_asking(out, commands.shortcuts.guarded->append);
  };
  Shortcuts guarded;
  if (commands.shortcuts.guarded) {
    guarded.guarded.emplace(
        Shortcuts::Guarded{ReplyCount::twice(commands.shortcuts.guarded->replies), append_guarded});
  }
  const Commands with_asking(ReplyCount::twice(commands.replies), append_with_asking, guarded,
                             commands.slot);

  NodeId node = map.node_of(commands.slot);
  bool asks = false;
  std::optional<NodeId> lost_at;  // a connection to it
  Pauses pauses;
  for (int hops = 0;; ++hops) {
    auto once = flow.send(asks ? with_asking : commands, node);
    Result<Replies>& result = co_await once;
    if (!result) {
      const Error& error = result.error();
      const bool lost = error.code == Errc::unavailable;
      if (lost || error.code == Errc::timeout) map.doubt();
      const bool sent = lost && error.maybe_applied;
      if (!lost || (sent && repeat != Repeat::harmless)) co_return std::move(result);
      repeated = repeated || sent;
      // It is worth one more try, and so is whoever has its slots by now.
      auto look = look_at_slots(flow, node);
      const Result<void> looked = co_await look;
      const NodeId next = map.node_of(commands.slot);
      if (!looked || lost_at == next) co_return std::move(result);
      lost_at = node;
      node = next;
      asks = false;
      continue;
    }

    if (asks) result = without_asking(*std::move(result));
    const std::span<const Reply> replies = *result;
    const bool any_error = std::any_of(replies.begin(), replies.end(), [](const Reply& reply) {
      return reply.type() == Reply::Type::error;
    });
    if (!any_error) co_return std::move(result);
    const Redirection where = redirection_of(replies, map.place_of(node));
    bool waits = hops >= hops_without_pause;
    asks = false;
    switch (where.kind) {
      case Kind::none:
        co_return std::move(result);
      case Kind::moved: {
        const std::optional<NodeId> there = map.node_at(where.place);
        if (!there) co_return std::move(result);
        map.moved(where.slot, *there);
        node = *there;
        break;
      }
      case Kind::ask: {
        const std::optional<NodeId> there = map.node_at(where.place);
        if (!there) co_return std::move(result);
        node = *there;
        asks = true;
        break;
      }
      case Kind::again:
        waits = true;
        node = map.node_of(commands.slot);
        break;
      case Kind::down: {
        waits = true;
        map.doubt();
        auto look = look_at_slots(flow, node);
        const Result<void> looked = co_await look;
        if (!looked) co_return std::move(result);
        node = map.node_of(commands.slot);
        break;
      }
    }
    if (!waits) continue;
    const SteadyTime until = flow.driver().now() + pauses.next();
    if (until >= flow.until()) co_return std::move(result);
    auto wait = flow.pause(until);
    const Result<void>& waited = co_await wait;
    if (!waited) co_return waited.error();
  }
}

}  // namespace websession::redis
