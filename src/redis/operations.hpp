// The verbs of a store as Redis commands. No I/O. What is answered: answers.hpp.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "resp.hpp"
#include "scripts.hpp"
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

// An attribute with a deadline is one field of this name, with its end before the text (timed.lua).
inline constexpr std::string_view until_prefix = "@until.";

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
// What most requests write, new texts of attributes that are there, does without a script, no
// dearer than a blind write.
//
// By parts of a transaction (0: it takes the script). HSET would make a hash where none is. Only
// such a one has no time to live, so the next command ends it at once, and says so. A mark is no
// hash (mark.lua), and refuses.
[[nodiscard]] std::size_t update_parts(const Layout& layout, const Changes& changes,
                                       const Lifetime& lifetime);
void append_update_parts(std::string& out, const Layout& layout, const StoreKey& key,
                         const Changes& changes, const Lifetime& lifetime);
// When such a write has put attributes back (Changed::put_back).
void append_bound(std::string& out, CallBy by, const Layout& layout, const StoreKey& key,
                  const Changes& changes);
// By HSETEX, which writes only when all the fields are there. Before it, the time to live is
// lengthened if that is due: no write is seen without it, and a write that fails may have renewed.
// Precondition: update_parts is not 0.
enum class Hsetex { no, alone, renewing };
[[nodiscard]] Hsetex update_by_hsetex(const Changes& changes, const Lifetime& lifetime);
void append_update_by_hsetex(std::string& out, const Layout& layout, const StoreKey& key,
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

}  // namespace websession::redis
