#include "websession/observer.hpp"

#include <array>
#include <utility>

#include "base64.hpp"
#include "digest.hpp"
#include "random_bytes.hpp"

namespace websession {
namespace {

// 72 bits: no two of a billion sessions share a label but by an accident of one in ten thousand.
constexpr std::size_t label_bytes = 9;

// Empty when there is no randomness.
std::string random_salt() {
  std::array<unsigned char, 32> bytes{};
  if (!internal::fill_random(bytes)) return {};
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::string_view to_text(SessionEvent::Kind kind) noexcept {
  using Kind = SessionEvent::Kind;
  switch (kind) {
    case Kind::created:
      return "created";
    case Kind::loaded:
      return "loaded";
    case Kind::not_found:
      return "not_found";
    case Kind::late:
      return "late";
    case Kind::renewed:
      return "renewed";
    case Kind::updated:
      return "updated";
    case Kind::regenerated:
      return "regenerated";
    case Kind::erased:
      return "erased";
    case Kind::expired:
      return "expired";
    case Kind::gone:
      return "gone";
    case Kind::conflict:
      return "conflict";
    case Kind::evicted_anonymous:
      return "evicted_anonymous";
    case Kind::evicted_signed_in:
      return "evicted_signed_in";
    case Kind::degraded:
      return "degraded";
    case Kind::unreadable:
      return "unreadable";
    case Kind::refused:
      return "refused";
    case Kind::value_mismatch:
      return "value_mismatch";
    case Kind::cookie_malformed:
      return "cookie_malformed";
    case Kind::cookie_bad_signature:
      return "cookie_bad_signature";
  }
  return "unknown";
}

std::string_view to_text(StoreVerb verb) noexcept {
  switch (verb) {
    case StoreVerb::load:
      return "load";
    case StoreVerb::create:
      return "create";
    case StoreVerb::update:
      return "update";
    case StoreVerb::rekey:
      return "rekey";
    case StoreVerb::erase:
      return "erase";
    case StoreVerb::entries:
      return "entries";
    case StoreVerb::forget:
      return "forget";
    case StoreVerb::end_frozen:
      return "end_frozen";
  }
  return "unknown";
}

std::string_view to_text(EndReason reason) noexcept {
  switch (reason) {
    case EndReason::signed_out:
      return "signed_out";
    case EndReason::ended_elsewhere:
      return "ended_elsewhere";
    case EndReason::idle:
      return "idle";
    case EndReason::absolute:
      return "absolute";
    case EndReason::evicted:
      return "evicted";
  }
  return "unknown";
}

Observer::Observer() : Observer(std::string()) {}
Observer::Observer(std::string label_salt)
    : salt_(label_salt.empty() ? random_salt() : std::move(label_salt)) {}

void Observer::tell(const SessionEvent& event) noexcept {
  try {
    on_session(event);
  } catch (...) {  // NOLINT(bugprone-empty-catch): the header says why
  }
}

void Observer::tell(const StoreCall& call) noexcept {
  try {
    on_store_call(call);
  } catch (...) {  // NOLINT(bugprone-empty-catch)
  }
}

void Observer::tell(const Warning& warning) noexcept {
  try {
    on_warning(warning);
  } catch (...) {  // NOLINT(bugprone-empty-catch)
  }
}

std::string Observer::label(const SessionRef& session) const {
  if (session.key_ == nullptr || salt_.empty()) return {};
  const std::string hash = internal::hmac_sha256(salt_, session.key_->secret());
  return internal::encode_base64(std::string_view(hash).substr(0, label_bytes));
}

ObserverList::ObserverList(std::vector<std::shared_ptr<Observer>> observers)
    : observers_(std::move(observers)) {}

void ObserverList::on_session(const SessionEvent& event) {
  for (const auto& observer : observers_) observer->tell(event);
}
void ObserverList::on_store_call(const StoreCall& call) {
  for (const auto& observer : observers_) observer->tell(call);
}
void ObserverList::on_warning(const Warning& warning) {
  for (const auto& observer : observers_) observer->tell(warning);
}

}  // namespace websession
