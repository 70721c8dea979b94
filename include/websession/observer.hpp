// What the library tells of itself, for logs, metrics and alarms. Ready-made: counters.hpp.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "websession/config.hpp"
#include "websession/result.hpp"
#include "websession/session_id.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// Stands for a session in an event, and gives no id away: all that can be had of it is a label
// (Observer::label). To be used during the call that it was given to, and not kept.
class SessionRef {
 public:
  SessionRef() noexcept = default;  // of no session
  explicit SessionRef(const StoreKey& key) noexcept : key_(&key) {}

 private:
  friend class Observer;
  const StoreKey* key_ = nullptr;
};

// Why a session has ended.
enum class EndReason {
  signed_out,       // by its own request: sign_out, invalidate, another principal's sign_in
  ended_elsewhere,  // from outside: erase, erase_one, sign_out_everywhere, sign_out_by
  idle,             // no request came for its idle timeout
  absolute,         // it was as old as its absolute timeout
  evicted,          // to make room: MemoryOptions, SessionOptions::max_sessions_per_principal
};

// What happened to a session, or to a cookie that names none.
struct SessionEvent {
  enum class Kind {
    created,
    loaded,
    not_found,    // an id that the store does not know: its session ended, or somebody guesses
    late,         // an id whose session was replaced or ended seconds ago (Session::ended)
    renewed,      // only its time to live
    updated,      // its attributes
    regenerated,  // `session` has the new id, `previous` the old one; with `end`, when it passed to
                  // another principal or to nobody: for the one before it has ended
    erased,       // `end` says why
    expired,      // `end` says why; of a MemoryStore, when it removes the session
    gone,         // a change came too late: the session had ended, or been replaced
    conflict,     // an attribute was not what compare_and_set or consume expected
    evicted_anonymous,     // ended before its time, as the MemoryStore was full
    evicted_signed_in,     // the same, when no anonymous session was left to end
    degraded,              // served without its session (SessionOptions::on_outage)
    unreadable,            // its visitor got a fresh one (SessionOptions::on_unreadable)
    refused,               // a commit or a direct operation, for what the program asked: a bad name
                           // or value, or a limit (of time, too); `error` says which
    value_mismatch,        // Session::value gave the fallback though `attribute` is there
    cookie_malformed,      // refused, a token as well: it does not have the form of an id; of no
                           // session
    cookie_bad_signature,  // refused, a token as well: not signed by a key of ours; of no session
  };

  Kind kind{};
  SessionRef session{};
  SessionRef previous{};
  std::string_view attribute{};  // its name, of 40 bytes at most and without control bytes
  const Error* error = nullptr;  // of `refused`
  // Set: the session has ended. Every end is told once, by the process that ends it: by a manager
  // those that its calls bring about, by a MemoryStore those by time and for want of room. Redis
  // and the SQL stores drop what has expired on their own, and no process is told; nor is one of
  // what another one has ended (docs/guide.md, "When a session ends"). An end that was asked for by
  // an id which had been replaced a moment before names that id; one whose answer from the store
  // was lost may not be told, or by the id that was to come next.
  std::optional<EndReason> end{};
};

// The verbs of SessionStore, and of its PrincipalIndex. (`entries` and `forget` are of no session.)
enum class StoreVerb { load, create, update, rekey, erase, entries, forget, end_frozen };

// One call of the store, whatever came of it.
struct StoreCall {
  StoreVerb verb{};
  SessionRef session{};
  std::chrono::nanoseconds latency{};
  const Error* error = nullptr;  // none: it succeeded; found nothing, gone and conflict included
};

// About the set-up, such as a Secure cookie on plain http. Each is given once by a manager.
struct Warning {
  std::string_view text{};  // says what to do
};

// The words of a log line or a metric, as the enumerators are spelled.
[[nodiscard]] std::string_view to_text(SessionEvent::Kind kind) noexcept;
[[nodiscard]] std::string_view to_text(StoreVerb verb) noexcept;
[[nodiscard]] std::string_view to_text(EndReason reason) noexcept;

// Give it to SessionOptions::observer and MemoryOptions::observer; several managers and stores may
// share one. Override what you want to know:
//
//   class Log final : public websession::Observer {
//     void on_store_call(const websession::StoreCall& call) override {
//       if (call.error) log("session store: {} {}", label(call.session), call.error->message());
//     }
//   };
//
// It is told by the thread of the request, at once and under no lock, possibly by many threads at
// the same time. The request waits, so be quick. Exceptions are dropped: by then the store has
// done its part, and a visitor must not lose the cookie because a log is full.
//
// Nothing in an event can be turned into an id, a cookie or a value, so all of it may be logged.
// Where no observer is set, none of this costs anything: no clock is read and nothing is hashed.
class Observer {
 public:
  // Labels mean something within this process only.
  Observer();
  // For the same labels on all servers, and after a restart. The salt (32 random bytes, say) is
  // a secret: with it, somebody who has an id could find its lines in a log. An empty one: as
  // above.
  explicit Observer(std::string label_salt);
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;
  virtual ~Observer() = default;

  // For those who have something to tell: stores, and observers that pass it on to others.
  void tell(const SessionEvent& event) noexcept;
  void tell(const StoreCall& call) noexcept;
  void tell(const Warning& warning) noexcept;

  // Names a session in a log: 12 characters of A-Z a-z 0-9 - _, a salted hash (HMAC-SHA256) of what
  // the store knows it by. The same for the same session as long as it keeps its key: its id,
  // and the form of it (IdStorage). Computed only
  // when it is asked for. Empty for an event of no session, and if there was no randomness for the
  // salt. (SessionBase::label tells it of a session that a handler has.)
  [[nodiscard]] std::string label(const SessionRef& session) const;

 protected:
  virtual void on_session(const SessionEvent&) {}
  virtual void on_store_call(const StoreCall&) {}
  virtual void on_warning(const Warning&) {}

 private:
  std::string salt_;
};

// Tells several observers, in their order:
//
//   options.observer = std::make_shared<websession::ObserverList>(
//       std::vector<std::shared_ptr<websession::Observer>>{log, counters});
//
// Each labels sessions by its own salt. None of them may be null.
class ObserverList final : public Observer {
 public:
  explicit ObserverList(std::vector<std::shared_ptr<Observer>> observers);

 protected:
  void on_session(const SessionEvent& event) override;
  void on_store_call(const StoreCall& call) override;
  void on_warning(const Warning& warning) override;

 private:
  const std::vector<std::shared_ptr<Observer>> observers_;
};

}  // namespace websession
WEBSESSION_API_END
