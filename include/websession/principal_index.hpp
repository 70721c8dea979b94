// Which sessions a principal (a user, an account) has: an ability that a store may have besides its
// five verbs (SessionStore::index). The library's stores have it, but for RedisJsonStore.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "websession/config.hpp"
#include "websession/result.hpp"
#include "websession/session_id.hpp"
#include "websession/session_store.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// What forget() does about a session that somebody is making at this very moment. Where the session
// and its entry are on two servers, the entry is there first.
enum class BeingMade {
  stays,  // its entry, too
  ends,   // it never comes to be: whoever makes it is told that it is gone
};

// The verbs of the store keep it: a write that makes a session a principal's (Lifetime::principal),
// gives it a new key or a longer life lists it under that principal for as long, and each end of a
// session takes its entry away, in the same atomic step; in stores on several servers the entry
// comes in a step before, and goes in one after (BeingMade). So whoever finds no entry knows that
// there is no session. The other way round it errs: a session that ended by its time to live, or
// past the library, leaves an entry until it is forgotten or the store drops it, which it does in a
// time and number that are bounded. So does a write that gives a session to another principal, or
// to none, in stores that cannot do better.
//
// Cases that show it are in testing/store_conformance.hpp (principal_index_cases).
//
// Safe to call from many threads at once. Errors: those that every verb of the store may give.
class PrincipalIndex {
 public:
  // So many entries at most are given at once. Fewer: those are all. Those of a principal who has
  // more come to light as these are dropped; so who wants all drops what is over, and asks again.
  static constexpr std::size_t entries_max = 10'000;

  PrincipalIndex() = default;
  PrincipalIndex(const PrincipalIndex&) = delete;
  PrincipalIndex& operator=(const PrincipalIndex&) = delete;
  virtual ~PrincipalIndex() = default;

  // The keys listed under the principal, frozen ones that can be read included; those first that
  // were listed (or in some stores renewed) longest ago. A list of less than two is as it was at
  // one moment; in a longer one, what changes meanwhile may be there twice or not at all.
  virtual Result<std::vector<StoreKey>> entries(std::string_view principal) = 0;

  // Drops entries whose session is gone. Precondition: after they were listed, the store had no
  // session of this principal under these keys. (None will be there later: a key is never used
  // twice, and a session that was being made is kept from it if `made` says so. Who only looks says
  // that it stays; then an entry that is new may stay, too.) A store may ignore keys that it does
  // not list, under this principal or at all, and those of sessions that it has: an index that is
  // exact needs no telling.
  virtual Result<void> forget(std::string_view principal, std::span<const StoreKey> keys,
                              BeingMade made) = 0;

  // Takes from a frozen record what can be read in it, so that it is over, and leaves its mark:
  // SessionStore::erase would end its successor. Precondition: the store gave the record as frozen.
  virtual Result<void> end_frozen(const StoreKey& key) = 0;
};

// invalid_argument: what is asked for needs a store with an index.
[[nodiscard]] Error no_principal_index();

}  // namespace websession
WEBSESSION_API_END
