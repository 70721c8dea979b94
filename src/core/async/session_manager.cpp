#include "websession/async/session_manager.hpp"

#include <string>
#include <utility>

#include "alias.hpp"
#include "async/observe.hpp"
#include "async/session_operation.hpp"
#include "decisions.hpp"
#include "invalid.hpp"
#include "response_headers.hpp"
#include "session_access.hpp"
#include "session_context.hpp"

namespace websession {

using internal::SessionAccess;
using internal::SessionPtr;
using internal::SessionState;
using internal::StoreFlow;

namespace {

// A commit, as an operation asks for it.
auto committing(const internal::ContextPtr& context, const AsyncSession& session) {
  return [context, state = SessionAccess::shared(session)](StoreFlow& flow) {
    SessionAccess::hand_over(*state, context);
    return internal::commit_session(flow, *state);
  };
}

Op<Commit> abandoning(const internal::ContextPtr& context,
                      const std::shared_ptr<const internal::AsyncHome>& home,
                      const AsyncSession& session) {
  auto ask = [context, state = SessionAccess::shared(session)](StoreFlow& flow) {
    SessionAccess::hand_over(*state, context);
    return internal::abandon_session(flow, *state);
  };
  return internal::make_operation<Commit>(context, home, std::move(ask));
}

// A commit; and when that or the handler has failed, what ends the session if it was asked to.
class Finishing final : public internal::Operation<Finished>,
                        public std::enable_shared_from_this<Finishing> {
 public:
  Finishing(internal::ContextPtr context, std::shared_ptr<const internal::AsyncHome> home,
            AsyncSession session, std::optional<Error> failed)
      : context_(std::move(context)),
        home_(std::move(home)),
        session_(std::move(session)),
        failed_(std::move(failed)) {}

  void start(internal::OpTerms terms, Done<Finished> done) override {
    if (terms.resume_on != nullptr) resume_on_ = terms.resume_on;
    done_ = std::move(done);
    if (failed_) {
      internal::report_error(*failed_, SessionAccess::state(session_));
      return abandon();
    }
    Op<Commit> commit =
        internal::make_operation<Commit>(context_, home_, committing(context_, session_))
            .stop_on(terms.stop)
            .resume_on(terms.resume_on);
    if (terms.by) commit = std::move(commit).by(*terms.by);
    std::move(commit).start([self = shared_from_this()](Result<Commit> committed) {
      if (committed) return self->done_(Finished{std::nullopt, *std::move(committed)});
      self->failed_ = committed.error();
      self->abandon();
    });
  }
  [[nodiscard]] bool is_on_its_loop() const noexcept override { return home_->loop().is_here; }

 private:
  // Nothing stops this, and it has a time of its own: logging out does not depend on the rest.
  void abandon() {
    const std::shared_ptr<Reactor> there = resume_on_ ? resume_on_->lock() : nullptr;
    if (resume_on_ && there == nullptr) return;  // it has ended
    abandoning(context_, home_, session_)
        .resume_on(there)
        .start([self = shared_from_this()](Result<Commit> abandoned) {
          const SessionState& state = SessionAccess::state(self->session_);
          self->done_(internal::failed(state, *self->failed_, std::move(abandoned)));
        });
  }

  const internal::ContextPtr context_;
  const std::shared_ptr<const internal::AsyncHome> home_;
  const AsyncSession session_;
  std::optional<Error> failed_;
  // Not kept: it may hold what holds this.
  std::optional<std::weak_ptr<Reactor>> resume_on_{};
  Done<Finished> done_{};
};

}  // namespace

AsyncSessionManager::AsyncSessionManager(internal::ContextPtr context,
                                         std::shared_ptr<AsyncSessionStore> store)
    : context_(std::move(context)),
      store_(std::move(store)),
      home_(std::make_shared<internal::AsyncHome>(store_)) {}

Result<AsyncSessionManager> AsyncSessionManager::make(std::shared_ptr<AsyncSessionStore> store,
                                                      SessionOptions options) {
  if (!store) return internal::invalid("store: must not be null");
  auto context = std::make_shared<internal::SessionContext>();
  auto set_up =
      internal::set_up(*context, std::move(options), store->index() != nullptr, store->placement());
  if (!set_up) return std::move(set_up).error();
  const std::shared_ptr<Observer>& observer = context->options.observer;
  if (observer) store = internal::observe(std::move(store), observer, context->clock);
  return AsyncSessionManager(std::move(context), std::move(store));
}

const SessionOptions& AsyncSessionManager::options() const noexcept { return context_->options; }

Op<AsyncSession> AsyncSessionManager::open(const RequestInfo& request) const {
  auto ask = [context = context_, cookies = std::string(request.cookie_header),
              authorization = std::string(request.authorization),
              header = std::string(request.session_header),
              info = request](StoreFlow& flow) mutable {
    // They have come to where they stay.
    info.cookie_header = cookies;
    info.authorization = authorization;
    info.session_header = header;
    return internal::open_session(flow, context, info);
  };
  return internal::make_operation<AsyncSession>(context_, home_, std::move(ask),
                                                internal::ToSession{home_});
}

Op<AsyncSession> AsyncSessionManager::create(const Fields& attributes) const {
  auto ask = [context = context_, attributes](StoreFlow& flow) {
    return internal::create_session(flow, context, attributes);
  };
  return internal::make_operation<AsyncSession>(context_, home_, std::move(ask),
                                                internal::ToSession{home_});
}

Op<std::optional<AsyncSession>> AsyncSessionManager::find(const SessionId& id) const {
  auto ask = [context = context_, id](StoreFlow& flow) {
    return internal::find_session(flow, context, id);
  };
  auto convert = [to_session = internal::ToSession{home_}](
                     Result<SessionPtr> found) -> Result<std::optional<AsyncSession>> {
    if (!found) return std::move(found).error();
    if (*found == nullptr) return std::optional<AsyncSession>();
    return std::optional<AsyncSession>(*to_session(std::move(found)));
  };
  return internal::make_operation<std::optional<AsyncSession>>(context_, home_, std::move(ask),
                                                               std::move(convert));
}

Op<bool> AsyncSessionManager::erase(const SessionId& id) const {
  return internal::make_operation<bool>(context_, home_, [context = context_, id](StoreFlow& flow) {
    return internal::erase_by_id(flow, *context, id, nullptr, context->mark(),
                                 EndReason::ended_elsewhere);
  });
}

Op<Commit> AsyncSessionManager::commit(const AsyncSession& session) const {
  return internal::make_operation<Commit>(context_, home_, committing(context_, session));
}

Op<Commit::Status> AsyncSessionManager::save(const AsyncSession& session) const {
  auto status_of = [](Result<Commit> commit) -> Result<Commit::Status> {
    if (!commit) return std::move(commit).error();
    return commit->status;
  };
  return internal::make_operation<Commit::Status>(context_, home_, committing(context_, session),
                                                  status_of);
}

Op<Commit> AsyncSessionManager::abandon(const AsyncSession& session) const {
  return abandoning(context_, home_, session);
}

Op<Finished> AsyncSessionManager::finish(const AsyncSession& session,
                                         std::optional<Error> failed) const {
  return Op<Finished>(std::make_shared<Finishing>(context_, home_, session, std::move(failed)));
}

void AsyncSessionManager::report(const Error& error, const AsyncSession& session) const noexcept {
  internal::report_error(error, SessionAccess::state(session));
}

std::vector<Header> AsyncSessionManager::cache_headers(const RequestInfo& request) const {
  return internal::cache_headers(options(), request);
}

Op<std::vector<SessionInfo>> AsyncSessionManager::sessions_of(std::string_view principal,
                                                              const AsyncSession* current) const {
  auto ask = [context = context_, principal = std::string(principal),
              state = SessionAccess::shared(current)](StoreFlow& flow) {
    return internal::list_sessions(flow, *context, principal, state.get());
  };
  return internal::make_operation<std::vector<SessionInfo>>(context_, home_, std::move(ask));
}

Op<bool> AsyncSessionManager::erase_one(std::string_view principal, std::string_view handle) const {
  auto ask = [context = context_, principal = std::string(principal),
              handle = std::string(handle)](StoreFlow& flow) {
    return internal::end_by_handle(flow, *context, principal, handle);
  };
  return internal::make_operation<bool>(context_, home_, std::move(ask));
}

Op<std::size_t> AsyncSessionManager::sign_out_everywhere(std::string_view principal,
                                                         const AsyncSession* keep) const {
  auto ask = [context = context_, principal = std::string(principal),
              state = SessionAccess::shared(keep)](StoreFlow& flow) {
    return internal::end_all(flow, *context, principal, state.get());
  };
  return internal::make_operation<std::size_t>(context_, home_, std::move(ask));
}

Op<std::size_t> AsyncSessionManager::sign_out_by(std::string_view alias) const {
  auto ask = [context = context_, alias = std::string(alias)](StoreFlow& flow) {
    return internal::end_by_alias(flow, *context, alias);
  };
  return internal::make_operation<std::size_t>(context_, home_, std::move(ask));
}

}  // namespace websession
