// Replies of a Redis into records and outcomes, and records into sessions.
//
// The input is "flags|cuts|" and the bytes that a server sends. Flags are letters: a takes foreign
// hashes, s makes the limit of a reply small. `cuts` is the seed of where the bytes are cut.

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "answers.hpp"
#include "fuzz_target.hpp"
#include "input.hpp"
#include "printable.hpp"
#include "resp.hpp"
#include "websession/session_manager.hpp"
#include "websession/testing/manual_clock.hpp"

namespace {

using namespace websession;  // NOLINT(google-build-using-namespace): a program of one file
using fuzz::Input;
using fuzz::require;
using fuzz::require_printable;
using redis::Layout;
using redis::Reply;
using redis::ReplyParser;
using Type = Reply::Type;

const WallTime now{std::chrono::milliseconds(1'700'000'000'000)};

struct Parsed {
  std::vector<Reply> replies;
  bool corrupt = false;
};

// Feeds the bytes in pieces of random sizes; seed 0: byte by byte.
Parsed parse_in_pieces(std::string_view bytes, std::size_t limit, std::uint64_t seed) {
  Parsed parsed;
  ReplyParser parser(limit);
  std::uint64_t state = seed;
  while (!bytes.empty() && !parsed.corrupt) {
    state = state * 6'364'136'223'846'793'005U + (seed == 0 ? 0U : 1'442'695'040'888'963'407U);
    const std::string_view piece = bytes.substr(0, 1 + (state >> 58U));
    bytes.remove_prefix(piece.size());
    parsed.corrupt = !parser.feed(std::string(piece), parsed.replies).has_value();
  }
  return parsed;
}

Parsed parse_at_once(std::string_view bytes, std::size_t limit) {
  Parsed parsed;
  ReplyParser parser(limit);
  const Result<void> fed = parser.feed(bytes, parsed.replies);
  require(fed || fed.error().code == Errc::corrupt, "bytes that are no replies are corrupt");
  parsed.corrupt = !fed;
  return parsed;
}

bool same_element(const Reply::Element& a, const Reply::Element& b) {
  return a.type == b.type && a.integer == b.integer && a.text == b.text;
}

bool same_reply(const Reply& a, const Reply& b) {
  return a.type() == b.type() && a.integer() == b.integer() && a.text() == b.text() &&
         std::equal(a.elements().begin(), a.elements().end(), b.elements().begin(),
                    b.elements().end(), same_element);
}

void check_cuts(std::string_view bytes, std::size_t limit, std::uint64_t seed,
                const Parsed& whole) {
  const Parsed cut = parse_in_pieces(bytes, limit, seed);
  require(cut.replies.size() <= whole.replies.size() &&
              std::equal(cut.replies.begin(), cut.replies.end(), whole.replies.begin(), same_reply),
          "the replies are the same, however the bytes are cut");
  // Only what waits to be parsed is limited, and that may be more when it comes in pieces.
  if (bytes.size() > 16 * limit) return;
  require(cut.replies.size() == whole.replies.size() && cut.corrupt == whole.corrupt,
          "whether the bytes are corrupt does not depend on the cuts");
}

void check_limit(const Reply& reply, std::size_t limit) {
  std::size_t bytes = reply.text().size();
  for (const Reply::Element& element : reply.elements()) {
    bytes += element.text.size();
    require(element.type != Type::oversized, "only a whole reply can be too large");
  }
  require(bytes <= limit, "a reply over the limit is not kept");
  require(reply.type() == Type::array || reply.elements().empty(), "elements are an array's");
}

// What a load of these two replies gives, read as plainly as can be. `corrupt`: or an error reply.
struct Expected {
  enum class Kind { absent, corrupt, record } kind = Kind::corrupt;
  std::map<std::string, Field> fields{};
  std::vector<std::string> expired{};
};

// The pairs of a hash; nullopt when it is none.
std::optional<std::map<std::string, std::string_view>> pairs_of(const Reply& flat) {
  std::map<std::string, std::string_view> pairs;
  const auto elements = flat.elements();
  if (elements.size() % 2 != 0) return std::nullopt;
  for (std::size_t i = 0; i < elements.size(); i += 2) {
    const bool texts = elements[i].type == Type::string && elements[i + 1].type == Type::string;
    if (!texts || !pairs.emplace(elements[i].text, elements[i + 1].text).second) {
      return std::nullopt;
    }
  }
  return pairs;
}

Expected expected(const Reply& flat, const Reply& ttl, bool adopt) {
  using Kind = Expected::Kind;
  Expected result;
  if (flat.type() != Type::array || ttl.type() != Type::integer) return result;
  if (flat.elements().empty() || ttl.integer() == -2) return {Kind::absent};
  const auto pairs = pairs_of(flat);
  if (!pairs) return result;
  for (const auto& [name, text] : *pairs) {
    if (!name.starts_with("@until.")) {
      result.fields[name] = {name, text};
      if (name == "@created" && !parse_integer(text)) return result;
    }
  }
  for (const auto& [name, text] : *pairs) {
    if (!name.starts_with("@until.")) continue;
    const std::size_t colon = std::min(text.find(':'), text.size());
    const std::optional<std::int64_t> ms = parse_integer(text.substr(0, colon));
    if (!ms || colon == text.size()) return result;
    const std::string attribute = name.substr(7);
    const WallTime deadline{std::chrono::milliseconds(*ms)};
    if (deadline <= now) {
      result.expired.push_back(attribute);
    } else if (!pairs->contains(attribute)) {  // the one without a deadline counts
      result.fields[attribute] = {attribute, text.substr(colon + 1), deadline};
    }
  }
  if (!adopt && !pairs->contains("@created")) return {Kind::absent};
  if (!adopt && ttl.integer() < 0) return result;
  result.kind = Kind::record;
  return result;
}

void check_record(const redis::Loaded& loaded, const Expected& wanted, const Reply& ttl) {
  const Fields& fields = loaded.record.fields;
  require(fields.size() == wanted.fields.size(), "a record has the hash's fields");
  std::size_t i = 0;
  for (const auto& entry : wanted.fields) {
    const Field field = fields[i++];
    require(field.name == entry.first && field.value == entry.second.value,
            "a record's fields are those of the hash, in the order of names");
    require(field.deadline == entry.second.deadline, "a field has its deadline");
    require(fields.find(entry.first) == field.value, "a field is found by its name");
  }
  std::vector<std::string> expired = loaded.record.expired;
  std::sort(expired.begin(), expired.end());
  require(expired == wanted.expired, "what has expired is named");
  require(loaded.successor.empty() && !loaded.record.frozen, "a hash is a live session");
  require(loaded.record.remaining.count() == std::max<std::int64_t>(ttl.integer(), 0),
          "a record has the time to live that the server says");
}

// Serves one record, and takes every change for applied.
class OneRecordStore final : public SessionStore {
 public:
  explicit OneRecordStore(Record record) : record_(std::move(record)) {}
  Result<std::optional<Record>> load(const StoreKey&) override { return std::optional(record_); }
  Result<void> create(const StoreKey&, const Fields&, Lifetime) override { return {}; }
  Result<Outcome> update(const StoreKey&, const Changes& changes, Lifetime lifetime) override {
    require(validate(changes, lifetime).has_value(), "a session asks for valid changes");
    Outcome outcome;
    outcome.counters.resize(changes.increment.size());
    return outcome;
  }
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace) override {
    require(!(from == to), "a new id is another");
    return update(to, changes, lifetime);
  }
  Result<bool> erase(const StoreKey&, Grace) override { return true; }

 private:
  Record record_;
};

// A request that is given this record.
void check_session(const Record& record) {
  SessionOptions options;
  options.clock = std::make_shared<testing::ManualClock>(now);
  options.on_unreadable = Unreadable::fail;
  const SessionManager manager =
      SessionManager::make(std::make_shared<OneRecordStore>(record), options).value();
  Result<Session> session = manager.open({"sid=" + std::string(32, 'A'), true});
  if (!session) {
    require(session.error().code == Errc::corrupt, "only a corrupt record cannot be opened");
    return require_printable(session.error());
  }
  if (session->is_new()) return;  // its absolute timeout is over
  for (const std::string& name : session->names()) {
    require(!name.starts_with('@'), "the library's own fields are no attributes");
    require(session->contains(name), "an attribute with a name is there");
    const auto text = session->get<std::string>(name);
    require(text.has_value() && *text, "every attribute can be read as a string");
    (void)session->get<std::int64_t>(name);
    (void)session->get<double>(name);
  }
  const auto left = session->expires_in();
  require(left.count() >= 0 && left <= ttl_max, "a session's time to live is in range");
  session->set("a", "text");
  session->regenerate();
  const Result<Commit> commit = manager.commit(*session);
  require(commit.has_value(), "any record that can be opened can be changed");
  require(commit->status == Commit::Status::regenerated, "a live session gets a new id");
}

void check_load(const Reply& flat, const Reply& ttl, bool adopt) {
  // Replies cannot be copied, and decode_load wants them side by side.
  const std::vector<Reply> replies = [&] {
    std::vector<Reply> both;
    for (const Reply* reply : {&flat, &ttl}) {
      both.emplace_back(Reply::Element{reply->type(), reply->integer(), reply->text()},
                        reply->elements());
    }
    return both;
  }();
  const auto loaded = redis::decode_load(Layout{"sid_", adopt}, replies, now);
  const bool refused = flat.type() == Type::error || ttl.type() == Type::error;
  const Expected wanted = refused ? Expected() : expected(flat, ttl, adopt);
  require(loaded.has_value() == (wanted.kind != Expected::Kind::corrupt),
          "what cannot be a session is an error");
  if (!loaded.has_value()) {
    require(refused || loaded.error().code == Errc::corrupt, "what cannot be a session is corrupt");
    require(!loaded.error().maybe_applied, "a load applies nothing");
    require_printable(loaded.error());
  } else if (*loaded) {
    require(wanted.kind == Expected::Kind::record, "a record is there when the hash is a session");
    check_record(**loaded, wanted, ttl);
    check_session((*loaded)->record);
  } else {
    require(wanted.kind == Expected::Kind::absent, "a session that is there is found");
  }

  const auto successor = redis::decode_successor(replies);
  if (!successor) return require_printable(successor.error());
  require(!successor->exists || flat.type() == Type::error || flat.integer() > 0,
          "a successor exists when there is one");
  require(!successor->successor || ttl.type() == Type::string, "its own one is named by its mark");
}

void check_change(const Reply& reply, std::size_t increments) {
  using Status = Outcome::Status;
  Changes changes;
  for (std::size_t i = 0; i < increments; ++i) changes.increment.push_back({std::to_string(i), 1});
  const Result<redis::Changed> changed = redis::decode_change(reply, changes);
  if (!changed) return require_printable(changed.error());
  const auto elements = reply.elements();
  if (changed->former || changed->life) {
    require(!redis::has_written(changed), "what asks has written nothing");
    require(elements.size() == 2, "it asks for one thing");
    require(!changed->former || elements[1].text == *changed->former, "it asks for an index");
    require(!changed->life || parse_integer(elements[1].text) == changed->life->count(),
            "it asks for a longer entry");
    return;
  }
  const Outcome* outcome = &changed->outcome;
  if (elements.empty()) {
    require(reply.type() == Type::integer && increments == 0, "the short script counts nothing");
    require(reply.integer() == (outcome->status == Status::applied ? 1 : 0),
            "the short script says 1 or 0");
    return;
  }
  const std::string_view said = changed->was_nobodys                 ? "nobodys"
                                : outcome->status == Status::applied ? "applied"
                                : outcome->status == Status::gone    ? "gone"
                                                                     : "conflict";
  require(elements[0].text == said, "an outcome is what the server said");
  if (outcome->status != Status::applied) return;
  require(outcome->counters.size() == increments, "each increment has its counter");
  for (std::size_t i = 0; i < increments; ++i) {
    require(parse_integer(elements[i + 1].text) == outcome->counters[i],
            "a counter is what the server said");
  }
}

void check_single(const Reply& reply) {
  for (std::size_t increments = 0; increments <= 2; ++increments) check_change(reply, increments);
  const Result<void> created = redis::decode_create(reply);
  require(created.has_value() == (reply.type() == Type::integer && reply.integer() == 1),
          "a session is created when the server says 1");
  if (!created) require_printable(created.error());
  const auto erased = redis::decode_erase(reply);
  if (!erased) return require_printable(erased.error());
  const auto elements = reply.elements();
  const bool has_ended = elements.size() == 2 && elements[0].text == "ended";
  require(erased->any == (has_ended || reply.integer() > 0),
          "a session is erased when the server says so");
  require(
      erased->former == (has_ended ? std::optional(std::string(elements[1].text)) : std::nullopt),
      "a list that begins with \"ended\" says whose it was");
  const bool asks = erased->successor || !erased->principals.empty();
  require(asks == (reply.type() == Type::array && !has_ended), "any other list asks for more keys");
}

// Where the index is apart from the sessions.
void check_index(const Reply& reply) {
  const bool is_array = reply.type() == Type::array;
  const auto entries = redis::decode_entries(Layout{"sid_"}, reply);
  if (entries) {
    require(is_array && entries->keys.size() == entries->ranks, "each element is an entry");
    for (std::size_t i = 0; i < entries->ranks; ++i) {
      require("sid_" + std::string(entries->keys[i].secret()) == reply.elements()[i].text,
              "an entry is the key of a session");
    }
  } else {
    require_printable(entries.error());
  }
  const std::vector<StoreKey> keys(2, StoreKey("a"));
  const auto looked = redis::decode_look(reply, keys);
  if (looked) {
    require(is_array && looked->size() == keys.size(), "each key is answered");
  } else {
    require_printable(looked.error());
  }
  const auto announced = redis::decode_announce(reply);
  if (announced) {
    require(parse_integer(reply.text()) == *announced, "a moment is what the server said");
  } else {
    require_printable(announced.error());
  }
  const auto bar = redis::decode_bar(reply);
  const auto removal = redis::decode_removal(reply);
  const bool is_integer = reply.type() == Type::integer;
  require(bar.has_value() == is_integer && removal.has_value() == is_integer,
          "a number answers these");
  if (!bar) require_printable(bar.error());
  if (!removal) require_printable(removal.error());
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::string flags = input.piece();
  const auto seed = static_cast<std::uint64_t>(input.number().value_or(0));
  const bool adopt = flags.find('a') != std::string::npos;
  const std::size_t limit = flags.find('s') == std::string::npos ? 1024 : 16;

  const Parsed whole = parse_at_once(input.rest(), limit);
  check_cuts(input.rest(), limit, seed, whole);
  for (std::size_t i = 0; i < whole.replies.size(); ++i) {
    check_limit(whole.replies[i], limit);
    check_single(whole.replies[i]);
    check_index(whole.replies[i]);
    if (i > 0) check_load(whole.replies[i - 1], whole.replies[i], adopt);
  }
  return 0;
}
