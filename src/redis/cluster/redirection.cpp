#include "cluster/redirection.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "server_error.hpp"

namespace websession::redis {
namespace {

using Kind = Redirection::Kind;
using Element = Reply::Element;

constexpr std::string_view asking = "*1\r\n$6\r\nASKING\r\n";

std::optional<std::size_t> number(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_number = error == std::errc() && end == text.data() + text.size() && !text.empty();
  return is_number ? std::optional(value) : std::nullopt;
}

// None (null) or an empty one: that of the node which says so. One that has a name which is not
// known yet is "?", and cannot be reached.
std::string_view host_or(std::string_view told, const Place& asked) {
  return told.empty() ? std::string_view(asked.host) : told;
}
constexpr std::string_view unknown_host = "?";

// "MOVED 3999 127.0.0.1:6381"; an IPv6 address has no brackets.
Redirection parse_redirection(Kind kind, std::string_view text, const Place& asked) {
  text.remove_prefix(text.find(' ') + 1);
  const std::size_t blank = std::min(text.find(' '), text.size());
  const auto slot = number(text.substr(0, blank));
  const std::size_t colon = text.rfind(':');
  const bool has_both = slot && *slot < slots_count && colon != std::string_view::npos;
  if (!has_both || colon <= blank) return {Kind::down};
  const std::string_view host = text.substr(blank + 1, colon - blank - 1);
  if (host == unknown_host) return {Kind::down};
  const auto place = told_place(host_or(host, asked), text.substr(colon + 1));
  if (!place) return {Kind::down};
  return {kind, static_cast<Slot>(*slot), *place};
}

Redirection redirection_by(std::string_view error, const Place& asked) {
  const std::string_view word = error.substr(0, error.find(' '));
  if (word == "MOVED") return parse_redirection(Kind::moved, error, asked);
  if (word == "ASK") return parse_redirection(Kind::ask, error, asked);
  if (word == "TRYAGAIN") return {Kind::again};
  if (word == "CLUSTERDOWN" || is_wrong_server(error)) return {Kind::down};
  return {};
}

// How many bytes the first command takes: "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n".
std::size_t size_of_command(std::string_view bytes) {
  std::size_t at = 0;
  const auto take_number = [&] {
    const std::size_t end = bytes.find('\r', at);
    const std::size_t value = number(bytes.substr(at + 1, end - at - 1)).value_or(0);
    at = end + 2;
    return value;
  };
  for (std::size_t words = take_number(); words > 0; --words) {
    const std::size_t size = take_number();
    at += size + 2;
  }
  return at;
}

// The elements of a reply whose arrays lie flat, one after the other.
class Walk {
 public:
  explicit Walk(std::span<const Element> elements) noexcept : rest_(elements) {}
  [[nodiscard]] bool ended() const noexcept { return rest_.empty(); }
  // Null: there is none.
  const Element* next() noexcept {
    if (rest_.empty()) return nullptr;
    const Element* const first = &rest_.front();
    rest_ = rest_.subspan(1);
    return first;
  }
  // One with all that it holds.
  void skip() noexcept {
    for (std::size_t due = 1; due > 0 && !rest_.empty(); --due) due += size_of(*next());
  }
  static std::size_t size_of(const Element& element) noexcept {
    const bool holds = element.type == Reply::Type::array && element.integer > 0;
    return holds ? static_cast<std::size_t>(element.integer) : 0;
  }

 private:
  std::span<const Element> rest_;
};

// "first slot, last slot, primary, replicas…", and of each node "host, port, id, …".
std::optional<SlotRange> next_range(Walk& walk, const Place& asked) {
  const Element* const range = walk.next();
  const Element* const first = walk.next();
  const Element* const last = walk.next();
  const Element* const node = walk.next();
  const Element* const host = walk.next();
  const Element* const port = walk.next();
  if (port == nullptr || Walk::size_of(*range) < 3 || Walk::size_of(*node) < 2) return std::nullopt;
  const auto is_slot = [](const Element& element) {
    return element.type == Reply::Type::integer && element.integer >= 0 &&
           element.integer < static_cast<std::int64_t>(slots_count);
  };
  if (!is_slot(*first) || !is_slot(*last) || first->integer > last->integer) return std::nullopt;
  if (port->type != Reply::Type::integer) return std::nullopt;
  auto place = told_place(host_or(host->text, asked), std::to_string(port->integer));
  if (!place) return std::nullopt;
  for (std::size_t more = Walk::size_of(*node) - 2; more > 0; --more) walk.skip();
  for (std::size_t more = Walk::size_of(*range) - 3; more > 0; --more) walk.skip();
  return SlotRange{static_cast<Slot>(first->integer), static_cast<Slot>(last->integer),
                   *std::move(place)};
}

}  // namespace

Redirection redirection_of(std::span<const Reply> replies, const Place& asked) {
  for (const Reply& reply : replies) {
    if (reply.type() != Reply::Type::error) continue;
    Redirection found = redirection_by(reply.text(), asked);
    if (found.kind != Kind::none) return found;
  }
  return {};
}

void append_asking(std::string& out, const Appender& commands) {
  std::string all;
  commands(all);
  for (std::string_view rest = all; !rest.empty();) {
    const std::size_t size = std::min(size_of_command(rest), rest.size());
    out += asking;
    out += rest.substr(0, size);
    rest.remove_prefix(size);
  }
}

Replies without_asking(Replies replies) {
  Replies kept(replies.way());
  for (std::size_t i = 0; i + 1 < replies.size(); i += 2) {
    // Who has no right to ask is told so.
    const bool is_refused = replies[i].type() == Reply::Type::error;
    kept.push_back(replies.take(is_refused ? i : i + 1));
  }
  return kept;
}

void append_slots(std::string& out) { append_command(out, {"CLUSTER", "SLOTS"}); }

Result<std::vector<SlotRange>> decode_slots(const Reply& reply, const Place& asked) {
  if (reply.type() == Reply::Type::error) {
    const bool is_none = reply.text().find("cluster support disabled") != std::string_view::npos;
    if (is_none || is_unknown_command(reply.text())) {
      return make_error(Errc::rejected,
                        "this Redis is no Cluster: its URL begins with redis:// (or rediss://)");
    }
    return server_error(reply.text(), false);
  }
  if (reply.type() == Reply::Type::oversized) {
    return make_error(Errc::corrupt,
                      "what a node says of the Cluster's slots is longer than record_bytes_max "
                      "allows: raise it, or join the slots of each node together");
  }
  if (reply.type() != Reply::Type::array) return unexpected_reply();
  std::vector<SlotRange> ranges;
  bool is_nameless = false;
  for (Walk walk(reply.elements()); !walk.ended();) {
    std::optional<SlotRange> range = next_range(walk, asked);
    if (!range) return unexpected_reply();
    if (range->place.host == unknown_host) {
      is_nameless = true;
    } else {
      ranges.push_back(*std::move(range));
    }
  }
  if (ranges.empty() && is_nameless) {
    return make_error(Errc::unavailable,
                      "the nodes of the Redis Cluster do not say at which hosts they are: set "
                      "cluster-announce-hostname on each, or cluster-preferred-endpoint-type ip");
  }
  if (ranges.empty()) {
    return make_error(Errc::unavailable,
                      "no node of the Redis Cluster has any slots (yet): redis-cli --cluster "
                      "create gives them");
  }
  return ranges;
}

}  // namespace websession::redis
