// How the verbs of a store ask Redis, whoever sends the commands; and what is sent again.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "cluster/cluster_map.hpp"
#include "pipeline.hpp"
#include "replicas.hpp"
#include "resp.hpp"
#include "scripts.hpp"
#include "server_error.hpp"
#include "task.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"

namespace websession::redis {

using internal::Task;

// Whoever sends commands, once, and has their replies, error replies among them. True: they are
// there (Answer::put); false: they come later (Answer::give). The commands stay until then.
class CallDriver {
 public:
  CallDriver() = default;
  CallDriver(const CallDriver&) = delete;
  CallDriver& operator=(const CallDriver&) = delete;
  // `node`: of a Cluster; else there is one.
  // Errors: unavailable, timeout, overloaded, corrupt, rejected (login).
  virtual bool send(const Commands& commands, NodeId node, SteadyTime until,
                    internal::Answer<Result<Replies>>& answer) = 0;

  // Of a Cluster only.
  // What is known of it; null: it is one server.
  [[nodiscard]] virtual ClusterMap* cluster() noexcept { return nullptr; }
  [[nodiscard]] virtual SteadyTime now() const noexcept = 0;
  // Lets time pass. Error: canceled.
  virtual bool pause(SteadyTime until, internal::Answer<Result<void>>& answer) = 0;
  // So many callers may pause at a time.
  [[nodiscard]] virtual std::size_t pending_max() const noexcept = 0;
  // A node may have none of the slots any more; these had none before.
  virtual void map_changed(std::span<const NodeId> fresh) = 0;

 protected:
  ~CallDriver() = default;
};

// The commands of one verb, which all end by one deadline.
class CallFlow final : public internal::Flow {
 public:
  CallFlow(internal::Arena& arena, CallDriver& driver, SteadyTime until,
           const Replicas& waits_for = {}) noexcept
      : Flow(arena), driver_(driver), until_(until), waits_for_(waits_for) {}
  // Once, to one server.
  auto send(const Commands& commands, NodeId node, SteadyTime until) {
    const auto start = [this, &commands, node, until](internal::Answer<Result<Replies>>& answer) {
      return driver_.send(commands, node, until, answer);
    };
    return internal::Ask<Result<Replies>, decltype(start)>(start);
  }
  auto send(const Commands& commands, NodeId node = 0) { return send(commands, node, until_); }
  auto send(Commands&&, NodeId = 0) = delete;
  auto send(Commands&&, NodeId, SteadyTime) = delete;
  // Errors: canceled.
  auto pause(SteadyTime until) {
    const auto start = [this, until](internal::Answer<Result<void>>& answer) {
      return driver_.pause(until, answer);
    };
    return internal::Ask<Result<void>, decltype(start)>(start);
  }
  [[nodiscard]] CallDriver& driver() noexcept { return driver_; }
  [[nodiscard]] SteadyTime until() const noexcept { return until_; }
  // For those who write.
  [[nodiscard]] const Replicas& waits_for() const noexcept { return waits_for_; }

 private:
  CallDriver& driver_;
  const SteadyTime until_;
  const Replicas waits_for_;
};

// What may be done again after its answer was lost.
enum class Repeat { harmless, only_if_not_applied };

// Sends the commands until they are answered, as far as they may be repeated, and on a Cluster to
// whoever has their slot. `repeated`: set when an earlier try may have been applied.
Task<Result<Replies>> execute(CallFlow& flow, const Commands& commands, Repeat repeat,
                              bool& repeated);
// A read cannot be applied.
Task<Result<Replies>> read(CallFlow& flow, const Commands& commands);

// Whether a write that was answered so has written anything.
template <class T>
bool has_written(const Result<T>& result) {
  return result.has_value();
}

template <class Decode>
using Decoded = std::invoke_result_t<const Decode&, const Reply&, bool>;

// Sends one writing command, most often a script, and decodes its answer; by one of the shortcuts,
// where the connection has it. `slot`: of all its keys. `append(out, by)` appends the call;
// `decode(reply, repeated)`: an earlier try may have been applied, and an error then knows of it,
// too. `decode_shortcut(replies)` gives a ByShortcut.
template <class Append, class Decode, class DecodeShortcut>
Task<Decoded<Decode>> change(CallFlow& flow, Slot slot, Append append, Repeat repeat, Decode decode,
                             Shortcuts shortcuts, DecodeShortcut decode_shortcut) {
  bool repeated = false;
  const auto knows_of_repeat = [&repeated](Decoded<Decode> result) {
    if (result.has_value() || !repeated) return result;
    Error error = std::move(result).error();
    error.maybe_applied = true;
    return Decoded<Decode>(std::move(error));
  };
  CallBy by = CallBy::hash;
  const Replicas& waits_for = flow.waits_for();
  const bool waits = waits_for.count > 0;
  // What finds that it was applied before writes nothing, and waits for nobody.
  if (waits) repeat = Repeat::only_if_not_applied;
  const auto append_call = [&](std::string& out) {
    append(out, by);
    if (waits) append_wait(out, waits_for);
  };
  const Commands by_any_way =
      waits ? Commands(2, append_call, {}, slot) : Commands(1, append_call, shortcuts, slot);
  const Commands by_script =
      waits ? Commands(2, append_call, {}, slot) : Commands(1, append_call, {}, slot);
  auto first = execute(flow, by_any_way, repeat, repeated);
  Result<Replies> replies = co_await first;
  if (replies && replies->way() != Way::plain) {
    ByShortcut<Decoded<Decode>> told = decode_shortcut(*replies);
    if (told.result) co_return knows_of_repeat(*std::move(told.result));
    repeated = repeated || told.maybe_written;
    auto second = execute(flow, by_script, repeat, repeated);
    replies = co_await second;
  }
  const bool is_error = replies && (*replies)[0].type() == Reply::Type::error;
  if (is_error && is_noscript((*replies)[0].text())) {
    by = CallBy::source;
    auto with_source = execute(flow, by_script, repeat, repeated);
    replies = co_await with_source;
  }
  if (!replies) co_return knows_of_repeat(replies.error());
  Decoded<Decode> decoded = decode((*replies)[0], repeated);
  if (waits && has_written(decoded)) {
    std::optional<Error> too_few = decode_wait((*replies)[1], waits_for);
    if (too_few) co_return knows_of_repeat(*std::move(too_few));
  }
  co_return knows_of_repeat(std::move(decoded));
}

template <class Append, class Decode>
Task<Decoded<Decode>> change(CallFlow& flow, Slot slot, Append append, Repeat repeat,
                             Decode decode) {
  const auto takes_script = [](const Replies&) { return ByShortcut<Decoded<Decode>>(); };
  return change(flow, slot, std::move(append), repeat, std::move(decode), {}, takes_script);
}

}  // namespace websession::redis
