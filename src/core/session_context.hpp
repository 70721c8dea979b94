// What all sessions of a manager share.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "session_keys.hpp"
#include "session_plan.hpp"
#include "websession/clock.hpp"
#include "websession/observer.hpp"
#include "websession/result.hpp"
#include "websession/session_options.hpp"
#include "websession/signed_cookie.hpp"

namespace websession::internal {

// No store is in it: decisions ask for calls of one (StoreFlow), and do not make them.
struct SessionContext {
  SessionOptions options;
  std::optional<CookieSigner> signer{};  // none: cookies are not signed
  PlanOptions plan;
  std::shared_ptr<const Clock> clock;
  SessionKeys keys;
  bool has_index = false;  // the store keeps a PrincipalIndex
  mutable std::atomic<bool> warned_of_plain_http = false;
  mutable std::atomic<bool> warned_of_mismatch = false;

  // What stays of a session that ends.
  [[nodiscard]] Grace mark() const noexcept { return {plan.mark, false}; }

  void warn_once(std::atomic<bool>& warned, std::string_view text) const noexcept {
    if (options.observer && !warned.exchange(true)) options.observer->tell(Warning{text});
  }

  // What the store's calls do not tell already. `id`: null for a session that is not stored.
  void tell(SessionEvent event, const SessionId* id = nullptr) const {
    if (!options.observer) return;
    if (id == nullptr) return options.observer->tell(event);
    const StoreKey key = keys.key_of(*id, keys.form_of_new());
    event.session = SessionRef(key);
    options.observer->tell(event);
  }
  void tell_refused(const Error& error, const SessionId* id = nullptr) const {
    SessionEvent event{SessionEvent::Kind::refused};
    event.error = &error;
    tell(event, id);
  }
  void tell(SessionEvent::Kind kind, const SessionId& id) const { tell(SessionEvent{kind}, &id); }
  // After the store has erased it.
  void tell_end(const StoreKey& key, EndReason why) const {
    if (!options.observer) return;
    SessionEvent event{SessionEvent::Kind::erased, SessionRef(key)};
    event.end = why;
    options.observer->tell(event);
  }
};

using ContextPtr = std::shared_ptr<const SessionContext>;

// Errors: invalid_argument, naming the option that is wrong and what would be right.
// `placement`: the store's.
Result<void> set_up(SessionContext& context, SessionOptions options, bool has_index,
                    std::shared_ptr<const KeyPlacement> placement = {});

}  // namespace websession::internal
