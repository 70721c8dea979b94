// What the nodes of a Redis Cluster say of where a key is (the Cluster specification, "Redirection
// and resharding"). No I/O.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cluster/cluster_map.hpp"
#include "pipeline.hpp"
#include "place.hpp"
#include "resp.hpp"
#include "slots.hpp"
#include "websession/result.hpp"

namespace websession::redis {

// What the answer to a request on keys of one slot leads to. Whatever it is (but for `none`),
// nothing was written.
struct Redirection {
  enum class Kind {
    none,   // it is an answer
    moved,  // the slot is on another node from now on: ask there
    ask,    // this key, for now: ask there, with ASKING
    again,  // a slot is on its way from node to node, and the keys are not all on one of them
    down,   // the node cannot serve the slot for now: somebody else may, or it may later
  };
  Kind kind = Kind::none;
  Slot slot = 0;
  Place place{};  // of moved and ask
};
// `asked`: who has answered.
[[nodiscard]] Redirection redirection_of(std::span<const Reply> replies, const Place& asked);

// Appends commands with an ASKING before each.
void append_asking(std::string& out, const Appender& commands);
// The replies to those commands, without those to ASKING.
[[nodiscard]] Replies without_asking(Replies replies);

// Asks who has which slot.
void append_slots(std::string& out);
// `asked`: who has answered. Errors: rejected (rights; it is no Cluster), unavailable, corrupt.
Result<std::vector<SlotRange>> decode_slots(const Reply& reply, const Place& asked);

}  // namespace websession::redis
