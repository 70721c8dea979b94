// The door to a session's library fields, for what the library itself keeps in a session: one-time
// codes, the CSRF secret, flash messages.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "websession/session.hpp"

namespace websession::internal {

// Whose fields are whose. One-time codes: `@code` and all that begin with `@code.`.
inline constexpr std::string_view code_field = "@code";
inline constexpr std::string_view csrf_field = "@csrf";
inline constexpr std::string_view flash_prefix = "@flash.";

// Names start with '@', so the handler's set, remove and clear do not reach these fields, and a new
// id takes them along. They do not count into the session's limits: whoever keeps something here
// bounds it.
//
// Like a Session's attributes, what is not stored yet rides on the commit.
class SessionAccess {
 public:
  [[nodiscard]] static const Clock& clock(const Session& session) noexcept;
  // The store that the session is in. Valid as long as its manager.
  [[nodiscard]] static SessionStore& store(const Session& session) noexcept;
  [[nodiscard]] static bool is_https(const Session& session) noexcept;
  // Whether there is a session in the store, or the next commit makes one.
  [[nodiscard]] static bool is_or_will_be_stored(const Session& session);
  // Error: gone, or invalid_argument after invalidate.
  [[nodiscard]] static Result<void> check_alive(const Session& session);
  // The same, and whether what acts in the store at once can: gone when the session had ended
  // before the request (Session::ended), the store's error when it is degraded.
  [[nodiscard]] static Result<void> check_open(const Session& session);
  // Replaced by another id a moment ago: it can be read, and a write finds it gone.
  [[nodiscard]] static bool is_frozen(const Session& session) noexcept;
  // Keeps the error for the commit, as Session::set does.
  static void fail(Session& session, Error error);

  // The field with this request's changes on top; nullopt when it is absent or the session is over.
  // Valid until the session changes.
  [[nodiscard]] static std::optional<std::string_view> find(const Session& session,
                                                            std::string_view name);
  // The names of all fields that start so, in order.
  [[nodiscard]] static std::vector<std::string> names(const Session& session,
                                                      std::string_view prefix);
  // True when the field's next value depends on what waits for the commit.
  [[nodiscard]] static bool is_local(const Session& session, std::string_view name);

  // Changes a field with the commit; no text: removes it.
  static void put(Session& session, std::string_view name, std::optional<std::string> text,
                  std::optional<WallTime> deadline = std::nullopt);
  // Takes back what waits for the commit under this name.
  static void withdraw(Session& session, std::string_view name);

  // The next ones act in the store at once, unless the field is local: then with the commit.
  // Errors: those of check_alive and of the store; gone.

  static Result<void> set(Session& session, std::string_view name, std::string text,
                          std::optional<WallTime> deadline);
  // Sets the field if it holds `expected` (none: if it is absent). False: it does not, and find()
  // then shows what it holds.
  static Result<bool> replace(Session& session, std::string_view name,
                              std::optional<std::string_view> expected, std::string text,
                              std::optional<WallTime> deadline);
  // A random text of the session's own, made at first use. Requests that use it first at the same
  // time agree on one.
  static Result<std::string> secret(Session& session, std::string_view name);

  // One atomic change of stored fields. Precondition: none of them is local.
  static Result<Outcome> write_now(Session& session, Changes changes);
};

}  // namespace websession::internal
