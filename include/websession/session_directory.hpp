// All sessions of a store: an ability that a store may have besides its five verbs
// (SessionStore::directory). All stores of the library have it. For tools and jobs, such as
// websession-admin (docs/admin.md) and copy_sessions (copy_sessions.hpp); no request needs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "websession/config.hpp"
#include "websession/result.hpp"
#include "websession/session_id.hpp"
#include "websession/session_options.hpp"
#include "websession/session_store.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// How far somebody has come who goes through all sessions. A value: it may be kept, and taken up
// later by another process. A cursor of a Redis is worth nothing after that has restarted, or
// failed over: begin anew then.
//
// A secret: those of the SQL stores hold the key of a session.
class DirectoryCursor {
 public:
  DirectoryCursor() = default;  // the beginning
  explicit DirectoryCursor(std::string text) noexcept : text_(std::move(text)) {}
  [[nodiscard]] const std::string& secret() const noexcept { return text_; }
  [[nodiscard]] bool is_beginning() const noexcept { return text_.empty(); }

 private:
  std::string text_{};
};

struct DirectoryPage {
  std::vector<StoreKey> keys{};
  DirectoryCursor next{};
  bool is_last = false;  // then `next` is the beginning
};

struct SessionCount {
  std::uint64_t sessions = 0;
  bool is_exact = true;  // false: reckoned from a part of them
};

// Gives keys: what is under one, SessionStore::load tells, by the time of which it may be gone.
//
// Safe to call from many threads at once. Errors: those that every verb of the store may give;
// invalid_argument, a cursor that no store of this kind has made.
class SessionDirectory {
 public:
  SessionDirectory() = default;
  SessionDirectory(const SessionDirectory&) = delete;
  SessionDirectory& operator=(const SessionDirectory&) = delete;
  virtual ~SessionDirectory() = default;

  // So many keys are asked for at once at most.
  static constexpr std::size_t page_max = 10'000;

  // The next keys, `about` so many (1 to page_max): a page may have more or fewer, or none at all,
  // and only is_last says that there are no more. One bounded step of the store.
  //
  // Who goes on to the last page has had every session that was there, under one key, from the
  // first page to the last. What is made, is replaced (a new id) or ends meanwhile may be there or
  // not, and one key may come twice, while a Redis makes room. While slots of a Redis Cluster move,
  // their sessions may be missing: count and copy when it is at rest.
  //
  // No marks (Grace). Among the keys are those of what the library itself keeps in a store
  // (is_session tells), and with Redis those of other programs' hashes under the same prefix, which
  // load takes for no session.
  virtual Result<DirectoryPage> page(const DirectoryCursor& after, std::size_t about) = 0;

  // How many sessions there are, without going through all of them. MemoryStore counts. SqliteStore
  // and PostgresStore count up to 100,000 rows; beyond, they reckon from the share of sessions
  // among those, and from how many rows there are: SQLite counts them in its index, PostgreSQL's
  // statistics are brought up to date by a VACUUM or ANALYZE. Redis counts up to some hundred keys,
  // and beyond reckons from the share of sessions among those, so that other programs' keys make it
  // less true.
  virtual Result<SessionCount> count() = 0;
};

// Counts page by page, whatever that takes: keys, so what load takes for no session counts as well,
// where other programs have hashes under the prefix.
Result<std::uint64_t> count_sessions(SessionDirectory& directory);

// Whether sessions are kept under such a key, and not what the library remembers besides them
// (attempts at one-time codes, aliases).
[[nodiscard]] bool is_session(const StoreKey& key) noexcept;

// What a session may be called in a list, as SessionInfo::handle: 22 base64url characters, from
// which nobody can get to the session. The same as long as it keeps its key: its id, and the form
// of that (IdStorage).
[[nodiscard]] std::string handle_of(const StoreKey& key);

// The key under which a manager with these options keeps a new session of this id. `placement`:
// SessionStore::placement.
[[nodiscard]] StoreKey key_of(const SessionId& id, IdStorage storage,
                              std::string_view id_namespace = {},
                              const KeyPlacement* placement = nullptr);

// invalid_argument: what is asked for needs a store with a directory.
[[nodiscard]] Error no_session_directory();

}  // namespace websession
WEBSESSION_API_END
