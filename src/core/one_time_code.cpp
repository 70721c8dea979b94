#include "websession/one_time_code.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <utility>

#include "async/session_operation.hpp"
#include "base64.hpp"
#include "characters.hpp"
#include "code_digits.hpp"
#include "decisions.hpp"
#include "digest.hpp"
#include "invalid.hpp"
#include "kept_keys.hpp"
#include "library_names.hpp"
#include "random_bytes.hpp"
#include "session_access.hpp"

namespace websession {
namespace {

using internal::SessionAccess;
using internal::SessionState;
using internal::StoreFlow;
using internal::Task;
using std::chrono::milliseconds;

constexpr std::string_view key_purpose = "websession one-time code v1";
constexpr std::string_view limit_purpose = "websession one-time code limit v1";
constexpr const char* tries_attribute = "tries";
constexpr int tries_max = 10'000;
constexpr milliseconds window_min = std::chrono::minutes(1);
constexpr milliseconds window_max = std::chrono::hours(24 * 30);
// A random text of the session's own. It is part of every hash, so that a hash copied to another
// session is worth nothing there. Not the id: that changes, and a new session has none yet.
constexpr std::string_view anchor_field = internal::code_field;
constexpr std::string_view field_prefix = "@code.";  // and the purpose
constexpr std::size_t purpose_bytes_max = 64;
constexpr std::size_t other_codes_max = 16;
constexpr int digits_min = 6;
constexpr int digits_max = 12;
constexpr int attempts_max = 20;
constexpr milliseconds valid_for_max = std::chrono::hours(24);
// What is stored cannot be later: the clock's arithmetic would overflow.
constexpr std::int64_t end_max = 253'402'300'799'999;  // the end of the year 9999
// A code is kept a little beyond its end, so that whoever is late hears what is wrong.
constexpr milliseconds kept_after_end = std::chrono::hours(1);
constexpr std::size_t nonce_bytes = 16;
// A verify that meets another change starts again. Those that count an attempt are at most
// attempts_max; more mean that somebody issues codes all the time.
constexpr int rounds_max = 4 * attempts_max;

using internal::invalid;

// What is stored of a code: "<tries left>:<end, Unix ms>:<nonce>:<hash>", or "used:<end>". The
// attempts are in the same text as the rest, so that one compare-and-set counts a try and decides
// what comes of it. The nonce makes the text differ from any other code's, even of the same digits.
struct Code {
  bool used = false;
  std::int64_t tries_left = 0;
  WallTime end{};
  std::string_view nonce{};
  std::string_view hash{};

  [[nodiscard]] std::string text() const {
    const std::string end_text = std::to_string(end.time_since_epoch().count());
    if (used) return "used:" + end_text;
    return std::to_string(tries_left) + ':' + end_text + ':' + std::string(nonce) + ':' +
           std::string(hash);
  }
};

std::string_view take_part(std::string_view& text) {
  const std::string_view part = text.substr(0, text.find(':'));
  text.remove_prefix(std::min(part.size() + 1, text.size()));
  return part;
}

// The views point into the text.
std::optional<Code> parse_code(std::string_view text) {
  Code code;
  const std::string_view tries = take_part(text);
  const std::optional<std::int64_t> end = parse_integer(take_part(text));
  if (!end || *end < 0 || *end > end_max) return std::nullopt;
  code.end = WallTime(milliseconds(*end));
  code.used = tries == "used";
  if (code.used) return code;
  const std::optional<std::int64_t> left = parse_integer(tries);
  if (!left || *left < 0 || *left > attempts_max) return std::nullopt;
  code.tries_left = *left;
  code.nonce = take_part(text);
  code.hash = take_part(text);
  return code;
}

// What a code is bound to, and the digits. Each part with its size before it, so that no others
// join to the same text.
std::string joined(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) {
    text += std::to_string(part.size()) + ':';
    text += part;
  }
  return text;
}

std::string hash_of(const std::string& key, std::string_view text) {
  return internal::encode_base64(internal::hmac_sha256(key, text));
}

Result<void> check_purpose(std::string_view purpose) {
  if (purpose.empty() || purpose.size() > purpose_bytes_max) {
    return invalid("the purpose of a one-time code has 1 to 64 bytes");
  }
  if (std::any_of(purpose.begin(), purpose.end(), internal::is_control)) {
    return invalid("the purpose of a one-time code holds a control byte");
  }
  return {};
}

Result<void> check_options(const CodeOptions& options) {
  if (options.digits < digits_min || options.digits > digits_max) {
    return invalid("digits: must be 6 to 12; fewer could be guessed");
  }
  if (options.valid_for < std::chrono::seconds(1) || options.valid_for > valid_for_max) {
    return invalid("valid_for: must be 1 second to 1 day");
  }
  if (options.attempts < 1 || options.attempts > attempts_max) {
    return invalid("attempts: must be 1 to 20; more would help whoever guesses");
  }
  return {};
}

Result<void> check_limit(const CodeLimit& limit) {
  if (limit.tries < 1 || limit.tries > tries_max) return invalid("tries: must be 1 to 10,000");
  if (limit.window < window_min || limit.window > window_max) {
    return invalid("window: must be 1 minute to 30 days");
  }
  return {};
}

// How often this was called with the key since its record began, this call included.
Task<Result<std::int64_t>> count_up(StoreFlow& flow, const StoreKey& key, milliseconds window,
                                    WallTime now) {
  Changes one_more;
  one_more.increment.push_back({tries_attribute, 1});
  const std::string created = std::to_string(now.time_since_epoch().count());
  const Fields first{{created_field, created}, {tries_attribute, "1"}};
  // The second round is for who begins the record at the same moment as another; a third would mean
  // that it has ended in between.
  for (int round = 0; round < 3; ++round) {
    auto count = flow.update(key, one_more, {milliseconds(1)});  // lives no longer for it
    const Result<Outcome>& outcome = co_await count;
    if (!outcome) co_return outcome.error();
    if (outcome->status == Outcome::Status::applied) co_return outcome->counters.at(0);
    auto begin = flow.create(key, first, {window});
    const Result<void>& begun = co_await begin;
    if (begun) co_return std::int64_t{1};
    if (begun.error().code != Errc::key_exists) co_return begun.error();
  }
  co_return make_error(Errc::overloaded, "the tries could not be counted; try later");
}

std::string field_of(std::string_view purpose) {
  return std::string(field_prefix) + std::string(purpose);
}

Result<std::string> random_digits(std::size_t count) {
  std::string digits;
  // One round is all but always enough; a generator that gave nothing but high bytes is broken.
  for (int round = 0; round < 16; ++round) {
    const Result<std::string> bytes = internal::random_string(std::size_t{2} * digits_max);
    if (!bytes) return bytes.error();
    for (const char byte : *bytes) {
      const std::optional<char> digit = internal::digit_of(static_cast<unsigned char>(byte));
      if (digit) digits += *digit;
      if (digits.size() == count) return digits;
    }
  }
  return make_error(Errc::no_randomness, "the random source gives nothing to make digits of");
}

// What can be said without a try; nullopt when it takes one.
std::optional<CodeCheck> settled(const Code& code, WallTime now) {
  using Status = CodeCheck::Status;
  if (code.end <= now) return CodeCheck{Status::expired};
  if (code.used) return CodeCheck{Status::used};
  if (code.tries_left == 0) return CodeCheck{Status::exhausted};
  return std::nullopt;
}

}  // namespace

Result<OneTimeCodes> OneTimeCodes::make(const KeyRing& keys, std::optional<CodeLimit> limit) {
  if (keys.empty()) return invalid("one-time codes need a key ring with a secret");
  if (limit) {
    if (auto valid = check_limit(*limit); !valid) return std::move(valid).error();
  }
  std::vector<std::string> derived;
  for (const std::string& secret : keys.secrets()) {
    derived.push_back(internal::derive_key(secret, key_purpose));
  }
  OneTimeCodes codes(std::move(derived));
  codes.limit_ = limit;
  codes.limit_key_ = internal::derive_key(keys.secrets().front(), limit_purpose);
  return codes;
}

Result<void> OneTimeCodes::check(std::string_view purpose, std::string_view about) const {
  if (!limit_ || !about.empty()) return check_purpose(purpose);
  return invalid("about: a limit on tries (CodeLimit) needs to know what a code is about");
}

// Counts the try.
Task<Result<bool>> OneTimeCodes::may_try(StoreFlow& flow, const SessionState& state,
                                         std::string_view purpose, std::string_view about) const {
  if (!limit_) co_return true;
  const StoreKey key =
      internal::kept_key(internal::count_prefix, hash_of(limit_key_, joined({purpose, about})));
  auto count = count_up(flow, key, limit_->window, state.clock().wall());
  const Result<std::int64_t> tries = co_await count;
  if (!tries) co_return tries.error();
  co_return *tries <= limit_->tries;
}

Task<Result<std::string>> OneTimeCodes::issue(StoreFlow& flow, SessionState& state,
                                              std::string_view purpose,
                                              const CodeOptions& options) const {
  const internal::OperationGuard guard(state);
  if (auto alone = guard.check(); !alone) co_return std::move(alone).error();
  if (auto valid = check(purpose, options.about); !valid) co_return std::move(valid).error();
  if (auto valid = check_options(options); !valid) co_return std::move(valid).error();
  if (auto open = state.check_open(); !open) co_return std::move(open).error();
  const std::string name = field_of(purpose);
  std::vector<std::string> others = state.library_names(field_prefix);
  std::erase(others, name);
  if (others.size() >= other_codes_max) {
    co_return make_error(Errc::too_large, "the session holds one-time codes for 16 other purposes");
  }
  Result<std::string> digits = random_digits(static_cast<std::size_t>(options.digits));
  if (!digits) co_return std::move(digits);
  const Result<std::string> nonce = internal::random_string(nonce_bytes);
  if (!nonce) co_return nonce.error();
  auto find_anchor = internal::library_secret(flow, state, anchor_field);
  const Result<std::string> anchor = co_await find_anchor;
  if (!anchor) co_return anchor.error();

  Code code;
  code.tries_left = options.attempts;
  code.end = state.clock().wall() + options.valid_for;
  const std::string nonce_text = internal::encode_base64(*nonce);
  const std::string hash =
      hash_of(keys_.front(), joined({*anchor, nonce_text, purpose, options.about, *digits}));
  code.nonce = nonce_text;
  code.hash = hash;
  const std::string text = code.text();
  auto write = internal::set_library_field(flow, state, name, text, code.end + kept_after_end);
  const Result<void> written = co_await write;
  if (!written) co_return written.error();
  co_return std::move(digits);
}

Task<Result<CodeCheck>> OneTimeCodes::verify(StoreFlow& flow, SessionState& state,
                                             std::string_view purpose, std::string_view typed,
                                             std::string_view about) const {
  const internal::OperationGuard guard(state);
  if (auto alone = guard.check(); !alone) co_return std::move(alone).error();
  if (auto valid = check(purpose, about); !valid) co_return std::move(valid).error();
  if (auto open = state.check_open(); !open) co_return std::move(open).error();
  const std::string name = field_of(purpose);
  const std::optional<std::string> digits = internal::typed_digits(typed, digits_max);
  for (int round = 0; round < rounds_max; ++round) {
    const auto text = state.library_field(name);
    const auto anchor = state.library_field(anchor_field);
    if (!text || !anchor) co_return CodeCheck{};
    const std::optional<Code> code = parse_code(*text);
    if (!code) co_return make_error(Errc::corrupt, "a session's one-time code cannot be read");
    if (const auto known = settled(*code, state.clock().wall())) co_return *known;
    if (round == 0) {
      auto count = may_try(flow, state, purpose, about);
      const Result<bool> may = co_await count;
      if (!may.has_value()) co_return may.error();
      if (!*may) co_return CodeCheck{CodeCheck::Status::limited};
    }

    const std::string tried = joined({*anchor, code->nonce, purpose, about, digits.value_or("")});
    bool correct = false;
    for (const std::string& key : keys_) {
      if (equal_in_constant_time(hash_of(key, tried), code->hash)) correct = true;
    }
    correct = correct && digits;
    Code next = *code;
    next.used = correct;
    --next.tries_left;
    const int tries_left = static_cast<int>(next.tries_left);
    const std::string after = next.text();
    auto replace = internal::replace_library_field(flow, state, name, *text, after,
                                                   code->end + kept_after_end);
    const Result<bool> counted = co_await replace;
    if (!counted.has_value()) {
      Error error = counted.error();
      error.maybe_applied = error.maybe_applied || limit_.has_value();  // that has counted the try
      co_return error;
    }
    // The answer is given only now that nobody else can use up the same try.
    if (*counted && correct) co_return CodeCheck{CodeCheck::Status::correct};
    if (*counted) co_return CodeCheck{CodeCheck::Status::wrong, tries_left};
  }
  co_return make_error(Errc::overloaded,
                       "the one-time code is replaced again and again; try later");
}

Result<std::string> OneTimeCodes::issue(Session& session, std::string_view purpose,
                                        const CodeOptions& options) const {
  return SessionAccess::run(session, [&](StoreFlow& flow, SessionState& state) {
    return issue(flow, state, purpose, options);
  });
}

Result<CodeCheck> OneTimeCodes::verify(Session& session, std::string_view purpose,
                                       std::string_view typed, std::string_view about) const {
  return SessionAccess::run(session, [&](StoreFlow& flow, SessionState& state) {
    return verify(flow, state, purpose, typed, about);
  });
}

Op<std::string> OneTimeCodes::issue(const AsyncSession& session, std::string_view purpose,
                                    std::string_view about, CodeRules rules) const {
  CodeOptions options{rules.digits, rules.valid_for, rules.attempts, std::string(about)};
  return internal::session_operation<std::string>(
      session, [self = *this, purpose = std::string(purpose), options = std::move(options)](
                   StoreFlow& flow, SessionState& state) {
        return self.issue(flow, state, purpose, options);
      });
}

Op<CodeCheck> OneTimeCodes::verify(const AsyncSession& session, std::string_view purpose,
                                   std::string_view typed, std::string_view about) const {
  return internal::session_operation<CodeCheck>(
      session, [self = *this, purpose = std::string(purpose), typed = std::string(typed),
                about = std::string(about)](StoreFlow& flow, SessionState& state) {
        return self.verify(flow, state, purpose, typed, about);
      });
}

}  // namespace websession
