// What stays under the key of a session that was replaced or has ended: a string, which mark.lua
// writes and describes. No I/O.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "resp.hpp"
#include "websession/clock.hpp"

namespace websession::redis {

struct Mark {
  WallTime ends;  // by the server's clock
  bool is_frozen = false;
  std::string_view successor;
  std::vector<Reply::Element> flat{};  // names and texts, of a frozen one
};

// The views point into the text. None: it is no mark.
std::optional<Mark> parse_mark(std::string_view text);

}  // namespace websession::redis
