#include "directory.hpp"

#include <algorithm>
#include <bitset>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "cluster/cluster_call.hpp"
#include "directory_pages.hpp"
#include "kept_keys.hpp"
#include "server_error.hpp"

namespace websession::redis {
namespace {

// A key with what a reply takes for it: the prefix and an id are seldom longer.
constexpr std::size_t key_bytes = 512;
// So many keys one SCAN looks at: some tenths of a millisecond.
constexpr std::size_t looked_at_max = 1000;
// A reply that is larger than expected is asked for again in parts, down to single keys; and so is
// one of a node that has lost its slots.
constexpr std::size_t tries_max = 16;
constexpr char cursor_kind = 'r';

std::size_t looked_at(const Listed& what, std::size_t about) {
  const std::size_t fit =
      std::clamp<std::size_t>(what.reply_bytes_max / key_bytes, 1, looked_at_max);
  return std::min(fit, about);
}

// Every key that begins with these bytes.
std::string pattern_of(std::string_view prefix) {
  std::string pattern;
  for (const char c : prefix) {
    if (std::string_view("*?[]^\\").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern + '*';
}

void append_scan(std::string& out, std::string_view cursor, std::size_t count) {
  append_command(out, {"SCAN", cursor, "COUNT", std::to_string(count)});
}
void append_scan(std::string& out, const Listed& what, std::string_view cursor, std::size_t count) {
  append_command(out, {"SCAN", cursor, "MATCH", pattern_of(what.prefix), "COUNT",
                       std::to_string(count), "TYPE", what.type});
}

struct Scanned {
  std::string next;  // "0": that was all
  std::vector<StoreKey> keys{};
};
// None: the reply was larger than is read.
Result<std::optional<Scanned>> decode_scan(const Reply& reply, std::string_view prefix) {
  if (reply.type() == Reply::Type::error) return server_error(reply.text(), false);
  if (reply.type() == Reply::Type::oversized) return std::optional<Scanned>();
  const std::span<const Reply::Element> elements = reply.elements();
  const bool fits = reply.type() == Reply::Type::array && elements.size() >= 2 &&
                    elements[0].type == Reply::Type::string &&
                    elements[1].type == Reply::Type::array &&
                    elements[1].integer == static_cast<std::int64_t>(elements.size()) - 2;
  if (!fits) return unexpected_reply();
  Scanned scanned{std::string(elements[0].text)};
  for (const Reply::Element& element : elements.subspan(2)) {
    if (element.type != Reply::Type::string || !element.text.starts_with(prefix)) {
      return unexpected_reply();
    }
    scanned.keys.emplace_back(std::string(element.text.substr(prefix.size())));
  }
  return std::optional(std::move(scanned));
}

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 20 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Where somebody stands.
struct Stand {
  Slot slot = 0;             // the lowest one of the node
  std::string cursor = "0";  // the node's
  std::string node{};        // whose cursor it is; empty: nobody's, it is at the beginning
};

Result<Stand> stand_of(const DirectoryCursor& cursor, bool on_cluster) {
  Stand stand;
  if (cursor.is_beginning()) return stand;
  const Result<std::string_view> whole = internal::text_of(cursor, cursor_kind);
  if (!whole) return whole.error();
  std::string_view text = *whole;
  if (on_cluster) {
    const std::size_t slash = text.find('/');
    const std::size_t at = text.find('@');
    if (slash == std::string_view::npos || at == std::string_view::npos || at < slash) {
      return internal::foreign_cursor();
    }
    const auto slot = internal::number_in<Slot>(text.substr(0, slash), Slot{slots_count});
    if (!slot) return slot.error();
    stand.slot = *slot;
    stand.node = text.substr(at + 1);
    text = text.substr(slash + 1, at - slash - 1);
  }
  if (!is_number(text)) return internal::foreign_cursor();
  stand.cursor = text;
  return stand;
}

DirectoryCursor cursor_of(const Stand& stand, bool on_cluster) {
  if (!on_cluster) return internal::cursor_of(cursor_kind, stand.cursor);
  return internal::cursor_of(cursor_kind,
                             std::to_string(stand.slot) + '/' + stand.cursor + '@' + stand.node);
}

// The lowest slot of the next node; none: there is no further one.
std::optional<Slot> next_node(const ClusterMap& map, Slot slot) {
  std::bitset<nodes_max> seen;
  for (std::size_t i = 0; i <= slot; ++i) seen.set(map.node_of(static_cast<Slot>(i)));
  for (std::size_t i = slot + std::size_t{1}; i < slots_count; ++i) {
    if (!seen.test(map.node_of(static_cast<Slot>(i)))) return static_cast<Slot>(i);
  }
  return std::nullopt;
}

// Asks the server; or, of a Cluster, the node that has the slot. `node`: who has answered; none, it
// is not certain, since the slot went from one to another one meanwhile.
Task<Result<Replies>> ask_node(CallFlow& flow, const Commands& commands,
                               std::optional<NodeId>& node) {
  ClusterMap* const map = flow.driver().cluster();
  const auto who = [&] { return map != nullptr ? map->node_of(commands.slot) : NodeId{0}; };
  const NodeId before = who();
  auto reading = read(flow, commands);
  Result<Replies> replies = co_await reading;
  node = before == who() ? std::optional(before) : std::nullopt;
  co_return std::move(replies);
}

// Commands without a key are never sent on by a node that has lost its slots, or is a replica by
// now. So who has which is looked at anew when somebody begins, and once in a while after that.
Task<Result<void>> look_anew(CallFlow& flow, bool begins) {
  ClusterMap* const map = flow.driver().cluster();
  if (map == nullptr) co_return Result<void>();
  map->doubt(begins ? ClusterMap::Doubt::leads_to_nobody : ClusterMap::Doubt::in_parts);
  auto look = look_at_slots(flow, std::nullopt);
  co_return co_await look;
}

Error replies_too_large() {
  return make_error(Errc::too_large,
                    "the keys of this Redis are too long for record_bytes_max: raise that");
}

}  // namespace

Task<Result<DirectoryPage>> list_page(CallFlow& flow, const Listed& what,
                                      const DirectoryCursor& after, std::size_t about) {
  if (auto valid = internal::validate_page(about); !valid) co_return std::move(valid).error();
  ClusterMap* const map = flow.driver().cluster();
  Result<Stand> found = stand_of(after, map != nullptr);
  if (!found) co_return std::move(found).error();
  Stand stand = *std::move(found);
  auto look = look_anew(flow, after.is_beginning());
  if (const Result<void> looked = co_await look; !looked) co_return looked.error();
  std::size_t count = looked_at(what, about);
  for (std::size_t i = 0; i <= tries_max; ++i) {
    // Another node's cursor means nothing to this one, which is begun anew.
    const std::string asked =
        map != nullptr ? map->place_of(map->node_of(stand.slot)).display() : std::string();
    if (asked != stand.node) stand = Stand{stand.slot, "0", asked};
    const auto append = [&](std::string& out) { append_scan(out, what, stand.cursor, count); };
    const Commands commands(1, append, {}, stand.slot);
    std::optional<NodeId> node;
    auto asking = ask_node(flow, commands, node);
    const Result<Replies> replies = co_await asking;
    if (!replies) co_return replies.error();
    const bool is_told = map == nullptr || (node && map->place_of(*node).display() == stand.node);
    if (!is_told) {
      stand.node.clear();
      continue;
    }
    Result<std::optional<Scanned>> scanned = decode_scan((*replies)[0], what.prefix);
    if (!scanned.has_value()) co_return std::move(scanned).error();
    if (!*scanned) {
      if (count == 1) break;
      count = count / 2;
      continue;
    }
    DirectoryPage page{std::move((*scanned)->keys)};
    stand.cursor = std::move((*scanned)->next);
    if (stand.cursor == "0") {
      const auto next = map != nullptr ? next_node(*map, stand.slot) : std::nullopt;
      page.is_last = !next;
      if (next) stand = Stand{*next, "0", map->place_of(map->node_of(*next)).display()};
    }
    if (!page.is_last) page.next = cursor_of(stand, map != nullptr);
    co_return std::move(page);
  }
  co_return replies_too_large();
}

// The same keys are looked at twice: which of them are sessions, and how many they are.
Task<Result<SessionCount>> count_keys(CallFlow& flow, const Listed& what) {
  ClusterMap* const map = flow.driver().cluster();
  auto look = look_anew(flow, true);
  if (const Result<void> looked = co_await look; !looked) co_return looked.error();
  SessionCount sum;
  std::optional<Slot> slot = Slot{0};
  while (slot) {
    std::size_t count = looked_at(what, looked_at_max);
    std::optional<Scanned> all;
    std::optional<Scanned> sessions;
    while (!all || !sessions) {
      const auto append = [&](std::string& out) {
        append_scan(out, what, "0", count);
        append_scan(out, "0", count);
      };
      const Commands commands(2, append, {}, *slot);
      auto reading = read(flow, commands);
      const Result<Replies> replies = co_await reading;
      if (!replies) co_return replies.error();
      Result<std::optional<Scanned>> some = decode_scan((*replies)[0], what.prefix);
      if (!some.has_value()) co_return std::move(some).error();
      Result<std::optional<Scanned>> others = decode_scan((*replies)[1], {});
      if (!others.has_value()) co_return std::move(others).error();
      sessions = *std::move(some);
      all = *std::move(others);
      if (all && sessions) break;
      if (count == 1) co_return replies_too_large();
      count = count / 2;
    }
    const auto found = static_cast<std::uint64_t>(
        std::count_if(sessions->keys.begin(), sessions->keys.end(),
                      [](const StoreKey& key) { return internal::is_session_key(key); }));
    if (all->next == "0" && sessions->next == "0") {
      sum.sessions += found;
    } else {
      const auto append = [](std::string& out) { append_command(out, {"DBSIZE"}); };
      const Commands commands(1, append, {}, *slot);
      auto reading = read(flow, commands);
      const Result<Replies> replies = co_await reading;
      if (!replies) co_return replies.error();
      const Reply& size = (*replies)[0];
      if (size.type() == Reply::Type::error) co_return server_error(size.text(), false);
      if (size.type() != Reply::Type::integer || size.integer() < 0) co_return unexpected_reply();
      const auto looked = std::max<std::size_t>(all->keys.size(), 1);
      sum.sessions +=
          static_cast<std::uint64_t>(static_cast<double>(size.integer()) *
                                     static_cast<double>(found) / static_cast<double>(looked));
      sum.is_exact = false;
    }
    slot = map != nullptr ? next_node(*map, *slot) : std::nullopt;
  }
  co_return sum;
}

}  // namespace websession::redis
