// What is done with sessions, step by step, whoever carries the steps out (store_flow.hpp). Each is
// what the SessionManager's or the Session's function of that name promises.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "session_context.hpp"
#include "session_state.hpp"
#include "store_flow.hpp"
#include "websession/fields.hpp"
#include "websession/flash.hpp"
#include "websession/http.hpp"
#include "websession/result.hpp"
#include "websession/session_id.hpp"
#include "websession/session_manager.hpp"

namespace websession::internal {

using SessionPtr = std::unique_ptr<SessionState>;

// A session of one's own (open_session.cpp).
Task<Result<SessionPtr>> open_session(StoreFlow& flow, const ContextPtr& context,
                                      const RequestInfo& request);
Task<Result<SessionPtr>> create_session(StoreFlow& flow, const ContextPtr& context,
                                        const Fields& attributes);
// Null: there is none.
Task<Result<SessionPtr>> find_session(StoreFlow& flow, const ContextPtr& context,
                                      const SessionId& id);
// Stores a session that has none yet under a new id. Precondition: the attributes were checked.
Task<Result<void>> store_new(StoreFlow& flow, SessionState& state, const Fields& attributes);

// Its end of a request (commit_session.cpp). When the state is idle (SessionState::is_idle) there
// is nothing to carry out, and commit_nothing does.
Task<Result<Commit>> commit_session(StoreFlow& flow, SessionState& state);
[[nodiscard]] Commit commit_nothing(const SessionState& state);
Task<Result<Commit>> abandon_session(StoreFlow& flow, SessionState& state);
// What is answered after an error of the handler or the commit.
[[nodiscard]] Finished failed(const SessionState& state, const Error& error,
                              Result<Commit> abandoned);
// Tells the observer of an error that is not the store's.
void report_error(const Error& error, const SessionState& state) noexcept;

// What acts in the store at once (direct_operations.cpp).
Task<Result<std::int64_t>> increment_attribute(StoreFlow& flow, SessionState& state,
                                               std::string_view name, std::int64_t by);
// `any_of`: the texts that are expected; none: absence. `desired`: none, removes it.
Task<Result<bool>> replace_attribute(StoreFlow& flow, SessionState& state, std::string_view name,
                                     Result<std::vector<std::string>>& any_of,
                                     std::optional<Result<std::string>>& desired);
// One atomic change of stored fields. Precondition: none of them is local.
Task<Result<Outcome>> write_now(StoreFlow& flow, SessionState& state, Changes& changes);

// The same for fields of the library: what is local changes with the commit. Errors: those of
// check_alive and of the store; gone.
Task<Result<void>> set_library_field(StoreFlow& flow, SessionState& state, std::string_view name,
                                     std::string_view text, std::optional<WallTime> deadline);
// Sets the field if it holds `expected` (none: if it is absent). False: it does not, and
// library_field() then shows what it holds.
Task<Result<bool>> replace_library_field(StoreFlow& flow, SessionState& state,
                                         std::string_view name,
                                         std::optional<std::string_view> expected,
                                         std::string_view text, std::optional<WallTime> deadline);
// A random text of the session's own, made at first use. Requests that use it first at the same
// time agree on one.
Task<Result<std::string>> library_secret(StoreFlow& flow, SessionState& state,
                                         std::string_view name);

// flash.cpp, csrf.cpp
Task<Result<std::vector<Flash>>> take_flashes(StoreFlow& flow, SessionState& state);
Task<Result<std::string>> csrf_token(StoreFlow& flow, SessionState& state);

// All sessions of a principal (principal_sessions.cpp).
Task<Result<std::vector<SessionInfo>>> list_sessions(StoreFlow& flow, const SessionContext& context,
                                                     std::string_view principal,
                                                     const SessionState* current);
Task<Result<bool>> end_by_handle(StoreFlow& flow, const SessionContext& context,
                                 std::string_view principal, std::string_view handle);
Task<Result<std::size_t>> end_all(StoreFlow& flow, const SessionContext& context,
                                  std::string_view principal, SessionState* keep);
// Those of the principal that have this alias (alias_text), and how many they were. One that is
// written after the call began may stay.
Task<Result<std::size_t>> end_of_alias(StoreFlow& flow, const SessionContext& context,
                                       std::string_view principal, std::string_view text);
// Of a commit that signs in, when their number is limited.
//
// Before the write: refuses a sign-in beyond the limit, if that is the policy. Dates it after those
// that are listed: they may come from servers whose clocks are a little ahead, and the oldest ones
// are to end.
Task<Result<void>> admit_sign_in(StoreFlow& flow, SessionState& state);
// After it. `done`: what the write came to; `gone` when this sign-in is the one too many.
Task<Result<Commit::Status>> hold_to_limit(StoreFlow& flow, SessionState& state,
                                           Commit::Status done);

}  // namespace websession::internal
