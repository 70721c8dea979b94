// The Lua scripts that make each writing verb one atomic step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "websession/session_store.hpp"

namespace websession::redis {

class Script {
 public:
  explicit Script(std::string_view source);
  [[nodiscard]] const std::string& source() const noexcept { return source_; }
  [[nodiscard]] const std::string& sha1() const noexcept { return sha1_; }  // hex: its name

 private:
  std::string source_;
  std::string sha1_;
};

// A script is called by its hash and, should the server not know it, by its text.
enum class CallBy { hash, source };

// How a script call begins. So many keys follow, and then its arguments.
template <class Sink>
void write_script(Sink& sink, CallBy by, const Script& script, std::size_t keys) {
  sink.word(by == CallBy::hash ? "EVALSHA" : "EVAL");
  sink.word(by == CallBy::hash ? script.sha1() : script.source());
  sink.number(static_cast<std::int64_t>(keys));
}

struct Scripts {
  Script create;
  Script set;
  Script count;
  Script bound;
  Script update;
  Script rekey;
  Script erase;
  Script strip;
  // Of an index that is apart.
  Script announce;
  Script look;
  Script forget;
  Script shorten;
  Script bar;
  // Of the JSON layout.
  Script json_create;
  Script json_update;
  Script json_rekey;
  Script json_erase;
};

// `index_is_apart`: those whose sessions and indexes are not on one server.
const Scripts& scripts(bool index_is_apart = false);

}  // namespace websession::redis
