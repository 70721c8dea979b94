// Sessions in Redis as npm's express-session and connect-redis keep them: one JSON text each. For
// a site in Node that moves to C++ one endpoint at a time, without logging anyone out. The layout
// is in docs/redis-layout.md. Everybody else is better served by RedisStore.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "websession/config.hpp"
#include "websession/cookie.hpp"
#include "websession/redis_store.hpp"
#include "websession/session_directory.hpp"
#include "websession/session_store.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// The `cookie` object of sessions that are made here: give what the site gives as
// `session({cookie: …})`. Express goes by it when it sends the cookie again, and for how long the
// session lives after its own writes. In sessions that Express made, its own is kept as it is.
struct ExpressCookie {
  std::string path = "/";
  std::string domain{};  // empty: none
  // None: until the browser is closed; connect-redis then uses its `ttl`. At most 400 days.
  std::optional<std::chrono::milliseconds> max_age{};
  bool http_only = true;
  bool secure = false;
  std::optional<SameSite> same_site{};
};

struct RedisJsonOptions {
  std::string prefix = "sess:";  // of every key, as with connect-redis
  ExpressCookie cookie{};
  // How to connect, with which timeouts and limits. Its `prefix` and `adopt_foreign_hashes` are for
  // the other layout, and not used: here each session of Express is taken up anyway.
  RedisOptions redis{};
};

// Reads and writes what connect-redis 7 to 9 writes with its usual serializer (JSON). Its promises
// are those of SessionStore, with these differences.
//
// Among programs that use this store
// - a write is compare-and-retry: it reads the text, and replaces it only if it is the same still.
//   No update is lost, as with other stores; but all who write to one session take turns, also for
//   different attributes. A write is two round trips, and one more for each time another was first;
//   Errc::timeout when that lasts until the operation timeout;
// - whatever is changed, the whole text is written.
//
// Express
// - writes the whole session without looking (the last one wins), so a change that is made here
//   while a request runs there is lost when that request saves;
// - writes unconditionally, so a session that is erased or gets a new id here while a request runs
//   there comes back when that request saves;
// - can make keys without a time to live (`disableTTL`); the next write here gives them one.
// So move whole areas of a site, not two endpoints that write at the same moment.
//
// The cookie is the site's own with its name (`SessionOptions::cookie.name = "connect.sid"`) and
// its secret (`signing = {keys, CookieFormat::express}`). `id_storage` stays plain: Express looks
// for a session under its id.
//
// Who is signed in
// - `Session::sign_in` works, and writes of Express keep who it is (`@user`). What Express calls a
//   login is an attribute here, and no sign-in; nor does a logout there sign anyone out, unless it
//   ends the session or gives it a new id.
// - There is no PrincipalIndex. Express may bring a session back that has ended, and would not list
//   it, so nobody could promise that all of them have ended. sessions_of, erase_one,
//   sign_out_everywhere and max_sessions_per_principal are refused with invalid_argument.
//
// The promises to the visitor
// - A session of Express has no `@created`: it counts as made when it is first seen here, and the
//   next commit notes that. Express keeps it from then on. It does not know the absolute timeout:
//   after it, the session is over here, and lives on there.
// - After `regenerate`, the old id is unknown to Express at once, as after its own `regenerate`.
//   Here it reads the old state for the grace.
//
// Values are those of JSON: what is a number or a string here is one there. Express reads numbers
// as doubles, so an integer beyond 2^53 is rounded when it saves. Texts and names that are not
// UTF-8, and `Text` that is JSON with blanks around it or needless escapes, are kept, but Express
// does not see them. Attributes cannot have the names `cookie` and `__websession`, nor those that a
// session object of Express has by itself (`id`, `req`, `save`, `toString`…), which it would drop:
// invalid_argument.
//
// A text under the prefix that is no JSON object with a `cookie` object is `corrupt`: Express fails
// on it, too. So is one whose `__websession` this library cannot have written. Erasing works on
// them all the same.
//
// Threads, forks and signals as with RedisStore.
class RedisJsonStore final : public SessionStore, public SessionDirectory {
 public:
  // As RedisStore::connect and connect_later.
  static Result<std::shared_ptr<RedisJsonStore>> connect(std::string_view url,
                                                         RedisJsonOptions options = {});
  static Result<std::shared_ptr<RedisJsonStore>> connect_later(std::string_view url,
                                                               RedisJsonOptions options = {});
  ~RedisJsonStore() override;

  Result<std::optional<Record>> load(const StoreKey& key) override;
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override;
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override;
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override;
  Result<bool> erase(const StoreKey& key, Grace grace = {}) override;
  [[nodiscard]] SessionDirectory* directory() noexcept override { return this; }

  Result<DirectoryPage> page(const DirectoryCursor& after, std::size_t about) override;
  Result<SessionCount> count() override;

  struct Impl;  // private to the library
  explicit RedisJsonStore(std::unique_ptr<Impl> impl) noexcept;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace websession
WEBSESSION_API_END
