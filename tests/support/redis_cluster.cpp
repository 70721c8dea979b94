#include "redis_cluster.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <stdexcept>
#include <utility>

#include "wait_for.hpp"

namespace websession::testing {
namespace {

constexpr std::size_t slots_count = 16'384;

RedisProbe::Words lines_of(const std::string& text) {
  RedisProbe::Words lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

void expect_ok(RedisProbe& probe, const RedisProbe::Words& words) {
  const std::string answer = probe.text(words);
  if (answer != "OK") throw std::runtime_error(words[0] + " " + words[1] + ": " + answer);
}

}  // namespace

RedisCluster::RedisCluster(std::size_t primaries, std::size_t replicas,
                           std::vector<std::string> options, std::optional<RedisTls> tls)
    : options_(std::move(options)), tls_(std::move(tls)) {
  const std::initializer_list<std::string> cluster{"--cluster-enabled",
                                                   "yes",
                                                   "--cluster-node-timeout",
                                                   "1000",
                                                   "--repl-diskless-sync-delay",
                                                   "0",
                                                   "--cluster-allow-replica-migration",
                                                   "no"};
  options_.insert(options_.begin(), cluster);
  for (std::size_t i = 0; i < primaries * (1 + replicas); ++i) start_node();
  for (std::size_t i = 0; i < primaries; ++i) {
    RedisProbe probe(node(i));
    const std::size_t first = slots_count * i / primaries;
    const std::size_t last = slots_count * (i + 1) / primaries - 1;
    expect_ok(probe, {"CLUSTER", "ADDSLOTSRANGE", std::to_string(first), std::to_string(last)});
  }
  for (std::size_t i = 0; i < size(); ++i) {
    RedisProbe probe(node(i));
    expect_ok(probe, {"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(i + 1)});
  }
  RedisProbe first(node(0));
  for (std::size_t i = 1; i < size(); ++i) {
    expect_ok(first, {"CLUSTER", "MEET", "127.0.0.1", std::to_string(port(i)),
                      std::to_string(node(i).bus_port())});
  }
  for (std::size_t i = primaries; i < size(); ++i) {
    const std::string primary = id((i - primaries) % primaries);
    RedisProbe probe(node(i));
    wait_for("a replica does not know its primary", [&] {
      return probe.text({"CLUSTER", "REPLICATE", primary}) == "OK";
    });
  }
  settle();
}

int RedisCluster::port(std::size_t i) const {
  return tls_ ? nodes_[i]->tls_port() : nodes_[i]->port();
}

std::size_t RedisCluster::start_node() {
  nodes_.push_back(std::make_unique<RedisServer>(options_, tls_));
  return nodes_.size() - 1;
}

std::string RedisCluster::url() const {
  std::string url = "redis-cluster://";
  for (const auto& node : nodes_) {
    if (node != nodes_.front()) url += ",";
    url += "127.0.0.1:" + std::to_string(node->port());
  }
  return url;
}

std::string RedisCluster::tls_url() const {
  return "rediss-cluster://127.0.0.1:" + std::to_string(nodes_.front()->tls_port());
}

bool RedisCluster::is_primary(std::size_t i) {
  if (node(i).pid() <= 0) return false;
  return RedisProbe(node(i)).list({"ROLE"}).front() == "master";
}

std::string RedisCluster::id(std::size_t i) {
  return RedisProbe(node(i)).text({"CLUSTER", "MYID"});
}

bool RedisCluster::is_well() {
  const auto up = static_cast<std::size_t>(std::count_if(
      nodes_.begin(), nodes_.end(), [](const auto& node) { return node->pid() > 0; }));
  std::vector<std::string> views;
  for (std::size_t i = 0; i < size(); ++i) {
    if (node(i).pid() <= 0) continue;
    RedisProbe probe(node(i));
    const std::string info = probe.text({"CLUSTER", "INFO"});
    if (info.find("cluster_state:ok") == std::string::npos) return false;
    const bool follows = !is_primary(i);
    if (follows &&
        probe.text({"INFO", "replication"}).find("master_link_status:up") == std::string::npos) {
      return false;
    }
    // "<id> <place> <flags> <primary> <ping> <pong> <epoch> <link> <slots>…"
    std::size_t seen = 0;
    std::vector<std::string> view;
    for (const std::string& line : lines_of(probe.text({"CLUSTER", "NODES"}))) {
      const bool fails = line.find("fail") != std::string::npos;
      const bool is_new = line.find("handshake") != std::string::npos;
      if (is_new) return false;
      if (!fails) ++seen;
      const std::size_t link = line.find(" connected");
      if (link != std::string::npos && line.find("master") != std::string::npos && !fails) {
        view.push_back(line.substr(0, 40) + line.substr(link));
      }
    }
    if (seen != up) return false;
    std::sort(view.begin(), view.end());
    std::string text;
    for (const std::string& one : view) text += one + ";";
    views.push_back(std::move(text));
  }
  return std::all_of(views.begin(), views.end(),
                     [&](const std::string& view) { return view == views.front(); });
}

void RedisCluster::settle() {
  wait_for("the Cluster does not become well", [&] { return is_well(); });
}

void RedisCluster::fail_over(std::size_t i) {
  const std::string before = id(i);
  node(i).stop();
  wait_for("no replica takes over", [&] {
    for (std::size_t other = 0; other < size(); ++other) {
      if (node(other).pid() <= 0) continue;
      RedisProbe probe(node(other));
      if (probe.text({"CLUSTER", "INFO"}).find("cluster_state:ok") == std::string::npos)
        return false;
      for (const std::string& line : lines_of(probe.text({"CLUSTER", "NODES"}))) {
        if (!line.starts_with(before)) continue;
        // It has no slots any more.
        if (!line.ends_with("connected")) return false;
      }
    }
    return true;
  });
}

void RedisCluster::restore(std::size_t i) {
  node(i).start();
  settle();
}

std::size_t RedisCluster::add() {
  const std::size_t added = start_node();
  RedisProbe probe(node(0));
  expect_ok(probe, {"CLUSTER", "MEET", "127.0.0.1", std::to_string(port(added)),
                    std::to_string(node(added).bus_port())});
  settle();
  return added;
}

std::vector<bool> RedisCluster::slots_of(std::size_t i) {
  std::vector<bool> its(slots_count);
  RedisProbe probe(node(i));
  for (const std::string& line : lines_of(probe.text({"CLUSTER", "NODES"}))) {
    if (line.find("myself") == std::string::npos) continue;
    std::string ranges = line.substr(line.find(" connected") + 10);
    std::replace(ranges.begin(), ranges.end(), ' ', '\n');
    for (const std::string& range : lines_of(ranges)) {
      if (range.starts_with('[')) continue;  // one that is open
      const std::size_t dash = std::min(range.find('-'), range.size());
      const std::size_t first = std::stoul(range.substr(0, dash));
      const std::size_t last = dash < range.size() ? std::stoul(range.substr(dash + 1)) : first;
      for (std::size_t slot = first; slot <= last; ++slot) its[slot] = true;
    }
  }
  return its;
}

void RedisCluster::move_slots(std::size_t first, std::size_t last, std::size_t to,
                              const std::function<void(std::size_t)>& between) {
  RedisProbe target(node(to));
  const std::string to_id = id(to);
  std::vector<std::size_t> primaries;
  for (std::size_t i = 0; i < size(); ++i) {
    if (is_primary(i)) primaries.push_back(i);
  }
  std::vector<std::size_t> owners(slots_count, to);
  for (const std::size_t i : primaries) {
    const std::vector<bool> its = slots_of(i);
    for (std::size_t slot = 0; slot < slots_count; ++slot) {
      if (its[slot]) owners[slot] = i;
    }
  }
  for (std::size_t slot = first; slot <= last; ++slot) {
    const std::size_t from = owners[slot];
    if (from == to) continue;
    const std::string number = std::to_string(slot);
    RedisProbe source(node(from));
    expect_ok(target, {"CLUSTER", "SETSLOT", number, "IMPORTING", id(from)});
    expect_ok(source, {"CLUSTER", "SETSLOT", number, "MIGRATING", to_id});
    const auto move = [&](const std::string& most) {
      const RedisProbe::Words keys = source.list({"CLUSTER", "GETKEYSINSLOT", number, most});
      if (keys.empty()) return false;
      RedisProbe::Words words{"MIGRATE", "127.0.0.1", std::to_string(node(to).port()), "", "0",
                              "5000",    "KEYS"};
      words.insert(words.end(), keys.begin(), keys.end());
      const std::string answer = source.text(words);
      if (answer != "OK" && answer != "NOKEY") throw std::runtime_error("MIGRATE: " + answer);
      return true;
    };
    if (between) {
      const auto half = source.integer({"CLUSTER", "COUNTKEYSINSLOT", number}) / 2;
      if (half > 0) move(std::to_string(half));
      between(slot);
    }
    while (move("100")) {
    }
    for (RedisProbe* probe : {&target, &source}) {
      expect_ok(*probe, {"CLUSTER", "SETSLOT", number, "NODE", to_id});
    }
    // The others hear of it by and by; sooner so.
    for (const std::size_t i : primaries) {
      if (i == to || i == from) continue;
      RedisProbe(node(i)).text({"CLUSTER", "SETSLOT", number, "NODE", to_id});
    }
  }
}

}  // namespace websession::testing
