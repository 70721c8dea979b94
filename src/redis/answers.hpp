// What Redis answers to the verbs of a store (operations.hpp) as results. No I/O.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "operations.hpp"
#include "pipeline.hpp"
#include "resp.hpp"
#include "successors.hpp"
#include "websession/session_store.hpp"

namespace websession::redis {

// Whether the answer to append_load is that something else is under the key.
[[nodiscard]] bool holds_no_hash(std::span<const Reply> replies);
struct Loaded {
  Record record;
  std::string successor{};  // the key, when there is something to read in a mark
};
Result<std::optional<Loaded>> decode_mark(const Layout& layout, std::span<const Reply> replies,
                                          WallTime now);
Result<std::optional<Loaded>> decode_load(const Layout& layout, std::span<const Reply> replies,
                                          WallTime now);

Result<internal::Link<std::string>> decode_successor(std::span<const Reply> replies);

Result<void> decode_create(const Reply& reply);
// Of update and rekey.
struct Changed {
  Outcome outcome{};
  // Set: nothing was written. The session belongs to this principal; ask again with it.
  std::optional<std::string> former{};
  // Attributes that had been removed are there again, and nobody has looked whether there is room.
  bool put_back = false;
  // Of a rekey where the index is apart. Set: nothing was written. The session has so much longer
  // to live than its entry covers; ask again when it does.
  std::optional<std::chrono::milliseconds> life{};
  bool was_nobodys = false;
};
Result<Changed> decode_change(const Reply& reply, const Changes& changes);
[[nodiscard]] inline bool has_written(const Result<Changed>& result) {
  return result && !result->former && !result->life &&
         result->outcome.status == Outcome::Status::applied;
}
// Of an update without a script.
ByShortcut<Result<Changed>> decode_shortcut(const Replies& replies);
// Error: too_large (what the write has set was taken out again).
Result<void> decode_bound(const Reply& reply);

struct Erased {
  bool any = false;
  // If one of these is set nothing was ended: the chain is longer, or belongs to these as well.
  std::optional<std::string> successor{};
  std::vector<std::string> principals{};
  // Where the index is apart: whose the session was.
  std::optional<std::string> former{};
};
Result<Erased> decode_erase(const Reply& reply);
[[nodiscard]] inline bool has_written(const Result<Erased>& result) {
  return result && result->any;
}

struct Entries {
  std::vector<StoreKey> keys;
  std::size_t ranks = 0;  // that it has come to: entries, and marks of those that are being written
};
Result<Entries> decode_entries(const Layout& layout, const Reply& reply);
// Of an index that is apart.
// The latest moment of the write.
Result<std::int64_t> decode_announce(const Reply& reply);
Result<std::vector<Entry>> decode_look(const Reply& reply, std::span<const StoreKey> keys);
// Whose session is under a key; nobody's: and none will be.
enum class Under { principals, nobodys, others };
Result<Under> decode_bar(const Reply& reply);
// Of forget and strip: a number.
Result<void> decode_removal(const Reply& reply);

}  // namespace websession::redis
