// What every store on Redis stands on: lanes that survive a fork, and which calls are made again
// after a lost answer. It knows no layout.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
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

  template <class Decode>
  using Decoded = std::invoke_result_t<const Decode&, const Reply&, bool>;

  // Sends one writing command, most often a script, and decodes its answer. `append(out, by)`
  // appends the call; `decode(reply, repeated)`: an earlier try may have been applied. An error
  // then knows of it, too.
  template <class Append, class Decode>
  auto change(const Append& append, Repeat repeat, SteadyTime until, const Decode& decode)
      -> Decoded<Decode> {
    const auto takes_script = [](const Replies&) { return ByShortcut<Decoded<Decode>>(); };
    return change(append, repeat, until, decode, {}, takes_script);
  }

  // The same by one of the shortcuts, where the connection has it. `decode_shortcut(replies)` gives
  // a ByShortcut.
  template <class Append, class Decode, class DecodeShortcut>
  auto change(const Append& append, Repeat repeat, SteadyTime until, const Decode& decode,
              const Shortcuts& shortcuts, const DecodeShortcut& decode_shortcut)
      -> Decoded<Decode> {
    bool repeated = false;
    const auto knows_of_repeat = [&repeated](Decoded<Decode> result) {
      if (result.has_value() || !repeated) return result;
      Error error = std::move(result).error();
      error.maybe_applied = true;
      return Decoded<Decode>(std::move(error));
    };
    CallBy by = CallBy::hash;
    const auto append_call = [&](std::string& out) { append(out, by); };
    Result<Replies> replies = execute({1, append_call, shortcuts}, repeat, until, &repeated);
    if (replies && replies->way() != Way::plain) {
      ByShortcut<Decoded<Decode>> told = decode_shortcut(*replies);
      if (told.result) return knows_of_repeat(*std::move(told.result));
      repeated = repeated || told.maybe_written;
      replies = execute({1, append_call}, repeat, until, &repeated);
    }
    const bool is_error = replies && (*replies)[0].type() == Reply::Type::error;
    if (is_error && is_noscript((*replies)[0].text())) {
      by = CallBy::source;
      replies = execute({1, append_call}, repeat, until, &repeated);
    }
    return knows_of_repeat(replies ? decode((*replies)[0], repeated)
                                   : Decoded<Decode>(replies.error()));
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
