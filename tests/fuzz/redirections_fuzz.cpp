// What is taken for a node of a Redis Cluster says of where keys are. The input is RESP.

#include "cluster/redirection.hpp"

#include <cstdlib>
#include <string>
#include <vector>

#include "cluster/cluster_map.hpp"
#include "fuzz_target.hpp"
#include "resp.hpp"

namespace {

using websession::fuzz::require;
using namespace websession::redis;  // NOLINT(google-build-using-namespace): a program of one file

void check_place(const Place& place) {
  require(is_host(place.host), "a place that was told can be one");
  const int port = std::atoi(place.port.c_str());
  require(port >= 1 && port <= 65535 && std::to_string(port) == place.port, "a port is a port");
}

void check_slots(const Reply& reply, const Place& asked, ClusterMap& map) {
  const auto ranges = decode_slots(reply, asked);
  if (!ranges) return;
  require(!ranges->empty(), "somebody has slots");
  for (const SlotRange& range : *ranges) {
    require(range.first <= range.last && range.last < slots_count, "a range is one");
    check_place(range.place);
  }
  map.assign(*ranges);
  require(map.is_known(), "it is known who has which");
  for (const SlotRange& range : *ranges) {
    require(map.has_slots(map.node_of(range.first)), "who has a slot has slots");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Place asked{.host = "asked", .port = "7"};
  ClusterMap map({asked});
  ReplyParser parser(4096);
  std::vector<Reply> all;
  static_cast<void>(parser.feed(std::string_view(reinterpret_cast<const char*>(data), size), all));
  for (const Reply& reply : all) check_slots(reply, asked, map);
  const Redirection where = redirection_of(all, asked);
  const bool leads_on =
      where.kind == Redirection::Kind::moved || where.kind == Redirection::Kind::ask;
  if (!leads_on) return 0;
  require(where.slot < slots_count, "a slot is one");
  check_place(where.place);
  const auto node = map.node_at(where.place);
  require(node.has_value() && map.place_of(*node) == where.place, "a node keeps its place");
  map.moved(where.slot, *node);
  require(map.node_of(where.slot) == *node, "what was told is known");
  return 0;
}
