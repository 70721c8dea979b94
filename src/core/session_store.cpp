#include "websession/session_store.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace websession {
namespace {

bool is_expired(const Field& field, WallTime now) {
  return field.deadline && *field.deadline <= now;
}

bool kept_by_store(std::string_view name) {
  return name == "@frozen" || name.starts_with("@until.");
}

Error name_error(std::string_view name, std::string_view problem) {
  return make_error(Errc::invalid_argument,
                    "field \"" + std::string(name) + "\" " + std::string(problem));
}

Result<void> validate_lifetime(Lifetime lifetime) {
  if (lifetime.ttl < std::chrono::milliseconds(1) || lifetime.ttl > ttl_max) {
    return make_error(Errc::invalid_argument, "a time to live is 1 ms to 400 days");
  }
  return {};
}

Result<void> validate_set(std::string_view name, std::string_view value, bool has_deadline) {
  if (kept_by_store(name)) return name_error(name, "is the store's own");
  if (name != created_field) return {};
  if (!parse_integer(value)) return name_error(name, "must be Unix time in milliseconds");
  if (has_deadline) return name_error(name, "cannot end before the session");
  return {};
}

// The stored state while changes are applied to it.
using Draft = std::unordered_map<std::string_view, Field>;

bool holds(const Draft& draft, const Changes::Expect& expect) {
  const auto found = draft.find(expect.name);
  if (found == draft.end()) return expect.any_of.empty();
  return std::find(expect.any_of.begin(), expect.any_of.end(), found->second.value) !=
         expect.any_of.end();
}

Result<std::int64_t> add(const Draft& draft, const Changes::Increment& increment) {
  const auto found = draft.find(increment.name);
  if (found == draft.end()) return increment.by;
  const std::optional<std::int64_t> before = parse_integer(found->second.value);
  if (!before) return name_error(increment.name, "does not hold an integer to add to");
  std::int64_t after = 0;
  if (__builtin_add_overflow(*before, increment.by, &after)) {
    return name_error(increment.name, "would leave the range of a 64-bit integer");
  }
  return after;
}

}  // namespace

Result<void> validate(const Fields& fields, Lifetime lifetime) {
  if (auto valid = validate_lifetime(lifetime); !valid) return valid;
  if (!fields.contains(created_field)) {
    return name_error(created_field, "is missing from the new session");
  }
  for (const Field& field : fields) {
    if (auto valid = validate_set(field.name, field.value, field.deadline.has_value()); !valid)
      return valid;
  }
  return {};
}

Result<void> validate(const Changes& changes, Lifetime lifetime) {
  if (auto valid = validate_lifetime(lifetime); !valid) return valid;
  std::unordered_set<std::string_view> seen;
  for (const Changes::Set& set : changes.set) {
    if (auto valid = validate_set(set.name, set.value, set.deadline.has_value()); !valid)
      return valid;
    if (!seen.insert(set.name).second) return name_error(set.name, "is changed twice");
  }
  for (const std::string& name : changes.remove) {
    if (kept_by_store(name)) return name_error(name, "is the store's own");
    if (name == created_field) return name_error(name, "cannot be removed");
    if (!seen.insert(name).second) return name_error(name, "is changed twice");
  }
  for (const Changes::Increment& increment : changes.increment) {
    if (increment.name.starts_with('@')) return name_error(increment.name, "cannot be counted");
    if (!seen.insert(increment.name).second) return name_error(increment.name, "is changed twice");
  }
  for (const Changes::Expect& expect : changes.expect) {
    if (kept_by_store(expect.name)) return name_error(expect.name, "is the store's own");
  }
  return {};
}

Fields live_fields(const Fields& stored, WallTime now) {
  const bool all_live = std::none_of(stored.begin(), stored.end(),
                                     [now](const Field& field) { return is_expired(field, now); });
  if (all_live) return stored;
  std::vector<Field> live;
  for (const Field& field : stored) {
    if (!is_expired(field, now)) live.push_back(field);
  }
  return Fields(live);
}

Result<Applied> apply(const Fields& stored, const Changes& changes, WallTime now) {
  Draft draft;
  for (const Field& field : stored) {
    if (!is_expired(field, now)) draft.emplace(field.name, field);
  }

  for (const Changes::Expect& expect : changes.expect) {
    if (holds(draft, expect)) continue;
    Applied conflict{{Outcome::Status::conflict}, {}};
    const auto found = draft.find(expect.name);
    if (found != draft.end()) conflict.outcome.found = found->second.value;
    return conflict;
  }

  if (changes.clear) std::erase_if(draft, [](const auto& e) { return !e.first.starts_with('@'); });

  Applied applied;
  std::vector<std::string> counter_texts;
  counter_texts.reserve(changes.increment.size());  // the draft points into them
  for (const Changes::Increment& increment : changes.increment) {
    const Result<std::int64_t> after = add(draft, increment);
    if (!after) return after.error();
    applied.outcome.counters.push_back(*after);
    counter_texts.push_back(std::to_string(*after));
    Field& field = draft.try_emplace(increment.name, Field{increment.name, {}, {}}).first->second;
    field.value = counter_texts.back();
  }
  for (const Changes::Set& set : changes.set) {
    draft.insert_or_assign(set.name, Field{set.name, set.value, set.deadline});
  }
  for (const std::string& name : changes.remove) draft.erase(name);

  std::vector<Field> result;
  result.reserve(draft.size());
  for (const auto& [name, field] : draft) result.push_back(field);
  applied.fields = Fields(result);
  return applied;
}

std::optional<std::int64_t> parse_integer(std::string_view text) noexcept {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  const bool canonical = text == "0" || (!digits.empty() && digits[0] >= '1' && digits[0] <= '9');
  if (!canonical) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace websession
