#include "sentinel_group.hpp"

#include "wait_for.hpp"

namespace websession::testing {
namespace {

// A replica gets its first copy at once, and a Sentinel looks at all ten times a second.
const std::vector<std::string> server_options{"--repl-diskless-sync-delay", "0"};
const RedisProbe::Words quick{"SENTINEL",
                              "DEBUG",
                              "INFO-PERIOD",
                              "100",
                              "PING-PERIOD",
                              "100",
                              "ASK-PERIOD",
                              "100",
                              "PUBLISH-PERIOD",
                              "100",
                              "MIN-LINK-RECONNECT-PERIOD",
                              "100"};

}  // namespace

std::unique_ptr<RedisServer> start_sentinel(int port, int quorum, const std::string& more,
                                            std::optional<RedisTls> tls) {
  const std::string file = "sentinel monitor mymaster 127.0.0.1 " + std::to_string(port) + " " +
                           std::to_string(quorum) +
                           "\nsentinel down-after-milliseconds mymaster 500\n"
                           "sentinel failover-timeout mymaster 2000\n" +
                           more;
  return std::make_unique<RedisServer>(std::vector<std::string>{"--sentinel"}, std::move(tls),
                                       file);
}

std::string sentinel_url(const std::vector<int>& ports) {
  std::string url = "redis-sentinel://";
  for (const int& port : ports) {
    if (&port != &ports.front()) url += ",";
    url += "127.0.0.1:" + std::to_string(port);
  }
  return url + "#mymaster";
}

SentinelGroup::SentinelGroup() {
  servers_.push_back(std::make_unique<RedisServer>(server_options));
  std::vector<std::string> replica = server_options;
  for (const char* word : {"--replicaof", "127.0.0.1"}) replica.emplace_back(word);
  replica.push_back(std::to_string(primary().port()));
  servers_.push_back(std::make_unique<RedisServer>(replica));
  for (int i = 0; i < 3; ++i) sentinels_.push_back(start_sentinel(primary().port(), 2));
  for (const auto& sentinel : sentinels_) RedisProbe(*sentinel).text(quick);
  settle();
}

std::string SentinelGroup::url() const {
  std::vector<int> ports;
  ports.reserve(sentinels_.size());
  for (const auto& sentinel : sentinels_) ports.push_back(sentinel->port());
  return sentinel_url(ports);
}

void SentinelGroup::settle() {
  wait_for("the replica does not follow", [&] {
    RedisProbe probe(primary());
    probe.text({"SET", "settled", "1", "EX", "60"});
    return probe.integer({"WAIT", "1", "20"}) == 1;
  });
  for (const auto& sentinel : sentinels_) {
    RedisProbe probe(*sentinel);
    wait_for("a Sentinel does not see all", [&] {
      return probe.text({"SENTINEL", "CKQUORUM", "mymaster"}).starts_with("OK 3") &&
             probe.text({"INFO", "sentinel"}).find("status=ok") != std::string::npos &&
             probe.text({"INFO", "sentinel"}).find("slaves=1") != std::string::npos;
    });
  }
}

void SentinelGroup::fail_over() {
  const std::string next = std::to_string(replica().port());
  primary().stop();
  for (const auto& sentinel : sentinels_) {
    RedisProbe probe(*sentinel);
    wait_for("no failover", [&] {
      const auto address = probe.list({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"});
      return address.size() == 2 && address[1] == next;
    });
  }
  primary_ = 1 - primary_;
}

void SentinelGroup::restore() {
  replica().start();
  settle();
}

}  // namespace websession::testing
