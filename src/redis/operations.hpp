// The verbs of a store as Redis commands. No I/O. What is answered: answers.hpp.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "resp.hpp"
#include "scripts.hpp"
#include "slots.hpp"
#include "websession/session_store.hpp"

namespace websession::redis {

// How the store is set up, as far as the commands depend on it.
struct Layout {
  std::string prefix;
  bool adopt_foreign_hashes = false;
  bool on_cluster = false;

  // Whether a session and the index of its principal lie in different slots, so that no script can
  // write both (docs/redis-layout.md, "On a Cluster").
  [[nodiscard]] bool index_is_apart() const noexcept { return on_cluster && !has_tag(prefix); }
  // Of one key, by its text as the server has it; 0 where there are no slots.
  [[nodiscard]] Slot slot_of(std::string_view text) const noexcept {
    return on_cluster ? redis::slot_of(text) : Slot{0};
  }
  [[nodiscard]] Slot slot(const StoreKey& key) const {
    return on_cluster ? slot_of(this->key(key)) : Slot{0};
  }
  [[nodiscard]] Slot index_slot(std::string_view principal) const {
    return on_cluster ? slot_of(index_key(principal)) : Slot{0};
  }

  [[nodiscard]] std::string key(const StoreKey& key) const { return prefix + key.secret(); }
  // Where a principal's sessions are listed. No id holds a ':', so no session has such a key.
  [[nodiscard]] std::string index_key(std::string_view principal) const {
    return prefix + "user:" + std::string(principal);
  }
};

// An attribute with a deadline is one field of this name, with its end before the text (timed.lua).
inline constexpr std::string_view until_prefix = "@until.";

// What the entry of a session allows that was written before it, where the index is apart.
struct Covered {
  static constexpr std::int64_t without_end = 9'000'000'000'000'000;
  // By the clock of whoever has the session: after this (Unix ms) nothing is written,
  std::int64_t latest = without_end;
  // and no session gets a longer life (ms).
  std::int64_t ttl = without_end;
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
                   const Fields& fields, Lifetime lifetime, Covered covered = {});
// `former`: whom the session has belonged to so far, as far as it is known; empty: not known, or
// nobody. Only a key that a script was given may be touched by it, so it asks (Changed::former)
// when it needs another index.
void append_update(std::string& out, CallBy by, const Layout& layout, const StoreKey& key,
                   const Changes& changes, Lifetime lifetime, std::string_view former, WallTime now,
                   Covered covered = {});
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
                  std::string_view former, WallTime now, Covered covered = {});
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

// Of an index that is apart. An entry is marked as being written by another one, whose end is that
// of the mark.
inline constexpr std::string_view being_written = "?";
// Lists the session of a write that comes next: it has `window` to happen, and the session at most
// `ttl` to live then. `may_make`: there may be no such session before it.
void append_announce(std::string& out, CallBy by, const Layout& layout, std::string_view principal,
                     const StoreKey& key, std::chrono::milliseconds ttl,
                     std::chrono::milliseconds window, bool may_make);
// An entry as it was looked at.
struct Entry {
  StoreKey key;
  std::string score;            // empty: there is none
  std::int64_t made_until = 0;  // Unix ms; 0: its session is not being made
  bool is_barred = false;       // not any more
};
void append_look(std::string& out, CallBy by, const Layout& layout, std::string_view principal,
                 std::span<const StoreKey> keys);
// Drops entries that are as they were, unless their sessions are being made.
void append_forget(std::string& out, CallBy by, const Layout& layout, std::string_view principal,
                   std::span<const Entry> entries);
// Drops entries, marks included; by their keys as the server has them.
void append_unlist(std::string& out, const Layout& layout, std::string_view principal,
                   std::span<const std::string> keys);
// Takes away that an entry is being written.
void append_written(std::string& out, const Layout& layout, std::string_view principal,
                    const StoreKey& key);
// Lets an entry end after so much time.
void append_shorten(std::string& out, CallBy by, const Layout& layout, std::string_view principal,
                    const StoreKey& key, std::chrono::milliseconds ttl);
// Takes the key, if there is nothing under it, up to that moment (Unix ms): no session will be made
// there. 0: only looks whether one is there.
void append_bar(std::string& out, CallBy by, const Layout& layout, const StoreKey& key,
                std::int64_t until, std::string_view principal);

}  // namespace websession::redis
