// Where sessions are kept: the interface that stores implement.
//
// websession brings MemoryStore (memory_store.hpp), SqliteStore (sqlite_store.hpp), PostgresStore
// (postgres_store.hpp) and RedisStore (redis_store.hpp). To write one of your own, implement the
// five verbs and run the conformance suite on it (testing/store_conformance.hpp); validate() and
// apply() below do the part that all stores share.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "websession/clock.hpp"
#include "websession/config.hpp"
#include "websession/fields.hpp"
#include "websession/result.hpp"
#include "websession/session_id.hpp"

WEBSESSION_API_BEGIN
namespace websession {

class PrincipalIndex;    // principal_index.hpp
class SessionDirectory;  // session_directory.hpp
class KeyPlacement;      // key_placement.hpp

// The time to live of a record, counted by the store from the moment it writes; and who is listed
// with it.
struct Lifetime {
  std::chrono::milliseconds ttl{};  // 1 ms to 400 days
  // What `@user` holds after the write: stores that have a PrincipalIndex (principal_index.hpp)
  // list the session there, others and those who pass calls on need not look at it. Empty: nobody
  // has signed in. Has to be valid during the call.
  std::string_view principal{};
  // An update renews only when that lengthens the time to live by at least this much. Zero: by
  // anything. So most writes leave it, and the index, alone.
  std::chrono::milliseconds renew_after{};
  // What the session has left at least, by what is known of it. A renewal that is due by this is
  // made even if the session turns out to have more left: the caller counts on it. With it a store
  // may decide without looking.
  std::optional<std::chrono::milliseconds> left{};
  // Of update: the time to live becomes `ttl` even where that is less than what is left. For a
  // session whose timeouts were shortened (SessionBase::set_timeouts).
  bool shortens = false;
  // `ttl` is what is left of the absolute timeout, less than the idle one: for stores that tell why
  // a session has ended (EndReason).
  bool is_absolute = false;
};
inline constexpr std::chrono::milliseconds ttl_max = std::chrono::hours(24 * 400);

// What stays under the key of a session that was replaced (rekey) or has ended (erase): a mark, by
// which a request that comes late is told from one with an id of nobody's. Nothing can be written
// under it.
struct Grace {
  std::chrono::milliseconds duration{};  // zero: nothing stays
  // Of rekey: the old state can be read meanwhile, frozen. False, or when the session passes to
  // another principal or to none: all that can be told is that it is over.
  bool readable = true;
};

// A session as a store holds it.
struct Record {
  Fields fields;                          // what is visible now: no expired attribute
  std::chrono::milliseconds remaining{};  // time to live that was left
  bool frozen = false;                    // a mark (Grace): not writable
  // Attributes that have expired and still take room in the store (one may have been set again
  // without a deadline, and be among the fields). Whoever writes this session next hands them to
  // Changes::reap. Stores that clean up by themselves leave it empty.
  std::vector<std::string> expired{};

  // A mark without anything to read: the session was replaced or has ended a moment ago.
  [[nodiscard]] bool is_over() const noexcept { return frozen && fields.empty(); }
};

// What one atomic step changes. The store checks `expect` and the counters first, against what it
// holds at that moment; if all of them hold, it applies clear, then the rest.
// A name stands at most once in set, remove and increment together.
struct Changes {
  // A text for an attribute, whatever it holds.
  struct Set {
    std::string name;
    std::string value;
    std::optional<WallTime> deadline{};  // none: the attribute lives as long as the session
    // A hint: when the session was loaded, the attribute was there and had no deadline. A store may
    // then write it more cheaply. If it has been removed since, it is there again; a store may let
    // a session hold up to twice `attributes_max` that way.
    bool replaces = false;
  };
  // Adds to an integer; an absent attribute counts as 0. A deadline of the attribute stays.
  struct Increment {
    std::string name;
    std::int64_t by = 1;
  };
  // The attribute's text must be one of these; an empty list: it must be absent.
  struct Expect {
    std::string name;
    std::vector<std::string> any_of;
  };

  std::vector<Set> set{};
  std::vector<std::string> remove{};
  std::vector<Increment> increment{};
  std::vector<Expect> expect{};
  std::vector<std::string> reap{};  // remove each of these only if its deadline has passed
  bool clear = false;               // remove all attributes; fields that start with '@' stay
  // With clear: the fields that start with '@' go as well, but `@created` and `@user`. For a
  // session that passes to another principal, or to nobody: what others have stored meanwhile goes,
  // too.
  bool clear_reserved = false;
  // What the session may hold afterwards, if it grows: names and values of the attributes together,
  // and how many. 0: no bound. Fields that start with '@' do not count. Writers that each look at
  // what they have loaded cannot know what all of them add up to; the store does.
  std::size_t bytes_max = 0;
  std::size_t attributes_max = 0;
  // So many bytes of each attribute do not count for bytes_max: what a store upon this one adds.
  std::size_t bytes_spare = 0;

  // True when there is nothing but a renewal. Names to reap alone do not count as a change.
  [[nodiscard]] bool empty() const noexcept {
    return set.empty() && remove.empty() && increment.empty() && expect.empty() && !clear;
  }
};

// What became of changes.
struct Outcome {
  enum class Status {
    applied,
    gone,      // there is no such session (any more), or only its mark: nothing was written
    conflict,  // an `expect` did not hold: nothing was written
  };
  Status status = Status::applied;
  std::vector<std::int64_t> counters{};  // the new values, in the order of Changes::increment
  // On a conflict: what the first attribute that was not as expected holds; none: it is absent.
  std::optional<std::string> found{};
};

// All verbs are safe to call from many threads at once, and each is one atomic step with respect to
// all writers of the store. A failed call writes nothing, unless its error says `maybe_applied`;
// but it may have renewed the session. Errors that every verb may give: unavailable, timeout,
// overloaded, rejected, corrupt.
//
// Names and values are any bytes, NUL and the empty value included. An attribute whose deadline has
// passed is absent in every verb.
//
// A store that stands upon another one derives from StoreDecorator (store_decorator.hpp).
class SessionStore {
 public:
  SessionStore() = default;
  SessionStore(const SessionStore&) = delete;
  SessionStore& operator=(const SessionStore&) = delete;
  virtual ~SessionStore() = default;

  // The session, or its mark; nullopt when there is neither. A frozen record is over, and has no
  // fields, once its successor has ended, or, if that is frozen as well, the last one of the chain.
  // A chain of more than 16 is not followed: the first ones are over.
  virtual Result<std::optional<Record>> load(const StoreKey& key) = 0;

  // Stores a new session. `fields` must hold `@created`.
  // Errors: key_exists (nothing is overwritten), invalid_argument. Nor is a mark overwritten. And
  // gone: while this one was being made, all sessions of its principal were ended
  // (PrincipalIndex::forget), in stores where that takes more than one step.
  virtual Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) = 0;

  // Changes a session; it never creates one. The time to live becomes `lifetime` if a renewal is
  // due (is_renewal_due). Empty changes only renew. On a conflict nothing is renewed either.
  // Errors: invalid_argument (bad changes; a counter that is no integer or would overflow);
  // too_large (the session would grow beyond Changes::bytes_max or attributes_max). A store may
  // count the bytes approximately: what fits exactly is never refused, and no session grows beyond
  // twice the bound. When it took hints (Set::replaces) to get there, the attributes that were to
  // be set may be gone afterwards (maybe_applied).
  virtual Result<Outcome> update(const StoreKey& key, const Changes& changes,
                                 Lifetime lifetime) = 0;

  // Moves a session to a new key in one step: `to` gets what `from` holds at that moment, with the
  // changes on top. Under `from` a mark stays for the grace: with the old state (never longer than
  // it had left), or only that it is over. The time to live of `to` is the larger one of `lifetime`
  // and what `from` had left.
  //
  // A rekey may be repeated after a lost answer: with the same two keys it is `applied`, writes
  // nothing, and gives the counters that `to` holds by then. It knows itself by the mark under
  // `from`; where no mark is left, by `to` being there while `from` is not, so draw `to` from a
  // CSPRNG. Gone when both are absent, or `from` is marked for another successor.
  // Errors: key_exists (`to` is another session), and those of update.
  virtual Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                                Lifetime lifetime, Grace grace) = 0;

  // Ends a session, and leaves a mark without anything to read for the grace. A mark is followed to
  // its successor, to the end of the chain, unless the session passed to another principal, or to
  // none, on the way: then it is somebody else's. Fails for no size, nor for what the index holds.
  // False: there was nothing to end. Error: corrupt, when a chain has more than 16.
  virtual Result<bool> erase(const StoreKey& key, Grace grace = {}) = 0;

  // Which sessions a principal has: the store's index (principal_index.hpp), which lives as long
  // and keeps what it promises there. Null: it keeps none. Always the same.
  [[nodiscard]] virtual PrincipalIndex* index() noexcept { return nullptr; }
  // All sessions, for tools (session_directory.hpp), as long as the store lives. Null: it cannot
  // list them. Always the same.
  [[nodiscard]] virtual SessionDirectory* directory() noexcept { return nullptr; }
  // Null: any key can become any other one. Always the same.
  [[nodiscard]] virtual std::shared_ptr<const KeyPlacement> placement() const { return nullptr; }
};

// For authors of stores.

// The library's names for what a store may keep beside the attributes.
inline constexpr std::string_view created_field = "@created";
inline constexpr std::string_view user_field = "@user";    // the principal, once signed in
inline constexpr std::string_view label_field = "@label";  // what the principal knows it by

// Refuse what no store may accept, with invalid_argument. That is a create without a valid
// `@created`, names of the store's own (`@until.*`), a removed `@created`, a deadline
// for `@created` or `@user`, a name in two lists, a time to live out of range.
Result<void> validate(const Fields& fields, Lifetime lifetime);
Result<void> validate(const Changes& changes, Lifetime lifetime);

// Whether an update renews a session that the store sees to have so much time left. It never
// shortens, unless Lifetime::shortens asks for that.
[[nodiscard]] bool is_renewal_due(const Lifetime& lifetime,
                                  std::chrono::milliseconds left) noexcept;

// What apply gives.
struct Applied {
  Outcome outcome;
  Fields fields;  // the new state, without expired attributes; meaningless on conflict
};

// What `changes` make of `stored` at the time `now`; pure. Errors: those of SessionStore::update.
// Precondition: a name stands at most once in set, remove and increment together (validate).
Result<Applied> apply(const Fields& stored, const Changes& changes, WallTime now);

// Whether `after` is another principal's than `before`, or nobody's: then what is left under the
// old key says so (SessionStore::erase does not follow it).
bool passes_on(const Fields& before, const Fields& after);

// The fields that have not expired.
Fields live_fields(const Fields& stored, WallTime now);

// An integer as counters are kept: decimal, no sign but '-', no leading zero, within int64.
std::optional<std::int64_t> parse_integer(std::string_view text) noexcept;

}  // namespace websession
WEBSESSION_API_END
