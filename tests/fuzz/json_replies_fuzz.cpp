// Replies of a Redis that keeps sessions as JSON texts, and marks of replaced ids. The input is
// the bytes that a server sends.

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "fuzz_target.hpp"
#include "input.hpp"
#include "json_document.hpp"
#include "json_operations.hpp"
#include "printable.hpp"
#include "resp.hpp"

namespace {

using namespace websession;  // NOLINT(google-build-using-namespace): a program of one file
using fuzz::require;
using fuzz::require_printable;
using redis::Held;
using redis::Reply;
using Type = Reply::Type;

void check_mark(std::string_view text) {
  const Result<redis::JsonMark> mark = redis::parse_json_mark(text);
  if (!mark) return require_printable(mark.error());
  require(redis::head_of(*mark) + std::string(mark->text) == text,
          "a mark is its head and the old text");
  require(mark->is_frozen || mark->text.empty(), "only a frozen one holds a text");
  require(!mark->successor || mark->successor->secret().find('\n') == std::string::npos,
          "the head is one line");
}

void check_part(const std::optional<std::string>& held, const Reply::Element& element) {
  require(held.has_value() == (element.type == Type::string), "a key holds a text, or nothing");
  require(!held || *held == element.text, "a key holds what the server said");
}

void check_held(const Held& held, const Reply& reply) {
  const auto parts = reply.elements();
  require(parts.size() == 2 || parts.size() == 4, "two keys were asked for, or four");
  check_part(held.text, parts[0]);
  check_part(held.mark, parts[1]);
  if (parts.size() != 4) return;
  check_part(held.new_text, parts[2]);
  check_part(held.new_mark, parts[3]);
  if (held.text) (void)redis::parse_document(*held.text);
  if (held.mark) check_mark(*held.mark);
}

// An error that a reply gives, and whether the command may have been applied.
template <class T>
void check_error(const Result<T>& result, const Reply& reply, bool is_write) {
  require(!result.has_value(), "an error reply is an error");
  require_printable(result.error());
  require(is_write || !result.error().maybe_applied, "a read applies nothing");
  require(reply.type() == Type::error || result.error().code == Errc::corrupt,
          "what makes no sense is corrupt");
}

void check_reads(const Reply& reply) {
  const Result<Held> held = redis::decode_held(reply);
  if (held) {
    check_held(*held, reply);
  } else {
    check_error(held, reply, false);
  }
  const auto left = redis::decode_left(reply);
  require(left.has_value() == (reply.type() == Type::integer), "a time to live is a number");
  if (!left.has_value()) return check_error(left, reply, false);
  require(left->has_value() == (reply.integer() != -2), "-2 says that there is no key");
  require(!*left || (*left)->count() == std::max<std::int64_t>(reply.integer(), 0),
          "a time to live is what the server says");
}

void check_writes(const Reply& reply) {
  const Result<void> created = redis::decode_json_create(reply);
  require(created.has_value() == (reply.type() == Type::integer && reply.integer() == 1),
          "a session is made when it says OK");
  if (!created) require_printable(created.error());

  const auto swapped = redis::decode_swap(reply);
  if (!swapped.has_value()) {
    check_error(swapped, reply, true);
  } else if (*swapped) {
    check_held(**swapped, reply);
  } else {
    require(reply.type() == Type::integer, "a text is replaced when it says so");
  }

  const auto erased = redis::decode_json_erase(reply);
  if (!erased) return check_error(erased, reply, true);
  require(erased->any == (reply.type() == Type::integer && reply.integer() > 0),
          "a session is erased when it says so");
  require(!erased->successor || reply.type() == Type::string, "a mark leads on");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t record_bytes_max = 1024;
  const std::string_view bytes = fuzz::Input(data, size).rest();
  check_mark(bytes);
  std::vector<Reply> replies;
  (void)redis::ReplyParser(record_bytes_max).feed(bytes, replies);
  for (const Reply& reply : replies) {
    check_reads(reply);
    check_writes(reply);
  }
  return 0;
}
