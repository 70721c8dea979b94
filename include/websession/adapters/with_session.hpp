// What every adapter to a server whose threads may block does: open before the handler, commit
// after it.
#pragma once

#include <concepts>
#include <exception>
#include <optional>
#include <utility>

#include "websession/adapters/exchange.hpp"
#include "websession/config.hpp"
#include "websession/session_manager.hpp"

WEBSESSION_API_BEGIN
namespace websession::adapters {

// The two halves of with_session, for a handler that ends later, or elsewhere.

// The session of a request. An error: the response says so already, and there is nothing to finish.
template <Exchange E>
Result<Session> begin(const SessionManager& manager, E& exchange) {
  const RequestFacts facts = facts_of(exchange, manager.options());
  Result<Session> session = manager.open(facts.info());
  if (!session) refuse(manager, exchange, session.error());
  return session;
}

// Commits, or, when the handler has `failed`, abandons; and puts on the response what that needs.
template <Exchange E>
void finish(const SessionManager& manager, E& exchange, Session& session,
            const std::optional<Error>& failed = std::nullopt) {
  answer(exchange, manager.finish(session, failed));
}

// Runs the handler with the request's session. When it throws, nothing is committed; what it did
// directly (Session::increment…) stays done. An Exception of ours, which Result::value() throws, is
// answered like an error of the commit; any other goes on to the framework, with what caches have
// to know on the response. Logging out happens all the same (SessionManager::abandon). Safe to call
// from many threads at once.
//
// The session ends with the handler. What runs later (a streamed body, a task) takes a
// Session::snapshot() along, not the Session&.
template <Exchange E, std::invocable<Session&> Handler>
void with_session(const SessionManager& manager, E&& exchange, Handler&& handler) {
  Result<Session> session = begin(manager, exchange);
  if (!session) return;
  auto run = [&] { std::forward<Handler>(handler)(*session); };
  const internal::Thrown thrown = internal::thrown_by(run);
  if (!thrown.other) return finish(manager, exchange, *session, thrown.error);
  // The handler's failure is the one to hear of.
  put(exchange, manager.finish(*session, thrown.failure()).commit);
  std::rethrow_exception(thrown.other);
}

}  // namespace websession::adapters
WEBSESSION_API_END
