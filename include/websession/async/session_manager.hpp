// Ties sessions to requests on an event loop: what SessionManager is for threads that may block.
//
//   auto loop = EpollReactor::make().value();                       // or your framework's
//   auto store = AsyncRedisStore::connect_later("redis://127.0.0.1", {loop}).value();
//   const auto manager = AsyncSessionManager::make(store, options).value();
//   …
//   auto opened = manager.open({cookie_header, https});             // a handler, as a coroutine
//   Result<AsyncSession> session = co_await std::move(opened);
//   session->set("visits", session->value("visits", 0) + 1);
//   auto committed = manager.commit(*session);
//   Result<Commit> commit = co_await std::move(committed);          // send commit->headers
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "websession/async/op.hpp"
#include "websession/async/session.hpp"
#include "websession/async/session_store.hpp"
#include "websession/config.hpp"
#include "websession/fields.hpp"
#include "websession/http.hpp"
#include "websession/result.hpp"
#include "websession/session_id.hpp"
#include "websession/session_manager.hpp"
#include "websession/session_options.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// Const, cheap to copy, and safe to use from many threads at once, on the loops of its store and
// elsewhere (Op). Nothing blocks. What each function promises is said where SessionManager has it.
//
// When the client of a request is gone, finish all the same, or stop what runs (Op::stop_on): a
// stop before the store was given the first write ends the operation with `canceled`, and nothing
// has happened; after that it goes on to its end, also while the store has yet to connect. So a
// sign-in has either not begun, or is made with all its steps (the new id, the end of the old one,
// the limit on sessions); if nobody sends its cookie, the session is one that nobody has, and ends
// when its time is over.
//
// Managers keep the store, as whoever else has it does; sessions and operations do not. When it is
// destroyed, what is left of those is `unavailable` from then on (if its loop is still there:
// AsyncSession).
class AsyncSessionManager {
 public:
  // Errors: invalid_argument, as SessionManager::make.
  static Result<AsyncSessionManager> make(std::shared_ptr<AsyncSessionStore> store,
                                          SessionOptions options = {});

  [[nodiscard]] Op<AsyncSession> open(const RequestInfo& request) const;
  [[nodiscard]] Op<Commit> commit(const AsyncSession& session) const;
  [[nodiscard]] Op<Commit> abandon(const AsyncSession& session) const;
  void report(const Error& error, const AsyncSession& session) const noexcept;
  // Never an error itself.
  [[nodiscard]] Op<Finished> finish(const AsyncSession& session,
                                    std::optional<Error> failed = std::nullopt) const;
  [[nodiscard]] std::vector<Header> cache_headers(const RequestInfo& request) const;

  [[nodiscard]] Op<AsyncSession> create(const Fields& attributes = {}) const;
  [[nodiscard]] Op<std::optional<AsyncSession>> find(const SessionId& id) const;
  [[nodiscard]] Op<Commit::Status> save(const AsyncSession& session) const;
  [[nodiscard]] Op<bool> erase(const SessionId& id) const;

  [[nodiscard]] Op<std::vector<SessionInfo>> sessions_of(
      std::string_view principal, const AsyncSession* current = nullptr) const;
  [[nodiscard]] Op<bool> erase_one(std::string_view principal, std::string_view handle) const;
  [[nodiscard]] Op<std::size_t> sign_out_everywhere(std::string_view principal,
                                                    const AsyncSession* keep = nullptr) const;
  [[nodiscard]] Op<std::size_t> sign_out_by(std::string_view alias) const;

  [[nodiscard]] const SessionOptions& options() const noexcept;

 private:
  AsyncSessionManager(std::shared_ptr<const internal::SessionContext> context,
                      std::shared_ptr<AsyncSessionStore> store);
  template <class T, class Make>
  Op<T> operation(Make make) const;

  std::shared_ptr<const internal::SessionContext> context_;
  std::shared_ptr<AsyncSessionStore> store_;
  std::shared_ptr<const internal::AsyncHome> home_;
};

}  // namespace websession
WEBSESSION_API_END
