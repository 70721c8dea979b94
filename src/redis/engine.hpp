// What every store on Redis stands on: lanes that survive a fork, and which calls are made again
// after a lost answer. It knows no layout.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dialer.hpp"
#include "lanes.hpp"
#include "pipeline.hpp"
#include "resp.hpp"
#include "scripts.hpp"
#include "server_error.hpp"
#include "transport.hpp"
#include "websession/clock.hpp"
#include "websession/redis_store.hpp"
#include "websession/result.hpp"

namespace websession::redis {

// What may be done again after its answer was lost.
enum class Repeat { harmless, only_if_not_applied };

// Where a store connects to, and what it says first.
struct Endpoint {
  std::shared_ptr<Connector> connector;
  Login login;
};
// `prefix`: of the store's keys; the one of the options is not looked at. `scripts`: the sources of
// those that the store calls. Error: invalid_argument (URL, options).
Result<Endpoint> make_endpoint(std::string_view url, const RedisOptions& options,
                               std::string prefix, std::vector<std::string> scripts);

// Safe to use from many threads at once, and on both sides of a fork.
class Engine {
 public:
  Engine(Endpoint endpoint, const RedisOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Makes the first connection, by connect_timeout.
  Result<void> connect();

  // By when an operation that begins now returns.
  [[nodiscard]] SteadyTime deadline() const;

  // A read cannot be applied.
  Result<Replies> read(const Commands& commands, SteadyTime until);

  // Sends one writing command, most often a script, and decodes its answer. `append(out, by)`
  // appends the call; `decode(reply, repeated)`: an earlier try may have been applied. An error
  // then knows of it, too.
  template <class Append, class Decode>
  auto change(const Append& append, Repeat repeat, SteadyTime until, const Decode& decode)
      -> decltype(decode(std::declval<const Reply&>(), false)) {
    const auto none = [](std::string&) {};
    return change(append, repeat, until, decode, 0, none, decode);
  }

  // The same by so many parts of a transaction (Commands) where the connection does them.
  // `decode_parts` gets their array.
  template <class Append, class Decode, class AppendParts, class DecodeParts>
  auto change(const Append& append, Repeat repeat, SteadyTime until, const Decode& decode,
              std::size_t parts, const AppendParts& append_parts, const DecodeParts& decode_parts)
      -> decltype(decode(std::declval<const Reply&>(), false)) {
    bool repeated = false;
    CallBy by = CallBy::hash;
    const auto append_call = [&](std::string& out) { append(out, by); };
    const Commands call(1, append_call);
    Result<Replies> replies =
        parts == 0 ? execute(call, repeat, until, &repeated)
                   : execute({1, append_call, parts, append_parts}, repeat, until, &repeated);
    const auto is_error = [&replies] {
      return replies && (*replies)[0].type() == Reply::Type::error;
    };
    const bool by_parts = replies && replies->is_of_parts() && !is_error();
    // A transaction that was refused has applied nothing. The script does it, or says why not.
    if (replies && replies->is_of_parts() && !by_parts) {
      replies = execute(call, repeat, until, &repeated);
    }
    if (!by_parts && is_error() && is_noscript((*replies)[0].text())) {
      by = CallBy::source;
      replies = execute(call, repeat, until, &repeated);
    }
    using Decoded = decltype(decode(std::declval<const Reply&>(), false));
    Decoded result = !replies   ? Decoded(replies.error())
                     : by_parts ? decode_parts((*replies)[0], repeated)
                                : decode((*replies)[0], repeated);
    if (result.has_value() || !repeated) return result;
    Error error = std::move(result).error();
    error.maybe_applied = true;
    return error;
  }

 private:
  // Lanes belong to the process that made them. After a fork, the child must not even lock their
  // mutexes: another thread of the parent may have held one. So the child makes its own lanes, and
  // keeps the old ones, disowned and untouched, for the rest of its life.
  struct OwnedLanes {
    pid_t owner;
    Lanes lanes;
    OwnedLanes* inherited;
  };
  OwnedLanes* make_lanes(OwnedLanes* inherited) const;
  Lanes& lanes();

  // Leaves a server whose answer says that the one to ask is elsewhere. `repeated`: set when an
  // earlier try may have been applied.
  Result<Replies> execute(const Commands& commands, Repeat repeat, SteadyTime until,
                          bool* repeated = nullptr);

  const Endpoint endpoint_;
  const EngineOptions options_;
  std::atomic<OwnedLanes*> current_;
};

}  // namespace websession::redis
