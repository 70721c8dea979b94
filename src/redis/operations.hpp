// The verbs of a store as Redis commands, and their replies as results. No I/O.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "resp.hpp"
#include "scripts.hpp"
#include "websession/session_store.hpp"

namespace websession::redis {

// A call of a script. It is sent by the script's hash, and, should the server not know it, by its
// text.
struct ScriptCall {
  const Script* script;
  std::vector<std::string> keys;
  std::vector<std::string> arguments;

  [[nodiscard]] std::string by_hash() const;
  [[nodiscard]] std::string by_source() const;
};

// How the store is set up, as far as the commands depend on it.
struct Layout {
  std::string prefix;
  bool adopt_foreign_hashes = false;

  [[nodiscard]] std::string key(const StoreKey& key) const { return prefix + key.secret(); }
};

inline constexpr std::size_t load_replies = 2;
std::string load_command(const std::string& key);
// Whether a successor is there, and whether it has one itself.
inline constexpr std::size_t successor_replies = 2;
std::string successor_command(const std::string& key);

ScriptCall create_call(const Layout& layout, const StoreKey& key, const Fields& fields,
                       Lifetime lifetime);
ScriptCall update_call(const Layout& layout, const StoreKey& key, const Changes& changes,
                       Lifetime lifetime, WallTime now);
ScriptCall rekey_call(const Layout& layout, const StoreKey& from, const StoreKey& to,
                      const Changes& changes, Lifetime lifetime, Grace grace, WallTime now);
ScriptCall erase_call(const Layout& layout, const std::vector<std::string>& chain);

struct Loaded {
  Record record;
  std::string successor{};  // the key, when the record is frozen
};
Result<std::optional<Loaded>> decode_load(const Layout& layout, std::span<const Reply> replies,
                                          WallTime now);

struct Successor {
  bool exists = false;
  std::optional<std::string> next{};
};
Result<Successor> decode_successor(std::span<const Reply> replies);

Result<void> decode_create(const Reply& reply);
Result<Outcome> decode_change(const Reply& reply, const Changes& changes);

struct Erased {
  bool any = false;
  std::optional<std::string> successor{};  // the chain is longer; nothing was erased yet
};
Result<Erased> decode_erase(const Reply& reply);

}  // namespace websession::redis
