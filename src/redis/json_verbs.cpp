#include "json_verbs.hpp"

#include <span>
#include <utility>
#include <vector>

#include "json_document.hpp"
#include "record_times.hpp"
#include "successors.hpp"

namespace websession::redis {
namespace {

using std::chrono::milliseconds;
using Status = Outcome::Status;

Result<void> validate_size(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return {};
  return make_error(Errc::too_large,
                    "the session is larger than record_bytes_max; nothing was sent");
}

// What changes make of a session.
struct Next {
  Outcome outcome{};
  // None: there is nothing to write. Empty: only the time to live is due.
  std::optional<std::string> text{};
  bool passes = false;  // to another principal
};

Result<Next> next_of(std::string_view text, const Changes& changes, WallTime now) {
  Result<JsonDocument> document = parse_document(text);
  if (!document) return std::move(document).error();
  Result<Applied> applied = apply(document->fields, changes, now);
  if (!applied) return std::move(applied).error();
  Next next{std::move(applied->outcome)};
  if (next.outcome.status != Status::applied) return next;
  next.passes = passes_on(document->fields, applied->fields);
  const bool is_new_here = !applied->fields.contains(created_field);
  if (changes.empty() && !is_new_here) {
    next.text = "";
    return next;
  }
  if (is_new_here) {  // made by Express, and first written here
    const std::string created = std::to_string(now.time_since_epoch().count());
    applied->fields = internal::with_created(applied->fields, created);
  }
  next.text = write_document(applied->fields, document->kept);
  return next;
}

// The counters of changes that were applied before. `text`: none, when that session is over by now.
Result<Next> applied_before(const std::optional<std::string>& text, const Changes& changes,
                            WallTime now) {
  Fields held;
  if (text) {
    const Result<JsonDocument> document = parse_document(*text);
    if (!document) return document.error();
    held = live_fields(document->fields, now);
  }
  Next next;
  for (const Changes::Increment& increment : changes.increment) {
    const std::string_view counter = held.find(increment.name).value_or("");
    next.outcome.counters.push_back(parse_integer(counter).value_or(0));
  }
  return next;
}

Error others_were_faster() {
  return make_error(Errc::timeout,
                    "others kept changing this session until the operation timeout; nothing was "
                    "written");
}

// What a rekey makes of what is held under both keys. `mark`: what will stay.
Result<Next> moved(const Held& held, const Changes& changes, const StoreKey& to, Grace grace,
                   WallTime now, JsonMark& mark) {
  std::optional<StoreKey> successor;
  if (held.mark) {
    Result<JsonMark> present = parse_json_mark(*held.mark);
    if (!present) return std::move(present).error();
    successor = std::move(present->successor);
  }
  // Asked for again: the first time has done it all.
  const bool is_taken = held.new_text || held.new_mark;
  const bool done = held.mark ? successor == to : !held.text && is_taken;
  if (done) return applied_before(held.new_mark ? std::nullopt : held.new_text, changes, now);
  if (!held.text || held.mark) return Next{{Status::gone}};
  Result<Next> next = next_of(*held.text, changes, now);
  if (!next || !next->text) return next;
  mark.passed = next->passes;
  mark.is_frozen = grace.readable && !mark.passed;
  if (is_taken) {
    return make_error(Errc::key_exists,
                      "there is a session, or the mark of one, under the new key");
  }
  if (next->text->empty()) next->text = *held.text;
  return next;
}

// What is under the keys. `append` appends the one command that asks for it.
template <class Append>
Task<Result<Held>> held(CallFlow& flow, Append append) {
  const Commands commands(1, append);
  auto ask = read(flow, commands);
  const Result<Replies> replies = co_await ask;
  if (!replies) co_return replies.error();
  co_return decode_held((*replies)[0]);
}

// How what is held goes on to a successor.
Result<internal::Link<StoreKey>> link_of(const Held& held) {
  if (!held.mark) return internal::Link<StoreKey>{held.text.has_value()};
  Result<JsonMark> mark = parse_json_mark(*held.mark);
  if (!mark) return std::move(mark).error();
  if (!mark->is_frozen) return internal::Link<StoreKey>{};
  return internal::Link<StoreKey>{true, std::move(mark->successor)};
}

}  // namespace

JsonVerbs::JsonVerbs(RedisJsonOptions options)
    : prefix_(std::move(options.prefix)),
      cookie_(std::move(options.cookie)),
      record_bytes_max_(options.redis.record_bytes_max),
      clock_(options.redis.clock ? std::move(options.redis.clock) : system_clock()) {}

Result<std::optional<Record>> JsonVerbs::record(std::string_view text, milliseconds left) const {
  Result<JsonDocument> document = parse_document(text);
  if (!document) return std::move(document).error();
  return std::optional<Record>(Record{live_fields(document->fields, clock_->wall()), left});
}

Task<Result<std::optional<Record>>> JsonVerbs::load(CallFlow& flow, const StoreKey& key) const {
  const JsonKeys where = keys(key);
  const auto append = [&where](std::string& out) {
    append_held(out, where);
    append_left(out, where.text);
  };
  const Commands commands(2, append);
  auto ask = read(flow, commands);
  const Result<Replies> replies = co_await ask;
  if (!replies) co_return replies.error();
  Result<Held> held = decode_held((*replies)[0]);
  if (!held) co_return std::move(held).error();
  if (held->mark) {
    auto by_mark = load_mark(flow, where, *held->mark);
    co_return co_await by_mark;
  }
  const Result<std::optional<milliseconds>> left = decode_left((*replies)[1]);
  if (!left.has_value()) co_return left.error();
  if (!held->text || !*left) co_return std::optional<Record>();
  co_return record(*held->text, **left);
}

Task<Result<std::optional<Record>>> JsonVerbs::load_mark(CallFlow& flow, const JsonKeys& where,
                                                         std::string_view text) const {
  Result<JsonMark> mark = parse_json_mark(text);
  if (!mark) co_return std::move(mark).error();
  if (mark->is_frozen && mark->successor) {
    internal::Walk<StoreKey> walk(*mark->successor);
    while (!walk.is_alive()) {
      const JsonKeys next = keys(walk.at());
      auto look = held(flow, [&next](std::string& out) { append_held(out, next); });
      const Result<Held> found = co_await look;
      if (!found) co_return found.error();
      Result<internal::Link<StoreKey>> link = link_of(*found);
      if (!link) co_return std::move(link).error();
      walk.found(*std::move(link));
    }
    mark->is_frozen = *walk.is_alive();
  }
  const auto append = [&where](std::string& out) { append_left(out, where.mark); };
  const Commands commands(1, append);
  auto ask = read(flow, commands);
  const Result<Replies> replies = co_await ask;
  if (!replies) co_return replies.error();
  const Result<std::optional<milliseconds>> left = decode_left((*replies)[0]);
  if (!left.has_value()) co_return left.error();
  if (!*left) co_return std::optional<Record>();
  if (!mark->is_frozen) co_return std::optional<Record>(Record{{}, **left, true});
  Result<std::optional<Record>> found = record(mark->text, **left);
  if (found.has_value()) (*found)->frozen = true;
  co_return std::move(found);
}

Task<Result<void>> JsonVerbs::create(CallFlow& flow, const StoreKey& key, const Fields& fields,
                                     Lifetime lifetime) const {
  if (auto valid = websession::validate(fields, lifetime); !valid) co_return valid;
  if (auto valid = validate_names(fields); !valid) co_return valid;
  const std::string text = write_document(fields, write_cookie(cookie_, clock_->wall()));
  if (auto fits = validate_size(text, record_bytes_max_); !fits) co_return fits;
  const JsonKeys where = keys(key);
  auto call = change(
      flow, Slot{0},
      [&](std::string& out, CallBy by) { append_json_create(out, by, where, text, lifetime); },
      Repeat::only_if_not_applied,
      [](const Reply& reply, bool) { return decode_json_create(reply); });
  co_return co_await call;
}

// Replaces what was found by what `make_next(held)`, a Result<Next>, makes of it, until nobody else
// was faster. `append(out, by, was, text)` appends the call of the script.
template <class MakeNext, class Append>
Task<Result<Outcome>> JsonVerbs::change_text(CallFlow& flow, Result<Held>& found, Repeat repeat,
                                             MakeNext make_next, Append append) const {
  bool maybe_applied = false;
  const auto failed = [&maybe_applied](Error error) {
    error.maybe_applied = error.maybe_applied || maybe_applied;
    return error;
  };
  while (found) {
    Result<Next> next = make_next(*found);
    if (!next) co_return failed(std::move(next).error());
    if (!next->text) co_return std::move(next->outcome);
    if (auto fits = validate_size(*next->text, record_bytes_max_); !fits) {
      co_return failed(std::move(fits).error());
    }
    if (std::chrono::steady_clock::now() >= flow.until()) co_return failed(others_were_faster());
    auto call = change(
        flow, Slot{0},
        [&](std::string& out, CallBy by) { append(out, by, *found->text, *next->text); }, repeat,
        [&maybe_applied](const Reply& reply, bool repeated) {
          maybe_applied = maybe_applied || repeated;
          return decode_swap(reply);
        });
    Result<std::optional<Held>> swapped = co_await call;
    if (!swapped.has_value()) co_return failed(std::move(swapped).error());
    if (!*swapped) co_return std::move(next->outcome);
    found = **std::move(swapped);
  }
  co_return failed(std::move(found).error());
}

Task<Result<Outcome>> JsonVerbs::update(CallFlow& flow, const StoreKey& key, const Changes& changes,
                                        Lifetime lifetime) const {
  if (auto valid = websession::validate(changes, lifetime); !valid) {
    co_return std::move(valid).error();
  }
  if (auto valid = validate_names(changes); !valid) co_return std::move(valid).error();
  const WallTime now = clock_->wall();
  const JsonKeys where = keys(key);
  auto look = held(flow, [&where](std::string& out) { append_held(out, where); });
  Result<Held> found = co_await look;
  auto write = change_text(
      flow, found, changes.empty() ? Repeat::harmless : Repeat::only_if_not_applied,
      [&](const Held& held) -> Result<Next> {
        if (!held.text || held.mark) return Next{{Status::gone}};
        return next_of(*held.text, changes, now);
      },
      [&](std::string& out, CallBy by, std::string_view was, std::string_view text) {
        append_json_update(out, by, where, was, text, lifetime);
      });
  co_return co_await write;
}

Task<Result<Outcome>> JsonVerbs::rekey(CallFlow& flow, const StoreKey& from, const StoreKey& to,
                                       const Changes& changes, Lifetime lifetime,
                                       Grace grace) const {
  if (auto valid = websession::validate(changes, lifetime); !valid) {
    co_return std::move(valid).error();
  }
  if (auto valid = validate_names(changes); !valid) co_return std::move(valid).error();
  const WallTime now = clock_->wall();
  const JsonKeys old_keys = keys(from);
  const JsonKeys new_keys = keys(to);
  JsonMark mark{.successor = to};
  auto look = held(flow, [&](std::string& out) { append_held(out, old_keys, new_keys); });
  Result<Held> found = co_await look;
  auto write = change_text(
      flow, found, Repeat::harmless,
      [&](const Held& held) { return moved(held, changes, to, grace, now, mark); },
      [&](std::string& out, CallBy by, std::string_view was, std::string_view text) {
        append_json_rekey(out, by, old_keys, new_keys, was, text, lifetime, grace, mark);
      });
  co_return co_await write;
}

Task<Result<bool>> JsonVerbs::erase(CallFlow& flow, const StoreKey& key, Grace grace) const {
  internal::Chain<StoreKey> chain(key);
  while (!chain.result()) {
    std::vector<JsonKeys> where;
    where.reserve(chain.keys().size());
    for (const StoreKey& one : chain.keys()) where.push_back(keys(one));
    auto call = change(
        flow, Slot{0},
        [&](std::string& out, CallBy by) { append_json_erase(out, by, where, grace); },
        Repeat::harmless,
        [](const Reply& reply, bool repeated) {
          Result<internal::Ended<StoreKey>> result = decode_json_erase(reply);
          // When an answer was lost, it was most likely the one that said "erased".
          if (result && !result->successor) result->any = result->any || repeated;
          return result;
        });
    chain.tried(co_await call);
  }
  co_return *chain.result();
}

}  // namespace websession::redis
