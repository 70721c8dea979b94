// What is known of a Redis Cluster: its nodes, and which of them has which slot.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "place.hpp"
#include "slots.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"

namespace websession::redis {

// A node, for as long as the map lives. A single server is node 0.
using NodeId = std::uint32_t;
// So many nodes may a Cluster have had in the life of a map (a Cluster has 1,000 at most).
inline constexpr std::size_t nodes_max = 4096;

// Slots that lie on one node.
struct SlotRange {
  Slot first;
  Slot last;
  Place place;
};

// What one process, or one loop, knows of a Cluster; it may be out of date at any time. The nodes
// correct it: MOVED tells of one slot, and casts doubt on the others. No I/O. Safe to use from many
// threads at once.
class ClusterMap {
 public:
  // `named`: those of the URL, one at least.
  explicit ClusterMap(const std::vector<Place>& named);
  ClusterMap(const ClusterMap&) = delete;
  ClusterMap& operator=(const ClusterMap&) = delete;

  // Whom to ask for a slot. One that nobody is known to have: anybody, who will say who has it.
  [[nodiscard]] NodeId node_of(Slot slot) const noexcept {
    return nodes_[slot].load(std::memory_order_relaxed);
  }
  // As long as the map lives.
  [[nodiscard]] const Place& place_of(NodeId node) const;
  // Adds it, if it is new. None: there have been too many.
  std::optional<NodeId> node_at(const Place& place);
  // Whether it has slots, as far as is known; and one of those.
  [[nodiscard]] bool has_slots(NodeId node) const;
  [[nodiscard]] std::optional<Slot> slot_of_node(NodeId node) const;

  // A node has told who has the slot now.
  void moved(Slot slot, NodeId node) noexcept;
  // A node has told who has which. Gives those that had no slots before.
  std::vector<NodeId> assign(std::span<const SlotRange> ranges);
  // False: nobody has told anything yet.
  [[nodiscard]] bool is_known() const noexcept { return is_known_; }

  // Whether it is to be asked for anew, before it is next used. What is only known to be out of
  // date in parts, which MOVED corrects, can wait longer than what leads to nobody.
  enum class Doubt { none, in_parts, leads_to_nobody };
  void doubt(Doubt doubt = Doubt::leads_to_nobody) noexcept;
  [[nodiscard]] bool is_doubted() const noexcept { return doubt_ != Doubt::none; }
  // One asks at a time, and not all the time. True: the caller asks, and says when it is done.
  bool begin_asking(SteadyTime now) noexcept;
  void end_asking(std::optional<Error> failed);
  // Why nobody has told anything yet.
  [[nodiscard]] std::optional<Error> last_error() const;
  // Whom to ask, one after the other, but for one that is known not to answer: some that have
  // slots, another one first each time, then those of the URL, and the rest.
  [[nodiscard]] std::vector<NodeId> to_ask(std::optional<NodeId> in_vain);

  // Those who wait for a change.
  [[nodiscard]] std::atomic<std::size_t>& waiting() noexcept { return waiting_; }

 private:
  [[nodiscard]] std::optional<NodeId> add(const Place& place);

  std::array<std::atomic<NodeId>, slots_count> nodes_{};
  std::atomic<bool> is_known_ = false;
  std::atomic<Doubt> doubt_ = Doubt::leads_to_nobody;
  std::atomic<bool> is_being_asked_ = false;
  std::atomic<SteadyTime> asked_at_{SteadyTime::min()};
  std::atomic<std::size_t> waiting_ = 0;

  mutable std::mutex mutex_;
  std::deque<Place> places_{};       // by NodeId; the first ones are those of the URL
  std::size_t named_count_ = 0;      // of them
  std::vector<NodeId> primaries_{};  // those that have slots
  std::optional<Error> last_error_{};
  std::size_t asked_first_ = 0;  // of these
};

}  // namespace websession::redis
