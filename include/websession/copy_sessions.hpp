// Takes the sessions of one store to another one, so that a site can move without logging anybody
// out: docs/moving.md.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "websession/config.hpp"
#include "websession/result.hpp"
#include "websession/session_directory.hpp"
#include "websession/session_store.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// What a copy has done so far, in sessions. (What the library keeps besides is not counted.)
struct CopyProgress {
  DirectoryCursor next{};        // to go on from here (CopyOptions::after)
  std::uint64_t copied = 0;      // were not there
  std::uint64_t replaced = 0;    // were there, with other contents
  std::uint64_t unchanged = 0;   // were there already, or have ended there a moment ago
  std::uint64_t ended = 0;       // were there, and are over where they come from, or are `refused`
  std::uint64_t unreadable = 0;  // corrupt where they come from: nothing was done about them
  std::uint64_t refused = 0;     // too large where they go, or with names it cannot hold: left out
  bool is_removing = false;      // it goes through `to` now, for those that are over
  bool is_done = false;          // all of it: a call that is given this begins anew
};

struct CopyOptions {
  // Where an earlier copy was interrupted: what its last on_page was told. Of the same stores.
  CopyProgress after{};
  std::size_t page = 200;  // sessions at once: 1 to SessionDirectory::page_max
  // What ends in `from` while a copy runs, or between two of them, ends in `to` as well, when all
  // of `from` has been copied; and so does what is refused. So nobody who has signed out is signed
  // in again (P1). For this `to` needs a directory, too. It ends whatever sessions only `to` has:
  // off, where that has some of its own already, or where another application's prefix begins with
  // that of `to`.
  bool remove_ended = true;
  // What a session lives for that has no end in `from`, as other programs may make them:
  // SessionOptions::idle_timeout.
  std::chrono::milliseconds ttl_if_none = std::chrono::minutes(30);
  // After each page. False: stop here. (To be told how far it has come, and to keep `next`.)
  std::function<bool(const CopyProgress&)> on_page{};
};

// Makes `to` hold what `from` holds: every session under its own key, so with its id, its
// attributes and their deadlines, its principal, its timeouts and what it has left to live; and
// what the library keeps besides (aliases, attempts at one-time codes). Sessions that are there are
// made the same, in one atomic step each. So it may be called again, and a second time costs little
// more than reading.
//
// It is no lock: what visitors change in `from` after their session was copied is not in `to` until
// it is called again, and what they change in `to` is lost by that. So call it while the site runs
// on `from`; then stop the site, call it once more, and start with `to` (docs/moving.md).
//
// Replaced ids (the seconds of SessionOptions::regenerate_grace) are not carried over, nor marks.
// Without remove_ended, what the library keeps in both is not replaced: counts stay as they are in
// `to`, and aliases name those of both.
//
// Blocks as long as it takes: for a job or a tool. Memory for one page. Gives what it has done;
// with an error, what on_page was told last has been done, and a new call goes on from there.
// Errors: invalid_argument: a store has no directory; keys are hashed ids that would never be
// found in `to`, as a Cluster's say where they lie (KeyPlacement); `from` has no session that can
// be read, as with a wrong prefix or secret, and remove_ended would end all of `to`; those of the
// stores.
Result<CopyProgress> copy_sessions(SessionStore& from, SessionStore& to,
                                   const CopyOptions& options = {});

}  // namespace websession
WEBSESSION_API_END
