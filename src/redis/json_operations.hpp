// The verbs of a store of JSON texts as Redis commands, and their replies. No I/O.
//
// A session has up to two keys: the text; and, once it was replaced or has ended, for the grace,
// its mark, under a name that Express does not look at:
//   frozen same <successor's id>\n<the old text>
//   over <relation> <successor's id, or nothing>\n
// where the relation is `same` when the successor is the same principal's, else `other`.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "resp.hpp"
#include "scripts.hpp"
#include "successors.hpp"
#include "websession/session_store.hpp"

namespace websession::redis {

struct JsonKeys {
  JsonKeys(std::string_view prefix, const StoreKey& key);

  std::string text;
  std::string mark;
};

// What the keys hold.
struct Held {
  std::optional<std::string> text{};
  std::optional<std::string> mark{};
  // The same under the new id; of rekey only.
  std::optional<std::string> new_text{};
  std::optional<std::string> new_mark{};
};

struct JsonMark {
  bool is_frozen = false;
  bool passed = false;  // to another principal
  std::optional<StoreKey> successor{};
  std::string_view text{};  // of a frozen one; within what was parsed
};
// All but the old text.
std::string head_of(const JsonMark& mark);
// Error: corrupt.
Result<JsonMark> parse_json_mark(std::string_view text);

// Each of these appends one command.
void append_held(std::string& out, const JsonKeys& keys);
void append_held(std::string& out, const JsonKeys& from, const JsonKeys& to);
void append_left(std::string& out, std::string_view key);
void append_json_create(std::string& out, CallBy by, const JsonKeys& keys, std::string_view text,
                        Lifetime lifetime);
// An empty `text`: it stays as it `was`.
void append_json_update(std::string& out, CallBy by, const JsonKeys& keys, std::string_view was,
                        std::string_view text, Lifetime lifetime);
void append_json_rekey(std::string& out, CallBy by, const JsonKeys& from, const JsonKeys& to,
                       std::string_view was, std::string_view text, Lifetime lifetime, Grace grace,
                       const JsonMark& mark);
void append_json_erase(std::string& out, CallBy by, std::span<const JsonKeys> chain, Grace grace);

Result<Held> decode_held(const Reply& reply);
// None: there is no such key. Zero: it has no end.
Result<std::optional<std::chrono::milliseconds>> decode_left(const Reply& reply);
Result<void> decode_json_create(const Reply& reply);
// Of update and rekey. None: it was applied. Else the keys hold this by now, and nothing was done.
Result<std::optional<Held>> decode_swap(const Reply& reply);
[[nodiscard]] inline bool has_written(const Result<std::optional<Held>>& result) {
  return result.has_value() && !*result;
}

Result<internal::Ended<StoreKey>> decode_json_erase(const Reply& reply);

}  // namespace websession::redis
