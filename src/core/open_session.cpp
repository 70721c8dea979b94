#include <algorithm>
#include <cstddef>
#include <utility>

#include "brought.hpp"
#include "decisions.hpp"
#include "principal.hpp"
#include "record_times.hpp"

namespace websession::internal {
namespace {

// A Cookie header may hold any number of cookies of one name; only so many cost a round trip.
// (Malformed ones cost none, so more of them are passed over.)
constexpr std::size_t cookies_tried_max = 4;
// An id is 192 random bits: a second collision in a row means that something else is wrong.
constexpr int create_attempts = 2;

// Whether the store could not be asked, rather than having answered something bad.
bool is_outage(const Error& error) {
  return error.code == Errc::unavailable || error.code == Errc::timeout ||
         error.code == Errc::overloaded;
}

// `text`: as the request brought it.
std::optional<SessionId> id_in(const SessionContext& context, std::string_view text) {
  std::optional<SessionId> id = context.signer ? context.signer->verify(text)
                                               : SessionId::parse(text, context.options.id_format);
  if (!id) {
    context.tell({context.signer ? SessionEvent::Kind::cookie_bad_signature
                                 : SessionEvent::Kind::cookie_malformed});
  }
  return id;
}

Result<LoadedSession> session_of(const ContextPtr& context, const SessionId& id,
                                 Result<Found> found) {
  if (!found) return std::move(found).error();
  return session_of(context, id, *std::move(found));
}

// Whether the store can say that it knows nothing of an id that nobody has. A server that makes no
// sense at all cannot.
Task<Result<void>> check_sense(StoreFlow& flow, const SessionContext& context) {
  const Result<SessionId> nobodys = SessionId::generate();
  if (!nobodys) co_return nobodys.error();
  auto load = load_by_id(flow, context.keys, *nobodys);
  const Result<Found> found = co_await load;
  if (!found) co_return found.error();
  co_return Result<void>();
}

}  // namespace

Task<Result<SessionPtr>> open_session(StoreFlow& flow, const ContextPtr& context,
                                      const RequestInfo& request) {
  const SessionOptions& options = context->options;
  const Brought brought = brought_by(request, options);
  const auto is_passed_over = [&options](const Result<LoadedSession>& loaded) {
    return !loaded && loaded.error().code == Errc::corrupt &&
           options.on_unreadable == Unreadable::fresh_session;
  };
  SessionPtr session;
  std::optional<Error> outage;
  std::vector<SessionId> unread;
  std::optional<SessionId> over;
  std::size_t tried = 0;
  for (std::size_t i = 0; i < brought.ids.size() && !session; ++i) {
    const std::optional<SessionId> id = id_in(*context, brought.ids[i]);
    if (!id) continue;
    if (++tried > cookies_tried_max) break;
    if (outage) {  // nobody knows which of them is the visitor's: logging out means all
      unread.push_back(*id);
      continue;
    }
    auto load = load_by_id(flow, context->keys, *id);
    Result<LoadedSession> found = session_of(context, *id, co_await load);
    if (is_passed_over(found)) {
      // A reply that made no sense and broke its connection is not sent again.
      auto again = load_by_id(flow, context->keys, *id);
      found = session_of(context, *id, co_await again);
    }
    bool is_unreadable = false;
    if (is_passed_over(found)) {
      auto check = check_sense(flow, *context);
      const Result<void> sense = co_await check;
      is_unreadable = sense.has_value();
      if (!sense && is_outage(sense.error())) found = sense.error();  // nobody knows
    }
    if (found) {
      session = std::move(found->session);
      if (found->is_over && !over) over = *id;  // unknown, if another cookie of the name is known
    } else if (options.on_outage == Outage::anonymous && is_outage(found.error())) {
      context->tell(SessionEvent::Kind::degraded, *id);
      unread.push_back(*id);
      outage = std::move(found).error();
      outage->detail = "the session could not be loaded: " + outage->detail;
    } else if (is_unreadable) {
      context->tell(SessionEvent::Kind::unreadable, *id);
      unread.push_back(*id);  // another cookie of the name may be that of a session
    } else {
      co_return std::move(found).error();
    }
  }
  if (!session) {
    session = std::make_unique<SessionState>(context);
    if (over && !outage) {
      session->came_late(*std::move(over));
    } else {
      session->could_not_read(std::move(unread), std::move(outage));
    }
  }
  session->came_with(brought.by, request.https, request.passive);
  co_return std::move(session);
}

Task<Result<SessionPtr>> find_session(StoreFlow& flow, const ContextPtr& context,
                                      const SessionId& id) {
  auto load = load_by_id(flow, context->keys, id);
  Result<LoadedSession> found = session_of(context, id, co_await load);
  if (!found) co_return std::move(found).error();
  co_return std::move(found->session);
}

Task<Result<SessionPtr>> create_session(StoreFlow& flow, const ContextPtr& context,
                                        const Fields& attributes) {
  auto state = std::make_unique<SessionState>(context);
  Changes changes = state->limited();
  for (const Field& field : attributes) {
    if (auto valid = state->check_name(field.name); !valid) {
      co_return SessionState::with_name(std::move(valid).error(), field.name);
    }
    changes.set.push_back({std::string(field.name), std::string(field.value), field.deadline});
  }
  const Result<Fields> fields = state->with(changes);
  if (!fields) co_return fields.error();
  auto store = store_new(flow, *state, *fields);
  const Result<void> stored = co_await store;
  if (!stored) co_return stored.error();
  co_return std::move(state);
}

Task<Result<void>> store_new(StoreFlow& flow, SessionState& state, const Fields& attributes) {
  const SessionContext& context = state.context();
  const WallTime now = state.clock().wall();
  const auto ttl = time_to_live(now, state.policy(), now);
  const WallTime at = state.created_at(now);  // a sign-in comes after those that are listed
  const Fields complete = with_created(attributes, created_text(at));
  for (int attempt = 1;; ++attempt) {
    Result<SessionId> id = SessionId::generate();
    if (!id) co_return std::move(id).error();
    const StoreKey key = context.keys.key_of_new(*id);
    Lifetime lifetime{ttl, principal_of(complete)};
    lifetime.is_absolute = is_absolute(ttl, state.policy());
    auto asked = flow.create(key, complete, lifetime);
    Result<void>& created = co_await asked;
    if (created) {
      state.created_as(*std::move(id), complete, at, ttl);
      co_return Result<void>();
    }
    if (created.error().maybe_applied) state.note_lost(*std::move(id));
    const bool is_taken = created.error().code == Errc::key_exists;
    if (!is_taken || attempt == create_attempts) co_return std::move(created);
  }
}

}  // namespace websession::internal
