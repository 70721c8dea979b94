// The Lua scripts that make each writing verb one atomic step.
#pragma once

#include <string>
#include <string_view>

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

struct Scripts {
  Script create;
  Script set;
  Script count;
  Script update;
  Script rekey;
  Script erase;
  // Of the JSON layout.
  Script json_update;
  Script json_rekey;
  Script json_erase;
};

const Scripts& scripts();

}  // namespace websession::redis
