// The verbs of a store of JSON texts as Redis commands, and their replies. No I/O.
//
// A session has up to two keys: the text; and, once it has moved to a new id, for the grace, its
// frozen record (which begins with the successor's id) under a name that Express does not look at.
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
  std::string frozen;
};

// What the keys hold.
struct Held {
  std::optional<std::string> text{};
  std::optional<std::string> frozen{};
  std::optional<std::string> moved_to{};  // the text under the new id; of rekey only
};

struct FrozenRecord {
  StoreKey successor;
  std::string_view text;  // within the record that was parsed
};
std::string frozen_head(const StoreKey& successor);
// Error: corrupt.
Result<FrozenRecord> parse_frozen(std::string_view record);

// Each of these appends one command.
void append_held(std::string& out, const JsonKeys& keys);
void append_held(std::string& out, const JsonKeys& from, const JsonKeys& to);
void append_left(std::string& out, std::string_view key);
void append_json_create(std::string& out, const JsonKeys& keys, std::string_view text,
                        Lifetime lifetime);
// An empty `text`: it stays as it `was`.
void append_json_update(std::string& out, CallBy by, const JsonKeys& keys, std::string_view was,
                        std::string_view text, Lifetime lifetime);
void append_json_rekey(std::string& out, CallBy by, const JsonKeys& from, const JsonKeys& to,
                       std::string_view was, std::string_view text, Lifetime lifetime, Grace grace,
                       std::string_view head);
void append_json_erase(std::string& out, CallBy by, std::span<const JsonKeys> chain);

Result<Held> decode_held(const Reply& reply);
// None: there is no such key. Zero: it has no end.
Result<std::optional<std::chrono::milliseconds>> decode_left(const Reply& reply);
Result<void> decode_json_create(const Reply& reply);
// Of update and rekey. None: it was applied. Else the keys hold this by now, and nothing was done.
Result<std::optional<Held>> decode_swap(const Reply& reply);

Result<internal::Ended<StoreKey>> decode_json_erase(const Reply& reply);

}  // namespace websession::redis
