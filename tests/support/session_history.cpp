#include "session_history.hpp"

#include <algorithm>
#include <charconv>
#include <thread>
#include <utility>

#include "websession/key_placement.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr Lifetime long_life{std::chrono::hours(2)};
constexpr Lifetime short_life{milliseconds(300)};
// After which an expired session must be gone: what clocks may differ by, and a call may last.
constexpr milliseconds expiry_slack{100};
constexpr std::size_t kept_max = 64;  // graves and orphans; old ones are forgotten
constexpr std::size_t failures_max = 50;
// When no fault is left, on a loaded machine, with a breaker that has just opened.
constexpr std::chrono::seconds patience{10};

StoreKey fresh_key() { return StoreKey(SessionId::generate().value()); }
// To which the store can move a session from that one.
StoreKey key_beside(const SessionStore& store, const StoreKey& key) {
  const auto placement = store.placement();
  if (placement == nullptr) return fresh_key();
  return StoreKey(placement->generate_beside(*SessionId::parse(key.secret())).value());
}

std::int64_t number(std::optional<std::string_view> text) {
  std::int64_t value = -1;
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

// Texts of three sizes, so that some replies come in one piece and some do not.
std::size_t padding(std::int64_t version) {
  if (version % 97 == 0) return 20'000;
  return version % 7 == 0 ? 500 : 10;
}

}  // namespace

void Tally::note(std::chrono::nanoseconds duration, const Error* error, bool writes) {
  ++calls_;
  const auto over = std::chrono::duration_cast<std::chrono::microseconds>(duration - deadline_);
  std::int64_t worst = worst_overrun_us_;
  while (over.count() > worst && !worst_overrun_us_.compare_exchange_weak(worst, over.count())) {
  }
  if (over > margin_) fail("a call came back " + std::to_string(over.count()) + " us late");
  if (error == nullptr) {
    ++successes_;
    return;
  }
  if (error->maybe_applied) ++in_limbo_;
  if (error->maybe_applied && !writes) fail("a read may not be applied: " + error->message());
  const auto code = static_cast<std::size_t>(error->code.value());
  ++errors_.at(code);
  {
    const std::lock_guard lock(mutex_);
    ++messages_[error->message()];
  }
  if (!expected_.at(code)) {
    fail("no fault gives this error: " + error->message());
  }
  std::this_thread::sleep_for(milliseconds(1));
}

void Tally::fail(const std::string& what) {
  const std::lock_guard lock(mutex_);
  if (failures_.size() < failures_max) failures_.push_back(what);
}

std::vector<std::string> Tally::failures() const {
  const std::lock_guard lock(mutex_);
  return failures_;
}

std::map<std::string, std::uint64_t> Tally::messages() const {
  const std::lock_guard lock(mutex_);
  return messages_;
}

OwnedSessions::OwnedSessions(SessionStore& store, Tally& tally, std::string name,
                             std::uint64_t seed)
    : store_(store),
      tally_(tally),
      name_(std::move(name)),
      engine_(seed),
      key_(fresh_key()),
      next_key_(fresh_key()) {}

void OwnedSessions::fail(const std::string& what) { tally_.fail(mark_ + ": " + what); }

std::string OwnedSessions::payload(std::int64_t version) const {
  return mark_ + "/" + std::to_string(version) + "/" + std::string(padding(version), 'x');
}

Fields OwnedSessions::first_fields() const {
  const std::string text = payload(1);
  return {{"@created", "1"}, {"mark", mark_}, {"version", "1"}, {"changes", "0"},
          {"text", text},    {"note", mark_}, {"again", mark_}};
}

void OwnedSessions::step() {
  const std::uint64_t dice = engine_() % 100;
  if (doubt_ == Doubt::created) return load();
  if (doubt_ == Doubt::moved) return move();
  if (doubt_ == Doubt::erased) return erase();
  if (dice < 4) return visit_a_grave();
  if (dice < 6) return visit_an_orphan();
  if (dice < 8) return create_short_lived();
  if (!alive_) return create();
  if (dice < 50) return load();
  if (dice < 65) return change(false);
  if (dice < 85) return note();
  if (dice < 90) return change(true);
  if (dice < 95) return move();
  return erase();
}

void OwnedSessions::create() {
  key_ = fresh_key();
  mark_ = name_ + "." + std::to_string(++serial_);
  known_ = last_version_ = 1;
  possible_ = {{1, 0}};
  note_ = mark_;
  notes_in_limbo_.clear();
  const Result<void> created =
      tally_.timed(true, [&] { return store_.create(key_, first_fields(), long_life); });
  alive_ = created.has_value();
  if (!created && created.error().maybe_applied) doubt_ = Doubt::created;
}

void OwnedSessions::create_short_lived() {
  const StoreKey key = fresh_key();
  const Fields fields{{"@created", "1"}};
  const Result<void> created =
      tally_.timed(true, [&] { return store_.create(key, fields, short_life); });
  if (!created) return;
  graves_.push_back({key, SteadyClock::now() + short_life.ttl + expiry_slack});
}

// The version that a record says it has, when all of the record agrees with it.
std::optional<std::int64_t> OwnedSessions::version_of(const Record& record) {
  const std::int64_t version = number(record.fields.find("version"));
  if (record.fields.find("mark") != mark_) {
    fail("holds what belongs to " + std::string(record.fields.find("mark").value_or("nobody")));
    return std::nullopt;
  }
  if (record.fields.find("text") != payload(version)) {
    fail("version " + std::to_string(version) + " has another version's text");
    return std::nullopt;
  }
  if (record.remaining.count() <= 0 || record.remaining > long_life.ttl) {
    fail("has the wrong time to live");
  }
  return version;
}

// A version was seen. It is now known; what was to follow an older one cannot happen any more.
void OwnedSessions::settle_on(std::int64_t version, const char* how) {
  const auto found = possible_.find(version);
  if (found == possible_.end()) {
    fail(std::string(how) + " found version " + std::to_string(version) + ", not " +
         std::to_string(known_) + (version < known_ ? ": lost" : ": not acknowledged or refused"));
    return;
  }
  if (version == known_) return;  // what is in limbo may still come
  known_ = version;
  possible_ = {*found};
}

void OwnedSessions::load() {
  const auto loaded = tally_.timed(false, [&] { return store_.load(key_); });
  if (!loaded.has_value()) return;
  if (doubt_ == Doubt::created) {
    doubt_ = Doubt::none;
    alive_ = loaded->has_value();
    // It may be created yet. Whoever creates it again and erases it could see it return.
    if (!alive_) orphans_.emplace_back(key_, mark_);
    if (orphans_.size() > kept_max) orphans_.pop_front();
    if (!alive_) return;
  }
  if (!loaded->has_value()) {
    fail("is gone");
    alive_ = false;
    return;
  }
  const Record& record = **loaded;
  const std::optional<std::int64_t> version = version_of(record);
  if (!version) return;
  settle_on(*version, "a load");
  check_notes(record);
  if (const auto found = possible_.find(*version);
      found != possible_.end() && number(record.fields.find("changes")) != found->second) {
    fail("a change was counted twice, or not at all");
  }
}

void OwnedSessions::change(bool touch_only) {
  if (touch_only) {
    const auto touched = tally_.timed(true, [&] { return store_.update(key_, {}, long_life); });
    if (touched && touched->status != Outcome::Status::applied) fail("a touch found it gone");
    return;
  }
  const std::int64_t version = ++last_version_;
  const std::int64_t count = possible_.at(known_) + 1;
  Changes changes;
  changes.expect.push_back({"version", {std::to_string(known_)}});
  changes.set.push_back({"version", std::to_string(version)});
  changes.set.push_back({"text", payload(version)});
  changes.increment.push_back({"changes", 1});
  const auto changed = tally_.timed(true, [&] { return store_.update(key_, changes, long_life); });
  if (!changed) {
    // Refused: then this version must never be seen.
    if (changed.error().maybe_applied) possible_.emplace(version, count);
    return;
  }
  if (changed->status == Outcome::Status::gone) return fail("a change found it gone");
  if (changed->status == Outcome::Status::conflict) {
    // A change that was in limbo has come first; found is what it wrote.
    const std::int64_t found = number(changed->found);
    if (found == known_) return fail("a conflict with what was expected");
    return settle_on(found, "a conflict");
  }
  if (changed->counters != std::vector<std::int64_t>{count}) {
    fail("the count is not its own: expected " + std::to_string(count));
  }
  known_ = version;
  possible_ = {{version, count}};
}

void OwnedSessions::note() {
  const std::string text = mark_ + "/" + std::to_string(engine_());
  const auto noted = write_note(key_, text);
  if (!noted) {
    if (noted.error().maybe_applied) notes_in_limbo_.insert(text);
    return;
  }
  if (noted->status != Outcome::Status::applied) return fail("a note found it gone");
  note_ = text;
}

// With what is known of the session, as `Session` gives it: so a store may take a shorter way.
Result<Outcome> OwnedSessions::write_note(const StoreKey& key, const std::string& text) {
  Changes changes;
  for (const char* name : {"note", "again"}) changes.set.push_back({name, text, {}, true});
  Lifetime lifetime = long_life;
  lifetime.left = engine_() % 4 == 0 ? milliseconds(1) : long_life.ttl;  // is a renewal due?
  return tally_.timed(true, [&] { return store_.update(key, changes, lifetime); });
}

void OwnedSessions::check_notes(const Record& record) {
  const std::string note(record.fields.find("note").value_or(""));
  if (record.fields.find("again") != note) fail("half of a note was written");
  if (note != note_ && !notes_in_limbo_.contains(note)) fail("has a note that was not the last");
}

void OwnedSessions::move() {
  if (doubt_ != Doubt::moved) next_key_ = key_beside(store_, key_);
  // Every other one leaves the old id readable for a while.
  const Grace grace{milliseconds(serial_ % 2 == 0 ? 0 : 100)};
  const auto moved =
      tally_.timed(true, [&] { return store_.rekey(key_, next_key_, {}, long_life, grace); });
  if (!moved) {
    if (moved.error().maybe_applied) doubt_ = Doubt::moved;
    return;
  }
  doubt_ = Doubt::none;
  if (moved->status != Outcome::Status::applied) {
    alive_ = false;
    return fail("a move found it gone");
  }
  const bool at_once = grace.duration.count() == 0;
  bury(SteadyClock::now() + (at_once ? milliseconds(0) : grace.duration + expiry_slack));
  // When its successor ends, an old id ends in any case; so it has to be looked at before.
  if (at_once) visit(graves_.back());
  key_ = next_key_;
}

void OwnedSessions::erase() {
  const bool doubtful = doubt_ == Doubt::erased;
  const auto erased = tally_.timed(true, [&] { return store_.erase(key_); });
  if (!erased.has_value()) {
    if (erased.error().maybe_applied) doubt_ = Doubt::erased;
    return;
  }
  if (!*erased && !doubtful) fail("an erase found it gone");
  doubt_ = Doubt::none;
  alive_ = false;
  bury(SteadyClock::now());
}

void OwnedSessions::bury(Time dead_from) {
  graves_.push_back({key_, dead_from});
  if (graves_.size() > kept_max) graves_.pop_front();
}

void OwnedSessions::visit_a_grave() {
  if (graves_.empty()) return;
  const Grave& grave = graves_[engine_() % graves_.size()];
  if (SteadyClock::now() >= grave.dead_from) visit(grave);
}

void OwnedSessions::visit(const Grave& grave) {
  const auto noted = write_note(grave.key, "late");
  if (noted && noted->status != Outcome::Status::gone) fail("a write found what is gone");
  const auto loaded = tally_.timed(false, [&] { return store_.load(grave.key); });
  if (loaded.has_value() && loaded->has_value())
    fail("an erased, moved or expired session is back");
}

void OwnedSessions::visit_an_orphan() {
  if (orphans_.empty()) return;
  const auto& [key, mark] = orphans_[engine_() % orphans_.size()];
  const StoreKey& its_key = key;
  const auto loaded = tally_.timed(false, [&] { return store_.load(its_key); });
  if (loaded.has_value() && loaded->has_value() && (**loaded).fields.find("mark") != mark) {
    fail("a session that may have been created late is another one");
  }
}

void OwnedSessions::settle() {
  const Time until = SteadyClock::now() + patience;
  while (doubt_ != Doubt::none && SteadyClock::now() < until) step();
  if (doubt_ != Doubt::none) return fail("the store does not recover");
  if (alive_) load();
  for (const Grave& grave : graves_) {
    std::this_thread::sleep_until(grave.dead_from);
    visit(grave);
  }
}

SharedSession::SharedSession(SessionStore& store, Tally& tally, std::string name)
    : store_(store), tally_(tally), name_(std::move(name)), key_(fresh_key()) {}

bool SharedSession::create() {
  const Fields fields{{"@created", "1"}, {"mark", name_}, {"count", "0"}};
  const Result<void> created = store_.create(key_, fields, long_life);
  return created || created.error().code == Errc::key_exists;
}

void SharedSession::step(std::uint64_t bits) { bits % 3 == 0 ? load() : increment(); }

void SharedSession::increment() {
  Changes changes;
  changes.increment.push_back({"count", 1});
  const std::int64_t least = acknowledged_ + 1;
  ++open_;
  const auto outcome = tally_.timed(true, [&] { return store_.update(key_, changes, long_life); });
  if (!outcome) {
    if (!outcome.error().maybe_applied) --open_;
    return;
  }
  if (outcome->status != Outcome::Status::applied || outcome->counters.size() != 1) {
    return tally_.fail(name_ + ": an increment found it gone");
  }
  const std::int64_t count = outcome->counters.front();
  if (count < least) tally_.fail(name_ + ": an acknowledged increment was lost");
  if (count > open_) tally_.fail(name_ + ": an increment was applied twice");
  ++acknowledged_;
}

void SharedSession::load() {
  const std::int64_t least = acknowledged_;
  const auto loaded = tally_.timed(false, [&] { return store_.load(key_); });
  if (!loaded.has_value()) return;
  if (!loaded->has_value()) return tally_.fail(name_ + ": is gone");
  const Fields& fields = (**loaded).fields;
  if (fields.find("mark") != name_) return tally_.fail(name_ + ": holds another session");
  const std::int64_t count = number(fields.find("count"));
  if (count < least) tally_.fail(name_ + ": an acknowledged increment was lost");
  if (count > open_) tally_.fail(name_ + ": an increment was applied twice");
}

void SharedSession::settle() {
  const std::uint64_t before = tally_.successes();
  const auto until = SteadyClock::now() + patience;
  while (tally_.successes() == before && SteadyClock::now() < until) load();
  if (tally_.successes() == before) tally_.fail(name_ + ": the store does not recover");
}

}  // namespace websession::testing
