#include "websession/session_manager.hpp"

#include <utility>

#include "alias.hpp"
#include "blocking_flow.hpp"
#include "decisions.hpp"
#include "invalid.hpp"
#include "observed_store.hpp"
#include "response_headers.hpp"
#include "session_access.hpp"
#include "session_context.hpp"

namespace websession {

using internal::SessionAccess;
using internal::SessionState;
using internal::StoreFlow;

namespace {

// What a manager shares with its sessions, and the store, which decisions do not see.
struct Shared {
  internal::SessionContext context;
  std::shared_ptr<SessionStore> store;
};

const SessionState* state_of(const Session* session) {
  return session != nullptr ? &SessionAccess::state(*session) : nullptr;
}

}  // namespace

SessionManager::SessionManager(internal::ContextPtr context, SessionStore& store) noexcept
    : context_(std::move(context)), store_(&store) {}

Result<SessionManager> SessionManager::make(std::shared_ptr<SessionStore> store,
                                            SessionOptions options) {
  if (!store) return internal::invalid("store: must not be null");
  auto shared = std::make_shared<Shared>();
  internal::SessionContext& context = shared->context;
  auto set_up =
      internal::set_up(context, std::move(options), store->index() != nullptr, store->placement());
  if (!set_up) return std::move(set_up).error();
  const std::shared_ptr<Observer>& observer = context.options.observer;
  shared->store =
      observer ? internal::observe(std::move(store), observer, context.clock) : std::move(store);
  SessionStore& observed = *shared->store;
  return SessionManager({shared, &shared->context}, observed);
}

const SessionOptions& SessionManager::options() const noexcept { return context_->options; }

template <class Make>
auto SessionManager::run(const Make& make) const {
  return internal::run_operation(*store_, *context_, make);
}

Result<Session> SessionManager::open(const RequestInfo& request) const {
  Result<internal::SessionPtr> opened =
      run([&](StoreFlow& flow) { return internal::open_session(flow, context_, request); });
  if (!opened) return std::move(opened).error();
  return Session(*std::move(opened), *store_);
}

Result<Session> SessionManager::create(const Fields& attributes) const {
  Result<internal::SessionPtr> created =
      run([&](StoreFlow& flow) { return internal::create_session(flow, context_, attributes); });
  if (!created) return std::move(created).error();
  return Session(*std::move(created), *store_);
}

Result<std::optional<Session>> SessionManager::find(const SessionId& id) const {
  Result<internal::SessionPtr> found =
      run([&](StoreFlow& flow) { return internal::find_session(flow, context_, id); });
  if (!found) return std::move(found).error();
  if (*found == nullptr) return std::optional<Session>();
  return std::optional<Session>(Session(*std::move(found), *store_));
}

Result<bool> SessionManager::erase(const SessionId& id) const {
  return run([&](StoreFlow& flow) {
    return internal::erase_by_id(flow, *context_, id, nullptr, context_->mark(),
                                 EndReason::ended_elsewhere);
  });
}

Result<Commit> SessionManager::commit(Session& session) const {
  SessionAccess::hand_over(session, context_, *store_);
  SessionState& state = SessionAccess::state(session);
  if (state.is_idle()) return internal::commit_nothing(state);
  return run([&](StoreFlow& flow) { return internal::commit_session(flow, state); });
}

Result<Commit::Status> SessionManager::save(Session& session) const {
  Result<Commit> commit = this->commit(session);
  if (!commit) return std::move(commit).error();
  return commit->status;
}

Result<Commit> SessionManager::abandon(Session& session) const {
  SessionAccess::hand_over(session, context_, *store_);
  return run([&](StoreFlow& flow) {
    return internal::abandon_session(flow, SessionAccess::state(session));
  });
}

Finished SessionManager::finish(Session& session, const std::optional<Error>& failed) const {
  Result<Commit> commit = failed ? Result<Commit>(*failed) : this->commit(session);
  if (commit) return {std::nullopt, *std::move(commit)};
  if (failed) report(*failed, session);
  return internal::failed(SessionAccess::state(session), commit.error(), abandon(session));
}

void SessionManager::report(const Error& error, const Session& session) const noexcept {
  internal::report_error(error, SessionAccess::state(session));
}

std::vector<Header> SessionManager::cache_headers(const RequestInfo& request) const {
  return internal::cache_headers(options(), request);
}

Result<std::vector<SessionInfo>> SessionManager::sessions_of(std::string_view principal,
                                                             const Session* current) const {
  return run([&](StoreFlow& flow) {
    return internal::list_sessions(flow, *context_, principal, state_of(current));
  });
}

Result<bool> SessionManager::erase_one(std::string_view principal, std::string_view handle) const {
  return run(
      [&](StoreFlow& flow) { return internal::end_by_handle(flow, *context_, principal, handle); });
}

Result<std::size_t> SessionManager::sign_out_everywhere(std::string_view principal,
                                                        const Session* keep) const {
  return run([&](StoreFlow& flow) {
    return internal::end_all(flow, *context_, principal, SessionAccess::kept(keep));
  });
}

Result<std::size_t> SessionManager::sign_out_by(std::string_view alias) const {
  return run([&](StoreFlow& flow) { return internal::end_by_alias(flow, *context_, alias); });
}

}  // namespace websession
