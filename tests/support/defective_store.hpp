// A small, slow, correct store, and a way to break it in one respect: the conformance suite must
// notice each of the defects.
#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "give_way.hpp"
#include "websession/session_store.hpp"

namespace websession::testing {

enum class Defect {
  none,
  update_is_not_atomic,
  create_overwrites,
  ttl_in_a_second_step,
  update_revives_erased,
  update_revives_expired,
  touch_creates,
  rekey_leaves_old_writable,
  rekey_leaves_old_forever,
  rekey_shows_new_state_in_old,
  rekey_overwrites,
  rekey_overwrites_marks,
  rekey_is_not_repeatable,
  rekey_is_not_repeatable_after_the_end,
  rekey_counts_again,
  rekey_repeats_counters_that_ended,
  rekey_ignores_expect,
  rekey_is_not_atomic,
  rekey_loses_deadlines,
  rekey_keeps_old_without_grace,
  rekey_keeps_only_the_old_ttl,
  rekey_says_key_exists_before_gone,
  rekey_follows_one_successor,
  frozen_is_renewed,
  rekey_leaves_all_to_read,
  rekey_leaves_all_to_others,
  rekey_leaves_no_mark,
  marks_end_with_the_session,
  create_overwrites_marks,
  erase_leaves_successor,
  erase_leaves_frozen,
  erase_says_true_always,
  erase_leaves_no_mark,
  erase_leaves_all_to_read,
  erase_follows_to_others,
  erase_stops_at_what_is_over,
  erase_keeps_the_mark_forever,
  load_adopts,
  load_shows_expired_attribute,
  load_hides_frozen_mark,
  load_reads_through_marks,
  expect_sees_expired_attribute,
  increment_sees_expired_attribute,
  increment_forgets_deadline,
  increment_wraps_around,
  increment_through_double,
  increment_of_text_is_zero,
  set_keeps_old_deadline,
  reap_does_not_check,
  touch_shortens,
  write_does_not_renew,
  write_renews_too_early,
  renews_never_with_a_threshold,
  renews_only_by_what_it_sees,
  write_makes_immortal,
  conflict_renews,
  conflict_writes_a_part,
  expect_absent_is_empty,
  clear_removes_created,
  clear_keeps_attributes,
  clear_keeps_the_reserved,
  empty_value_is_absent,
  values_end_at_nul,
  removing_all_erases,
  accepts_bad_ttl,
  accepts_bad_names,
  ignores_bytes_max,
  ignores_attributes_max,
  outage_is_absence,
  outage_is_gone,
  outage_writes_all_the_same,
  last = outage_writes_all_the_same,
};

class DefectiveStore final : public SessionStore {
 public:
  DefectiveStore(Defect defect, std::shared_ptr<const Clock> clock)
      : defect_(defect), clock_(std::move(clock)) {}

  // Its backend is away: every call fails until it is back.
  void set_down(bool down) { down_ = down; }

  Result<std::optional<Record>> load(const StoreKey& key) override {
    if (down_ && is(Defect::outage_is_absence)) return std::optional<Record>();
    if (down_) return outage();
    const std::lock_guard lock(mutex_);
    const Entry* entry = find(key);
    if (entry == nullptr && is(Defect::load_adopts)) {
      entries_.insert_or_assign(key.secret(),
                                Entry{{{"@created", "1"}}, clock_->steady() + ttl_max});
    }
    if (entry == nullptr) return std::optional<Record>();
    Record record;
    if (is(Defect::erase_leaves_frozen) || ends_alive(*entry)) {
      record.fields = is(Defect::load_shows_expired_attribute)
                          ? entry->fields
                          : live_fields(entry->fields, clock_->wall());
    }
    record.remaining =
        std::chrono::ceil<std::chrono::milliseconds>(entry->expires_at - clock_->steady());
    record.frozen = entry->is_mark && !is(Defect::load_hides_frozen_mark);
    return std::optional<Record>(std::move(record));
  }

  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override {
    if (down_) return outage();
    if (auto valid = validate(fields, lifetime); !valid && !forgives(lifetime)) return valid;
    const SteadyTime end = clock_->steady() + lifetime.ttl;
    {
      const std::lock_guard lock(mutex_);
      const Entry* present = find(key);
      const Defect overwrites = present != nullptr && present->is_mark
                                    ? Defect::create_overwrites_marks
                                    : Defect::create_overwrites;
      if (present != nullptr && !is(overwrites)) return make_error(Errc::key_exists, "taken");
      const bool second_step = is(Defect::ttl_in_a_second_step);
      entries_.insert_or_assign(
          key.secret(), Entry{maimed(fields), second_step ? clock_->steady() + ttl_max : end});
    }
    if (is(Defect::ttl_in_a_second_step)) {
      give_way();
      const std::lock_guard lock(mutex_);
      if (Entry* entry = find(key)) entry->expires_at = end;
    }
    return {};
  }

  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override {
    if (down_ && is(Defect::outage_is_gone)) return Outcome{Outcome::Status::gone, {}};
    if (down_ && !is(Defect::outage_writes_all_the_same)) return outage();
    if (auto valid = validate(changes, lifetime); !valid && !forgives(lifetime)) {
      return std::move(valid).error();
    }
    std::unique_lock lock(mutex_);
    Entry* entry = find_for_update(key, changes);
    if (entry == nullptr || (entry->is_mark && !is(Defect::rekey_leaves_old_writable))) {
      if (entry != nullptr && is(Defect::frozen_is_renewed)) renew(*entry, lifetime);
      return Outcome{Outcome::Status::gone, {}};
    }
    const Fields before = entry->fields;
    if (is(Defect::update_is_not_atomic)) {
      lock.unlock();
      give_way();
      lock.lock();
      entry = find(key);
      if (entry == nullptr) return Outcome{Outcome::Status::gone, {}};
    }
    Result<Applied> applied = changed(before, changes);
    if (!applied) return std::move(applied).error();
    if (applied->outcome.status == Outcome::Status::conflict) {
      if (is(Defect::conflict_renews)) renew(*entry, lifetime);
      if (is(Defect::conflict_writes_a_part)) entry->fields = without_expect(before, changes);
      return std::move(applied->outcome);
    }
    entry->fields = maimed(applied->fields);
    if (down_) return outage();
    if (!is(Defect::write_does_not_renew) || changes.empty()) renew(*entry, lifetime);
    if (is(Defect::write_makes_immortal) && !changes.empty()) {
      entry->expires_at = clock_->steady() + ttl_max;
    }
    if (is(Defect::removing_all_erases) && entry->fields.size() == 1) entries_.erase(key.secret());
    return std::move(applied->outcome);
  }

  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override {
    if (auto valid = validate(changes, lifetime); !valid && !forgives(lifetime)) {
      return std::move(valid).error();
    }
    if (down_) return outage();
    std::unique_lock lock(mutex_);
    Entry* old = find(from);
    const Entry* present = find(to);
    const bool repeated =
        old == nullptr ? present != nullptr : old->successor && *old->successor == to.secret();
    const bool is_over = present == nullptr || present->is_mark;
    const bool repeatable = !is(Defect::rekey_is_not_repeatable) &&
                            !(is(Defect::rekey_is_not_repeatable_after_the_end) && is_over);
    if (repeated && repeatable) return repeat(to, changes);
    if (is(Defect::rekey_says_key_exists_before_gone) && old != nullptr && present != nullptr) {
      return make_error(Errc::key_exists, "taken");
    }
    if (old == nullptr || (old->is_mark && !is(Defect::rekey_leaves_old_writable))) {
      return Outcome{Outcome::Status::gone, {}};
    }
    const bool overwrites = is(Defect::rekey_overwrites) ||
                            (is(Defect::rekey_overwrites_marks) && present != nullptr && is_over);
    if (present != nullptr && !overwrites) {
      return make_error(Errc::key_exists, "taken");
    }
    const Entry copy = *old;
    if (is(Defect::rekey_is_not_atomic)) {
      lock.unlock();
      give_way();
      lock.lock();
    }
    Changes wanted = changes;
    if (is(Defect::rekey_ignores_expect)) wanted.expect.clear();
    Result<Applied> applied = changed(copy.fields, wanted);
    if (!applied || applied->outcome.status == Outcome::Status::conflict) {
      return applied ? Result<Outcome>(applied->outcome) : Result<Outcome>(applied.error());
    }
    Entry moved{is(Defect::rekey_loses_deadlines) ? without_deadlines(applied->fields)
                                                  : maimed(applied->fields),
                copy.expires_at};
    if (!is(Defect::rekey_keeps_only_the_old_ttl)) renew(moved, lifetime);
    freeze(from, to, copy, grace, applied->fields);
    entries_.insert_or_assign(to.secret(), std::move(moved));
    return std::move(applied->outcome);
  }

  Result<bool> erase(const StoreKey& key, Grace grace) override {
    if (down_) return outage();
    const std::lock_guard lock(mutex_);
    StoreKey next = key;
    Entry* entry = find(next);
    while (entry != nullptr && leads_on(*entry, next == key)) {
      next = StoreKey(*entry->successor);
      entry = find(next);
    }
    const bool is_session = entry != nullptr && !entry->is_mark;
    if (is_session) end(next, *entry, grace);
    return is_session || is(Defect::erase_says_true_always);
  }

 private:
  struct Entry {
    Fields fields;
    SteadyTime expires_at;
    std::optional<std::string> successor{};
    bool is_mark = false;
    bool passed = false;  // the successor is another principal's
  };

  // Precondition: the entry is that of a session.
  void end(const StoreKey& key, Entry& entry, Grace grace) {
    if (grace.duration <= std::chrono::milliseconds(0) || is(Defect::erase_leaves_no_mark)) {
      entries_.erase(key.secret());
      return;
    }
    const bool forever = is(Defect::erase_keeps_the_mark_forever);
    entry.is_mark = true;
    const SteadyTime session_end = entry.expires_at;
    entry.expires_at = clock_->steady() + (forever ? ttl_max : grace.duration);
    if (is(Defect::marks_end_with_the_session)) {
      entry.expires_at = std::min(entry.expires_at, session_end);
    }
    if (!is(Defect::erase_leaves_all_to_read)) entry.fields = Fields();
  }

  [[nodiscard]] bool leads_on(const Entry& mark, bool first) const {
    if (!mark.successor || is(Defect::erase_leaves_successor)) return false;
    if (is(Defect::rekey_follows_one_successor) && !first) return false;
    if (is(Defect::erase_stops_at_what_is_over) && mark.fields.empty()) return false;
    return !mark.passed || is(Defect::erase_follows_to_others);
  }

  [[nodiscard]] bool is(Defect defect) const { return defect_ == defect; }

  static Error outage() { return make_error(Errc::unavailable, "the backend is away"); }

  [[nodiscard]] bool forgives(Lifetime lifetime) const {
    const bool bad_ttl = lifetime.ttl < std::chrono::milliseconds(1) || lifetime.ttl > ttl_max;
    return bad_ttl ? is(Defect::accepts_bad_ttl) : is(Defect::accepts_bad_names);
  }

  Entry* find(const StoreKey& key) {
    const auto found = entries_.find(key.secret());
    if (found == entries_.end() || found->second.expires_at <= clock_->steady()) return nullptr;
    return &found->second;
  }

  bool ends_alive(const Entry& entry) {
    const Entry* last = &entry;
    while (last != nullptr && last->is_mark) {
      if (!last->successor) return is(Defect::erase_leaves_all_to_read);
      if (last->fields.empty() && !is(Defect::load_reads_through_marks)) return false;
      last = find(StoreKey(*last->successor));
    }
    return last != nullptr;
  }

  Entry* find_for_update(const StoreKey& key, const Changes& changes) {
    if (Entry* entry = find(key)) return entry;
    const bool there = entries_.contains(key.secret());
    const bool revives = (is(Defect::update_revives_erased) && !changes.empty()) ||
                         (is(Defect::touch_creates) && changes.empty());
    if (revives && !there) {
      return &entries_.insert_or_assign(key.secret(), Entry{{{"@created", "1"}}, {}}).first->second;
    }
    if (is(Defect::update_revives_expired) && there) return &entries_.at(key.secret());
    return nullptr;
  }

  void renew(Entry& entry, Lifetime lifetime) {
    const SteadyTime end = clock_->steady() + lifetime.ttl;
    const auto left =
        std::chrono::floor<std::chrono::milliseconds>(entry.expires_at - end) + lifetime.ttl;
    if (is(Defect::write_renews_too_early)) lifetime.renew_after = {};
    if (is(Defect::renews_only_by_what_it_sees)) lifetime.left.reset();
    const bool never = is(Defect::renews_never_with_a_threshold) &&
                       lifetime.renew_after > std::chrono::milliseconds(0);
    const bool due = is_renewal_due(lifetime, left) && !never;
    if (due || is(Defect::touch_shortens)) entry.expires_at = end;
  }

  Result<Outcome> repeat(const StoreKey& to, const Changes& changes) {
    Entry* present = find(to);
    if (present != nullptr && present->is_mark) present = nullptr;
    if (is(Defect::rekey_counts_again) && present != nullptr) {
      present->fields = changed(present->fields, changes).value().fields;
    }
    Outcome outcome;
    for (const Changes::Increment& increment : changes.increment) {
      const auto field =
          present == nullptr ? std::nullopt : present->fields.find_field(increment.name);
      const bool has_ended = field && field->deadline && *field->deadline <= clock_->wall() &&
                             !is(Defect::rekey_repeats_counters_that_ended);
      outcome.counters.push_back(field && !has_ended ? parse_integer(field->value).value_or(0) : 0);
    }
    return outcome;
  }

  void freeze(const StoreKey& from, const StoreKey& to, const Entry& copy, Grace grace,
              const Fields& after) {
    const bool passes = passes_on(copy.fields, after);
    const bool readable = (grace.readable || is(Defect::rekey_leaves_all_to_read)) &&
                          (!passes || is(Defect::rekey_leaves_all_to_others));
    const bool leaves_none = !readable && is(Defect::rekey_leaves_no_mark);
    if ((grace.duration <= std::chrono::milliseconds(0) &&
         !is(Defect::rekey_keeps_old_without_grace)) ||
        leaves_none) {
      entries_.erase(from.secret());
      return;
    }
    SteadyTime end = clock_->steady() + grace.duration;
    if (readable || is(Defect::marks_end_with_the_session)) end = std::min(copy.expires_at, end);
    if (is(Defect::rekey_leaves_old_forever)) end = clock_->steady() + ttl_max;
    if (is(Defect::rekey_keeps_old_without_grace)) end = copy.expires_at;
    const Fields& state = is(Defect::rekey_shows_new_state_in_old) ? after : copy.fields;
    entries_.insert_or_assign(from.secret(), Entry{readable ? state : Fields(), end, to.secret(),
                                                   /*is_mark=*/true, passes});
  }

  static Fields without_deadlines(const Fields& fields) {
    std::vector<Field> plain;
    for (const Field& field : fields) plain.push_back({field.name, field.value});
    return Fields(plain);
  }

  static Fields without_expect(const Fields& before, Changes changes) {
    changes.expect.clear();
    changes.increment.clear();
    changes.clear = false;
    Result<Applied> applied = apply(before, changes, WallTime());
    return applied ? applied->fields : before;
  }

  Result<Applied> changed(const Fields& before, Changes changes) {
    WallTime now = clock_->wall();
    if (is(Defect::ignores_bytes_max)) changes.bytes_max = 0;
    if (is(Defect::ignores_attributes_max)) changes.attributes_max = 0;
    if (is(Defect::expect_sees_expired_attribute) && !changes.expect.empty()) now = WallTime();
    if (is(Defect::increment_sees_expired_attribute) && !changes.increment.empty()) now = {};
    std::vector<Field> fields(before.begin(), before.end());
    if (is(Defect::clear_removes_created) && changes.clear) fields.clear();
    if (is(Defect::clear_keeps_attributes)) changes.clear = false;
    if (is(Defect::clear_keeps_the_reserved)) changes.clear_reserved = false;
    if (is(Defect::expect_absent_is_empty)) {
      for (Changes::Expect& expect : changes.expect) {
        if (expect.any_of.empty()) expect.any_of.emplace_back();
        if (!before.contains(expect.name)) fields.push_back({expect.name, ""});
      }
    }
    if (is(Defect::set_keeps_old_deadline)) {
      for (Changes::Set& set : changes.set) {
        const std::optional<Field> old = before.find_field(set.name);
        if (old && !set.deadline) set.deadline = old->deadline;
      }
    }
    if (is(Defect::reap_does_not_check)) {
      std::erase_if(fields, [&](const Field& field) {
        return std::find(changes.reap.begin(), changes.reap.end(), field.name) !=
               changes.reap.end();
      });
    }
    return counted(Fields(fields), std::move(changes), now);
  }

  // The defects of counting.
  Result<Applied> counted(const Fields& before, Changes changes, WallTime now) {
    std::vector<std::int64_t> counters;
    const bool own = is(Defect::increment_wraps_around) || is(Defect::increment_through_double) ||
                     is(Defect::increment_of_text_is_zero) ||
                     is(Defect::increment_forgets_deadline);
    if (!own) return apply(before, changes, now);
    for (const Changes::Increment& increment : changes.increment) {
      const Fields start = changes.clear ? Fields() : live_fields(before, now);
      const std::string text(start.find(increment.name).value_or("0"));
      std::optional<std::int64_t> value = parse_integer(text);
      if (!value && is(Defect::increment_of_text_is_zero)) value = 0;
      std::int64_t sum = 0;
      const bool overflow = value && __builtin_add_overflow(*value, increment.by, &sum);
      if (!value || (overflow && !is(Defect::increment_wraps_around))) {
        return apply(before, changes, now);
      }
      if (is(Defect::increment_through_double) && value < (1LL << 60)) {
        sum = static_cast<std::int64_t>(static_cast<double>(*value) +
                                        static_cast<double>(increment.by));
      }
      counters.push_back(sum);
      changes.set.push_back({increment.name, std::to_string(sum)});
    }
    changes.increment.clear();
    Result<Applied> applied = apply(before, changes, now);
    if (applied && applied->outcome.status == Outcome::Status::applied) {
      applied->outcome.counters = counters;
    }
    return applied;
  }

  // The defects of keeping.
  [[nodiscard]] Fields maimed(const Fields& fields) const {
    std::vector<Field> kept;
    for (Field field : fields) {
      if (is(Defect::empty_value_is_absent) && field.value.empty()) continue;
      if (is(Defect::values_end_at_nul))
        field.value = field.value.substr(0, field.value.find('\0'));
      kept.push_back(field);
    }
    return Fields(kept);
  }

  Defect defect_;
  std::atomic<bool> down_ = false;
  std::shared_ptr<const Clock> clock_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace websession::testing
