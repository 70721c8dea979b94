#include "websession/session_store.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <string_view>
#include <vector>

#include "changed_fields.hpp"
#include "record_times.hpp"

namespace websession {
namespace {

bool is_expired(const Field& field, WallTime now) {
  return field.deadline && *field.deadline <= now;
}

bool kept_by_store(std::string_view name) { return name.starts_with("@until."); }

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
  if (name != created_field && name != user_field) return {};
  if (has_deadline) return name_error(name, "cannot end before the session");
  if (name == created_field && !parse_integer(value)) {
    return name_error(name, "must be Unix time in milliseconds");
  }
  return {};
}

// Room for the lists that a session of usual size needs for a moment. Larger ones take memory.
class Scratch {
 public:
  [[nodiscard]] std::pmr::memory_resource* get() noexcept { return &resource_; }

 private:
  alignas(std::max_align_t) std::array<std::byte, 2048> bytes_;
  std::pmr::monotonic_buffer_resource resource_{bytes_.data(), bytes_.size()};
};

// What happens to the field of one name.
struct Change {
  std::string_view name;
  std::optional<Field> field;  // none: it is removed
};

// A stored field, if changes see it.
std::optional<Field> live_field(const Fields& stored, std::string_view name, WallTime now) {
  std::optional<Field> field = stored.find_field(name);
  if (field && is_expired(*field, now)) field.reset();
  return field;
}

bool holds(const std::optional<Field>& field, const Changes::Expect& expect) {
  if (!field) return expect.any_of.empty();
  return std::find(expect.any_of.begin(), expect.any_of.end(), field->value) != expect.any_of.end();
}

// The value of a counter after the increment.
Result<std::int64_t> add(const std::optional<Field>& field, const Changes::Increment& increment) {
  if (!field) return increment.by;
  const std::optional<std::int64_t> before = parse_integer(field->value);
  if (!before) return name_error(increment.name, "does not hold an integer to add to");
  std::int64_t after = 0;
  if (__builtin_add_overflow(*before, increment.by, &after)) {
    return name_error(increment.name, "would leave the range of a 64-bit integer");
  }
  return after;
}

using internal::Clear;
using internal::clear_of;
using internal::clears;

// The stored fields with the changes, which are in the order of names, merged into them.
Fields merge(const Fields& stored, const std::pmr::vector<Change>& changes, Clear clear,
             WallTime now, std::pmr::memory_resource* memory) {
  std::pmr::vector<Field> merged(memory);
  merged.reserve(stored.size() + changes.size());
  const auto take = [&merged](const Change& change) {
    if (change.field) merged.push_back(*change.field);
  };
  auto change = changes.begin();
  for (const Field& field : stored) {
    int order = 1;  // of the next change, compared with this field
    while (change != changes.end() && (order = change->name.compare(field.name)) < 0) {
      take(*change++);
    }
    if (order == 0) {
      take(*change++);
      continue;
    }
    if (!clears(clear, field.name) && !is_expired(field, now)) merged.push_back(field);
  }
  std::for_each(change, changes.end(), take);
  return Fields::of_sorted(merged);
}

// What a session's attributes take.
struct Extent {
  std::size_t bytes = 0;
  std::size_t attributes = 0;
};

Extent extent_of(const Fields& fields, WallTime now, std::size_t bytes_spare) {
  Extent sum;
  for (const Field& field : fields) {
    if (field.name.starts_with('@') || is_expired(field, now)) continue;
    const std::size_t size = field.name.size() + field.value.size();
    sum.bytes += size - std::min(size, bytes_spare);
    ++sum.attributes;
  }
  return sum;
}

Error too_large(std::string_view what, std::size_t most, std::string_view option) {
  return make_error(Errc::too_large, "the session would hold more than " + std::to_string(most) +
                                         " " + std::string(what) + " (" + std::string(option) +
                                         ")");
}

// A session beyond a bound may shrink, or change without growing.
Result<void> validate_growth(const Fields& before, const Fields& after, const Changes& changes,
                             WallTime now) {
  const auto limit = [](std::size_t most) { return most == 0 ? SIZE_MAX : most; };
  const std::size_t bytes_max = limit(changes.bytes_max);
  const std::size_t attributes_max = limit(changes.attributes_max);
  // Most sessions are so small that it shows without a look at their fields.
  if (after.block_bytes() <= bytes_max && after.size() <= attributes_max) return {};
  const Extent is = extent_of(after, now, changes.bytes_spare);
  if (is.bytes <= bytes_max && is.attributes <= attributes_max) return {};
  const Extent was = extent_of(before, now, changes.bytes_spare);
  if (is.bytes > std::max(bytes_max, was.bytes)) {
    return too_large("bytes", bytes_max, "session_bytes_max");
  }
  if (is.attributes > std::max(attributes_max, was.attributes)) {
    return too_large("attributes", attributes_max, "attributes_max");
  }
  return {};
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
  Scratch scratch;
  std::pmr::vector<std::string_view> names(scratch.get());
  names.reserve(changes.set.size() + changes.remove.size() + changes.increment.size());
  for (const Changes::Set& set : changes.set) {
    if (auto valid = validate_set(set.name, set.value, set.deadline.has_value()); !valid)
      return valid;
    names.push_back(set.name);
  }
  for (const std::string& name : changes.remove) {
    if (kept_by_store(name)) return name_error(name, "is the store's own");
    if (name == created_field) return name_error(name, "cannot be removed");
    names.push_back(name);
  }
  for (const Changes::Increment& increment : changes.increment) {
    if (increment.name.starts_with('@')) return name_error(increment.name, "cannot be counted");
    names.push_back(increment.name);
  }
  for (const Changes::Expect& expect : changes.expect) {
    if (kept_by_store(expect.name)) return name_error(expect.name, "is the store's own");
  }
  if (names.size() < 2) return {};
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) return name_error(*twice, "is changed twice");
  return {};
}

bool passes_on(const Fields& before, const Fields& after) {
  return before.find(user_field) != after.find(user_field);
}

bool is_renewal_due(const Lifetime& lifetime, std::chrono::milliseconds left) noexcept {
  return left <= internal::renewal_due_at(lifetime);
}

Fields live_fields(const Fields& stored, WallTime now) {
  if (!stored.has_deadlines()) return stored;
  const bool all_live = std::none_of(stored.begin(), stored.end(),
                                     [now](const Field& field) { return is_expired(field, now); });
  if (all_live) return stored;
  Scratch scratch;
  return merge(stored, std::pmr::vector<Change>(scratch.get()), Clear::nothing, now, scratch.get());
}

Result<Applied> apply(const Fields& stored, const Changes& changes, WallTime now) {
  for (const Changes::Expect& expect : changes.expect) {
    const std::optional<Field> field = live_field(stored, expect.name, now);
    if (holds(field, expect)) continue;
    Applied conflict{{Outcome::Status::conflict}, {}};
    if (field) conflict.outcome.found = field->value;
    return conflict;
  }

  Applied applied;
  Scratch scratch;
  std::pmr::vector<Change> sorted(scratch.get());
  sorted.reserve(changes.set.size() + changes.remove.size() + changes.increment.size());
  std::vector<std::string> counter_texts;
  counter_texts.reserve(changes.increment.size());  // the changes point into them
  for (const Changes::Increment& increment : changes.increment) {
    std::optional<Field> before = live_field(stored, increment.name, now);
    if (clears(clear_of(changes), increment.name)) before.reset();
    const Result<std::int64_t> after = add(before, increment);
    if (!after) return after.error();
    applied.outcome.counters.push_back(*after);
    counter_texts.push_back(std::to_string(*after));
    const auto deadline = before ? before->deadline : std::nullopt;
    sorted.push_back({increment.name, Field{increment.name, counter_texts.back(), deadline}});
  }
  for (const Changes::Set& set : changes.set) {
    sorted.push_back({set.name, Field{set.name, set.value, set.deadline}});
  }
  for (const std::string& name : changes.remove) sorted.push_back({name, std::nullopt});
  if (sorted.empty() && !changes.clear) {
    applied.fields = live_fields(stored, now);
    return applied;
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const Change& a, const Change& b) { return a.name < b.name; });
  applied.fields = merge(stored, sorted, clear_of(changes), now, scratch.get());
  if (auto fits = validate_growth(stored, applied.fields, changes, now); !fits) {
    return std::move(fits).error();
  }
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
