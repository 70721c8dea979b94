#include "answers.hpp"

#include <algorithm>
#include <array>
#include <memory_resource>
#include <utility>

#include "mark.hpp"
#include "server_error.hpp"

namespace websession::redis {
namespace {

Error too_large() {
  return make_error(Errc::too_large,
                    "with what others have written the session would hold more than it may "
                    "(session_bytes_max, attributes_max)");
}

std::optional<WallTime> parse_time(std::string_view text) {
  const std::optional<std::int64_t> ms = parse_integer(text);
  if (!ms) return std::nullopt;
  return WallTime(std::chrono::milliseconds(*ms));
}

// What TIME answers.
std::optional<WallTime> server_time(const Reply& reply) {
  const std::span<const Reply::Element> parts = reply.elements();
  if (reply.type() != Reply::Type::array || parts.size() != 2) return std::nullopt;
  const std::optional<std::int64_t> seconds = parse_integer(parts[0].text);
  const std::optional<std::int64_t> microseconds = parse_integer(parts[1].text);
  if (!seconds || !microseconds || *seconds < 0 || *seconds > 253'402'300'799) return std::nullopt;
  return WallTime(std::chrono::seconds(*seconds) + std::chrono::milliseconds(*microseconds / 1000));
}

Error no_mark() {
  return make_error(Errc::corrupt,
                    "the session's key holds something that is neither a session nor the mark of "
                    "one: is the prefix shared with another program?");
}

bool is_text(const Reply& reply) { return reply.type() == Reply::Type::string; }
bool is_text(const Reply::Element& element) { return element.type == Reply::Type::string; }

const Reply* first_error(std::span<const Reply> replies) {
  const auto found = std::find_if(replies.begin(), replies.end(), [](const Reply& reply) {
    return reply.type() == Reply::Type::error;
  });
  return found == replies.end() ? nullptr : &*found;
}

bool in_order(const Field& a, const Field& b) { return a.name < b.name; }

// The fields of a hash, sorted out. What is needed on the way lives on the stack, unless the
// session is unusually large.
class Hash {
 public:
  Result<void> sort_out(std::span<const Reply::Element> flat, WallTime now);

  std::pmr::vector<Field> fields{&memory_};
  std::vector<std::string> expired{};
  bool has_created = false;

 private:
  Result<void> take_deadlines(WallTime now);
  Result<void> find_created();

  std::array<std::byte, 4096> stack_;
  std::pmr::monotonic_buffer_resource memory_{stack_.data(), stack_.size()};
};

Result<void> Hash::sort_out(std::span<const Reply::Element> flat, WallTime now) {
  if (flat.size() % 2 != 0) return unexpected_reply();
  fields.reserve(flat.size() / 2);
  for (std::size_t i = 0; i < flat.size(); i += 2) {
    if (!is_text(flat[i]) || !is_text(flat[i + 1])) return unexpected_reply();
    fields.push_back({flat[i].text, flat[i + 1].text, std::nullopt});
  }
  std::sort(fields.begin(), fields.end(), in_order);
  // No hash names a field twice. Of such two, one could outlive the deadline of both.
  const auto twice =
      std::adjacent_find(fields.begin(), fields.end(),
                         [](const Field& a, const Field& b) { return a.name == b.name; });
  if (twice != fields.end()) return unexpected_reply();
  if (auto taken = take_deadlines(now); !taken) return taken;
  return find_created();
}

// A field with a deadline (timed.lua) becomes the attribute that it is. Precondition: the fields
// are in order, and stay so; those with a deadline stand together.
Result<void> Hash::take_deadlines(WallTime now) {
  const auto is_timed = [](const Field& field) { return field.name.starts_with(until_prefix); };
  const auto first = std::find_if(fields.begin(), fields.end(), is_timed);
  const auto last = std::find_if_not(first, fields.end(), is_timed);
  std::pmr::vector<Field> timed(first, last, &memory_);
  fields.erase(first, last);
  for (Field field : timed) {
    field.name.remove_prefix(until_prefix.size());
    const std::size_t colon = field.value.find(':');
    if (colon != std::string_view::npos) field.deadline = parse_time(field.value.substr(0, colon));
    if (!field.deadline) {
      return make_error(Errc::corrupt, "an attribute's deadline (@until.) is not a number");
    }
    field.value.remove_prefix(colon + 1);
    const auto place = std::lower_bound(fields.begin(), fields.end(), field, in_order);
    // A plain one beside it counts, and knows no deadline.
    const bool counts = place == fields.end() || place->name != field.name;
    if (*field.deadline <= now) {
      expired.emplace_back(field.name);
    } else if (counts) {
      fields.insert(place, field);
    }
  }
  return {};
}

Result<void> Hash::find_created() {
  const auto created =
      std::lower_bound(fields.begin(), fields.end(), Field{created_field, {}}, in_order);
  has_created = created != fields.end() && created->name == created_field;
  if (has_created && !parse_time(created->value)) {
    return make_error(Errc::corrupt, "a session's @created is not a number");
  }
  return {};
}

}  // namespace

bool holds_no_hash(std::span<const Reply> replies) {
  return replies[0].type() == Reply::Type::error && is_wrong_type(replies[0].text());
}

Result<std::optional<Loaded>> decode_load(const Layout& layout, std::span<const Reply> replies,
                                          WallTime now) {
  if (const Reply* error = first_error(replies)) return server_error(error->text(), false);
  const Reply& flat = replies[0];
  const Reply& ttl = replies[1];
  if (flat.type() == Reply::Type::oversized) {
    return make_error(Errc::corrupt, "a session is larger than record_bytes_max allows");
  }
  if (flat.type() != Reply::Type::array || ttl.type() != Reply::Type::integer)
    return unexpected_reply();
  if (flat.elements().empty() || ttl.integer() == -2) return std::optional<Loaded>();
  Hash hash;
  if (auto sorted = hash.sort_out(flat.elements(), now); !sorted) return std::move(sorted).error();
  if (!hash.has_created && !layout.adopt_foreign_hashes) return std::optional<Loaded>();
  if (ttl.integer() < 0 && !layout.adopt_foreign_hashes) {
    return make_error(Errc::corrupt,
                      "a session has no time to live: another program has removed it (PERSIST)");
  }
  Loaded loaded;
  loaded.record.fields = Fields(hash.fields);
  loaded.record.expired = std::move(hash.expired);
  // A foreign hash may have no time to live: with none left, a renewal is due, which sets one.
  loaded.record.remaining = std::chrono::milliseconds(std::max<std::int64_t>(ttl.integer(), 0));
  return std::optional<Loaded>(std::move(loaded));
}

Result<std::optional<Loaded>> decode_mark(const Layout& layout, std::span<const Reply> replies,
                                          WallTime now) {
  Loaded loaded;
  loaded.record.frozen = true;
  // With what it says of the fields it may be larger than a session may be: then it is only a mark.
  if (replies[0].type() == Reply::Type::oversized) return std::optional<Loaded>(std::move(loaded));
  if (const Reply* error = first_error(replies)) return server_error(error->text(), false);
  if (replies[0].type() == Reply::Type::nil) return std::optional<Loaded>();  // it has just ended
  if (!is_text(replies[0])) return unexpected_reply();
  const std::optional<WallTime> time = server_time(replies[1]);
  if (!time) return unexpected_reply();
  const std::optional<Mark> mark = parse_mark(replies[0].text());
  if (!mark) return no_mark();
  loaded.record.remaining = mark->ends - *time;
  if (loaded.record.remaining <= std::chrono::milliseconds(0)) return std::optional<Loaded>();
  if (!mark->is_frozen) return std::optional<Loaded>(std::move(loaded));
  Hash hash;
  if (auto sorted = hash.sort_out(mark->flat, now); !sorted) return std::move(sorted).error();
  if (!hash.has_created && !layout.adopt_foreign_hashes) return no_mark();
  loaded.record.fields = Fields(hash.fields);
  loaded.successor = mark->successor;
  return std::optional<Loaded>(std::move(loaded));
}

Result<internal::Link<std::string>> decode_successor(std::span<const Reply> replies) {
  using Link = internal::Link<std::string>;
  if (!holds_no_hash(replies)) {
    if (replies[0].type() == Reply::Type::error) return server_error(replies[0].text(), false);
    if (replies[0].type() != Reply::Type::integer) return unexpected_reply();
    return Link{replies[0].integer() > 0};
  }
  if (replies[1].type() == Reply::Type::error) return server_error(replies[1].text(), false);
  if (replies[1].type() == Reply::Type::nil) return Link{};
  const std::optional<Mark> mark =
      is_text(replies[1]) ? parse_mark(replies[1].text()) : std::nullopt;
  if (!mark || !mark->is_frozen) return Link{};
  return Link{true, std::string(mark->successor)};
}

Result<void> decode_create(const Reply& reply) {
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), true);
  if (reply.type() != Reply::Type::integer) return unexpected_reply(true);
  if (reply.integer() == 0) {
    return make_error(Errc::key_exists, "there is a session under this key");
  }
  if (reply.integer() == 2) {
    return make_error(Errc::gone,
                      "all sessions of the principal were ended while this one was being made");
  }
  if (reply.integer() != 1) return unexpected_reply(true);
  return {};
}

Result<Changed> decode_change(const Reply& reply, const Changes& changes) {
  using Status = Outcome::Status;
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), true);
  if (reply.type() == Reply::Type::integer && changes.increment.empty()) {  // set.lua
    if (reply.integer() == 2) return too_large();
    if (reply.integer() != 0 && reply.integer() != 1) return unexpected_reply(true);
    return Changed{Outcome{reply.integer() == 1 ? Status::applied : Status::gone}};
  }
  const std::span<const Reply::Element> elements = reply.elements();
  if (reply.type() != Reply::Type::array || elements.empty()) return unexpected_reply(true);
  const std::string_view status = elements[0].text;
  if (status == "gone") return Changed{Outcome{Status::gone}};
  if (status == "conflict") {
    Changed conflict{Outcome{Status::conflict}};
    if (elements.size() > 1) conflict.outcome.found = std::string(elements[1].text);
    return conflict;
  }
  if (status == "principal" && elements.size() == 2 && is_text(elements[1])) {
    Changed asks;
    asks.former = std::string(elements[1].text);
    return asks;
  }
  if (status == "longer" && elements.size() == 2) {
    const std::optional<std::int64_t> life = parse_integer(elements[1].text);
    if (!life) return unexpected_reply();
    Changed asks;
    asks.life = std::chrono::milliseconds(*life);
    return asks;
  }
  if (status == "key_exists") {
    return make_error(Errc::key_exists, "there is a session under the new key");
  }
  if (status == "too_large") return too_large();
  if (status == "not_integer") {
    return make_error(Errc::invalid_argument, "the counter does not hold an integer to add to");
  }
  if (status == "overflow") {
    return make_error(Errc::invalid_argument,
                      "the counter would leave the range of a 64-bit integer");
  }
  const bool was_nobodys = status == "nobodys";
  if ((status != "applied" && !was_nobodys) || elements.size() != changes.increment.size() + 1) {
    return unexpected_reply(true);
  }
  Changed applied;
  applied.was_nobodys = was_nobodys;
  for (const Reply::Element& element : elements.subspan(1)) {
    const std::optional<std::int64_t> counter = parse_integer(element.text);
    if (!counter) return unexpected_reply(true);
    applied.outcome.counters.push_back(*counter);
  }
  return applied;
}

namespace {

// `reply`: the array of its parts; an error when the server refused the transaction, which has
// applied nothing then.
std::optional<Result<Changed>> decode_transaction(const Reply& reply) {
  using Status = Outcome::Status;
  if (reply.type() == Reply::Type::error) return std::nullopt;
  const std::span<const Reply::Element> elements = reply.elements();
  if (elements.size() < 2) return unexpected_reply(true);
  const Reply::Element& written = elements[0];
  const Reply::Element& ended = elements[1];
  if (written.type == Reply::Type::error) {
    if (is_wrong_type(written.text)) return Changed{Outcome{Status::gone}};
    return server_error(written.text, true);
  }
  if (written.type != Reply::Type::integer || ended.type != Reply::Type::integer) {
    return unexpected_reply(true);
  }
  if (ended.integer == 1) return Changed{Outcome{Status::gone}};
  Changed applied{Outcome{Status::applied}};
  applied.put_back = written.integer > 0;
  return applied;
}

// What HSETEX has not written, the script is to say why.
ByShortcut<Result<Changed>> decode_hsetex(const Replies& replies) {
  using Status = Outcome::Status;
  const Reply& written = replies[replies.size() - 1];
  if (written.type() == Reply::Type::error) {
    if (!is_wrong_type(written.text())) return {};
    return {Changed{Outcome{Status::gone}}};  // a mark
  }
  if (written.type() != Reply::Type::integer || written.integer() < 0 || written.integer() > 1) {
    return {unexpected_reply(true)};
  }
  if (written.integer() == 0) return {};
  // Where there is no right to renew, the script meets that, too.
  const bool renewed = replies.size() == 1 || replies[0].type() == Reply::Type::integer;
  if (!renewed) return {std::nullopt, true};
  return {Changed{Outcome{Status::applied}}};
}

}  // namespace

ByShortcut<Result<Changed>> decode_shortcut(const Replies& replies) {
  if (replies.way() == Way::guarded) return decode_hsetex(replies);
  return {decode_transaction(replies[0])};
}

Result<void> decode_bound(const Reply& reply) {
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), true);
  if (reply.type() != Reply::Type::integer) return unexpected_reply(true);
  if (reply.integer() != 2) return {};
  Error error = too_large();
  error.maybe_applied = true;  // what the attributes held before is gone
  return error;
}

Result<Erased> decode_erase(const Reply& reply) {
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), true);
  if (reply.type() == Reply::Type::integer) return Erased{reply.integer() > 0};
  if (reply.type() != Reply::Type::array || reply.elements().empty()) return unexpected_reply(true);
  Erased asks;
  for (const Reply::Element& element : reply.elements()) {
    if (!is_text(element)) return unexpected_reply(true);
    asks.principals.emplace_back(element.text);
  }
  if (asks.principals.size() == 2 && asks.principals[0] == "ended") {
    Erased erased;
    erased.any = true;
    erased.former = std::move(asks.principals[1]);
    return erased;
  }
  const std::string successor = std::move(asks.principals.front());
  asks.principals.erase(asks.principals.begin());
  if (!successor.empty()) asks.successor = successor;
  if (!asks.successor && asks.principals.empty()) return unexpected_reply(true);
  return asks;
}

Result<Entries> decode_entries(const Layout& layout, const Reply& reply) {
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), false);
  if (reply.type() != Reply::Type::array) return unexpected_reply();
  Entries entries;
  for (const Reply::Element& element : reply.elements()) {
    if (!is_text(element) || !element.text.starts_with(layout.prefix)) return unexpected_reply();
    ++entries.ranks;
    const bool is_mark = layout.index_is_apart() && element.text.ends_with(being_written);
    if (!is_mark) entries.keys.emplace_back(std::string(element.text.substr(layout.prefix.size())));
  }
  return entries;
}

Result<std::int64_t> decode_announce(const Reply& reply) {
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), false);
  const std::optional<std::int64_t> latest =
      is_text(reply) ? parse_integer(reply.text()) : std::nullopt;
  if (!latest) return unexpected_reply();
  return *latest;
}

Result<std::vector<Entry>> decode_look(const Reply& reply, std::span<const StoreKey> keys) {
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), false);
  const std::span<const Reply::Element> elements = reply.elements();
  if (elements.size() != 2 * keys.size()) return unexpected_reply();
  std::vector<Entry> entries;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::optional<std::int64_t> until = parse_integer(elements[2 * i + 1].text);
    if (!until) return unexpected_reply();
    entries.push_back({keys[i], std::string(elements[2 * i].text), *until});
  }
  return entries;
}

Result<Under> decode_bar(const Reply& reply) {
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), false);
  if (reply.type() != Reply::Type::integer) return unexpected_reply(true);
  if (reply.integer() == 1) return Under::nobodys;
  return reply.integer() == 0 ? Under::principals : Under::others;
}

Result<void> decode_removal(const Reply& reply) {
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), false);
  if (reply.type() != Reply::Type::integer) return unexpected_reply(true);
  return {};
}

}  // namespace websession::redis
