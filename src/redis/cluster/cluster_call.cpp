#include "cluster/cluster_call.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "call_errors.hpp"
#include "cluster/redirection.hpp"
#include "server_error.hpp"

namespace websession::redis {
namespace {

using std::chrono::milliseconds;
using Kind = Redirection::Kind;

// Nodes that are asked for the slots on behalf of one caller, once some are known: each costs it a
// part of its time, and another caller asks others.
constexpr std::size_t asked_max = 4;
// Nodes that send on to each other do so until they have heard of each other's views.
constexpr int hops_without_pause = 3;
// Of pauses, each twice the one before.
constexpr milliseconds first_pause{2};
constexpr milliseconds longest_pause{50};

// While somebody asks, nobody else does; whatever becomes of it.
class Asking {
 public:
  explicit Asking(ClusterMap& map) noexcept : map_(map) {}
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;
  ~Asking() { map_.end_asking(std::move(failed)); }
  std::optional<Error> failed{};

 private:
  ClusterMap& map_;
};

// One caller more who waits.
class Waiting {
 public:
  explicit Waiting(ClusterMap& map) noexcept : count_(map.waiting()), place_(++count_) {}
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() { --count_; }
  [[nodiscard]] std::size_t place() const noexcept { return place_; }

 private:
  std::atomic<std::size_t>& count_;
  const std::size_t place_;
};

// How long to wait before a node is asked again.
class Pauses {
 public:
  milliseconds next() noexcept { return std::exchange(next_, std::min(2 * next_, longest_pause)); }

 private:
  milliseconds next_ = first_pause;
};

// False: there is no time left for it. Errors: canceled, overloaded.
Task<Result<bool>> wait(CallFlow& flow, Pauses& pauses) {
  const SteadyTime until = flow.driver().now() + pauses.next();
  if (until >= flow.until()) co_return false;
  const Waiting waiting(*flow.driver().cluster());
  const std::size_t most = flow.driver().pending_max();
  if (waiting.place() > most) co_return overloaded(most);
  auto pause = flow.pause(until);
  const Result<void>& paused = co_await pause;
  if (!paused) co_return paused.error();
  co_return true;
}

// When each of several errors is as good as the other: who was refused is told so.
void keep_clearer(std::optional<Error>& kept, Error error) {
  if (!kept || kept->code != Errc::rejected) kept = std::move(error);
}

Task<Result<void>> ask_for_slots(CallFlow& flow, std::optional<NodeId> in_vain) {
  ClusterMap& map = *flow.driver().cluster();
  Asking asking(map);
  const auto append = [](std::string& out) { append_slots(out); };
  const Commands commands(1, append);
  std::vector<NodeId> nodes = map.to_ask(in_vain);
  if (map.is_known() && nodes.size() > asked_max) nodes.resize(asked_max);
  std::optional<Error> failed;
  for (const NodeId& node : nodes) {
    const SteadyTime now = flow.driver().now();
    if (now >= flow.until()) break;
    const bool is_last = &node == &nodes.back();
    // Who only wants to know better leaves most of its time for what it came for.
    const auto left = flow.until() - now;
    const auto time = map.is_known() ? left / 4 : is_last ? left : left / 2;
    auto ask = flow.send(commands, node, now + time);
    const Result<Replies>& replies = co_await ask;
    Result<std::vector<SlotRange>> ranges =
        replies ? decode_slots((*replies)[0], map.place_of(node)) : replies.error();
    if (ranges) {
      const std::vector<NodeId> fresh = map.assign(*ranges);
      flow.driver().map_changed(fresh);
      co_return Result<void>();
    }
    keep_clearer(failed, std::move(ranges).error());
    if (failed->code == Errc::canceled) break;
  }
  if (!failed) failed = no_connection();
  failed->maybe_applied = false;
  map.doubt();
  if (failed->code != Errc::canceled) asking.failed = failed;
  co_return *failed;
}

// Of those that were sent to one server: what a redirection of it means for all of them. A write
// that was done is not repeated for what stands beside it (WAIT, a renewal).
std::span<const Reply> decisive(const Replies& replies, Repeat repeat) {
  const std::span<const Reply> all = replies;
  if (repeat == Repeat::harmless) return all;
  return replies.way() == Way::guarded ? all.last(1) : all.first(1);
}

bool is_error(const Reply& reply) { return reply.type() == Reply::Type::error; }

// Whether another node may do better, or this one on a new connection.
bool is_worth_another_try(const Error& error) {
  const bool refused = error.code == Errc::rejected || error.code == Errc::corrupt;
  return error.code == Errc::unavailable || (refused && !error.maybe_applied);
}

bool casts_doubt(const Error& error) {
  return error.code != Errc::overloaded && error.code != Errc::canceled;
}

Error too_many_nodes() {
  return make_error(Errc::unavailable,
                    "the Redis Cluster has had more than 4,096 nodes since this program began: "
                    "start it anew");
}

}  // namespace

Task<Result<void>> look_at_slots(CallFlow& flow, std::optional<NodeId> in_vain) {
  ClusterMap& map = *flow.driver().cluster();
  Pauses pauses;
  while (true) {
    if (map.begin_asking(flow.driver().now())) {
      auto ask = ask_for_slots(flow, in_vain);
      Result<void> asked = co_await ask;
      const bool is_canceled = !asked && asked.error().code == Errc::canceled;
      if (map.is_known() && !is_canceled) co_return Result<void>();
      co_return std::move(asked);
    }
    if (map.is_known()) co_return Result<void>();
    // Somebody else asks for the first time.
    auto pause = wait(flow, pauses);
    const Result<bool> waited = co_await pause;
    if (!waited.has_value()) co_return waited.error();
    if (!*waited) co_return map.last_error().value_or(no_connection());
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
      if (casts_doubt(error)) map.doubt();
      const bool sent = error.maybe_applied;
      if (!is_worth_another_try(error) || (sent && repeat != Repeat::harmless)) {
        co_return std::move(result);
      }
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
    const std::span<const Reply> replies = decisive(*result, repeat);
    if (std::none_of(replies.begin(), replies.end(), is_error)) co_return std::move(result);
    const Redirection where = redirection_of(replies, map.place_of(node));
    asks = where.kind == Kind::ask;
    bool waits = hops >= hops_without_pause;
    switch (where.kind) {
      case Kind::none:
        co_return std::move(result);
      case Kind::moved:
      case Kind::ask: {
        const std::optional<NodeId> there = map.node_at(where.place);
        if (!there) co_return too_many_nodes();
        if (!asks) map.moved(where.slot, *there);
        node = *there;
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
    auto pause = wait(flow, pauses);
    const Result<bool> waited = co_await pause;
    if (!waited.has_value()) co_return waited.error();
    if (*waited) continue;
    // A node that sends elsewhere to the end: the slot is on its way.
    if (where.kind == Kind::down) co_return std::move(result);
    co_return server_error("TRYAGAIN", false);
  }
}

}  // namespace websession::redis
