// All sessions of a store on Redis, by SCAN: one bounded step after the other, never KEYS.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "call_flow.hpp"
#include "websession/session_directory.hpp"

namespace websession::redis {

// What the keys of sessions look like.
struct Listed {
  std::string prefix;
  std::string_view type;  // as SCAN knows it
  std::size_t reply_bytes_max;
};

// What SessionDirectory says. Where it stands is the server's cursor, on a Cluster
// `<slot>/<cursor>@<node>`: the node's cursor, and its lowest slot.
Task<Result<DirectoryPage>> list_page(CallFlow& flow, const Listed& what,
                                      const DirectoryCursor& after, std::size_t about);
Task<Result<SessionCount>> count_keys(CallFlow& flow, const Listed& what);

}  // namespace websession::redis
