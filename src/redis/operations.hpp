// The verbs of a store as Redis commands, and their replies as results. No I/O.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "resp.hpp"
#include "scripts.hpp"
#include "successors.hpp"
#include "websession/session_store.hpp"

namespace websession::redis {

// How the store is set up, as far as the commands depend on it.
struct Layout {
  std::string prefix;
  bool adopt_foreign_hashes = false;

  [[nodiscard]] std::string key(const StoreKey& key) const { return prefix + key.secret(); }
  // Where a principal's sessions are listed. No id holds a ':', so no session has such a key.
  [[nodiscard]] std::string index_key(std::string_view principal) const {
    return prefix + "user:" + std::string(principal);
  }
};

// Each of these appends the commands of one verb to `out`.
inline constexpr std::size_t load_replies = 2;
void append_load(std::string& out, const Layout& layout, const StoreKey& key);
// When there is no hash (holds_no_hash): the mark that there may be.
inline constexpr std::size_t mark_replies = 2;
void append_mark(std::string& out, const Layout& layout, const StoreKey& key);
// Whether a successor is there, and whether it has one itself.
inline constexpr std::size_t successor_replies = 2;
void append_successor(std::string& out, std::string_view key);

void append_create(std::string& out, CallBy by, const Layout& layout, const StoreKey& key,
                   const Fields& fields, Lifetime lifetime);
// `former`: whom the session has belonged to so far, as far as it is known; empty: not known, or
// nobody. Only a key that a script was given may be touched by it, so it asks (Changed::former)
// when it needs another index.
void append_update(std::string& out, CallBy by, const Layout& layout, const StoreKey& key,
                   const Changes& changes, Lifetime lifetime, std::string_view former,
                   WallTime now);
// The same update as parts of a transaction, for what most requests write: new texts of attributes
// that are there. Without a script, it is no dearer than a blind write. 0: it takes the script.
//
// HSET would make a hash where none is. Only such a one has no time to live, so the next command
// ends it at once, and says so. A mark is no hash (mark.lua), and refuses.
[[nodiscard]] std::size_t update_parts(const Layout& layout, const Changes& changes,
                                       const Lifetime& lifetime);
void append_update_parts(std::string& out, const Layout& layout, const StoreKey& key,
                         const Changes& changes, const Lifetime& lifetime);
void append_rekey(std::string& out, CallBy by, const Layout& layout, const StoreKey& from,
                  const StoreKey& to, const Changes& changes, Lifetime lifetime, Grace grace,
                  std::string_view former, WallTime now);
// `principals`: those of the chain's sessions, as far as they are known.
void append_erase(std::string& out, CallBy by, const Layout& layout,
                  std::span<const std::string> chain, std::span<const std::string> principals,
                  Grace grace);
void append_strip(std::string& out, CallBy by, const Layout& layout, const StoreKey& key);

// Of the index: the entries of these ranks, from the one that ends first on; dropping some (at
// least one).
void append_entries(std::string& out, const Layout& layout, std::string_view principal,
                    std::size_t first, std::size_t count);
void append_forget(std::string& out, const Layout& layout, std::string_view principal,
                   std::span<const StoreKey> keys);

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
};
Result<Changed> decode_change(const Reply& reply, const Changes& changes);
// Precondition: it is the array that the parts of an update gave.
Result<Changed> decode_update_parts(const Reply& reply);

struct Erased {
  bool any = false;
  // If one of these is set nothing was ended: the chain is longer, or belongs to these as well.
  std::optional<std::string> successor{};
  std::vector<std::string> principals{};
};
Result<Erased> decode_erase(const Reply& reply);

Result<std::vector<StoreKey>> decode_entries(const Layout& layout, const Reply& reply);
// Of forget and strip: a number.
Result<void> decode_removal(const Reply& reply);

}  // namespace websession::redis
