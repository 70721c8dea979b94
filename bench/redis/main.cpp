// Side-by-side runs of ways to keep sessions in Redis: docs/benchmarks.md.
#include <cstdio>
#include <exception>
#include <optional>

#include "certificates.hpp"
#include "comparison.hpp"
#include "contenders.hpp"
#include "delay_proxy.hpp"
#include "redis_meter.hpp"
#include "redis_server.hpp"

namespace websession::bench {
namespace {

constexpr const char* usage = R"(usage: websession_redis_bench [--option value]...
  --clients      ours,hiredis-naive,hiredis-pipelined,poco,connect-redis (all of the transport);
                 ours-cluster and ours-cluster-loop by name only
  --transport    tcp | unix | delay (0.25 ms more each way) | tls
)";

constexpr auto delay_each_way = std::chrono::microseconds(250);

Transport transport_of(const Options& options) {
  const std::string& name = options.own.at("transport");
  for (const Transport transport :
       {Transport::tcp, Transport::unix_socket, Transport::delay, Transport::tls}) {
    if (name == name_of(transport)) return transport;
  }
  Options::misunderstood(name, usage);
}

// The server, and what may stand before it.
class Server {
 public:
  explicit Server(Transport transport)
      : transport_(transport), server_({"--tls-auth-clients", "no"}, tls(transport)) {
    if (transport_ == Transport::delay) proxy_.emplace(server_.port(), delay_each_way);
  }

  // How the clients reach it.
  [[nodiscard]] Target target() const {
    switch (transport_) {
      case Transport::unix_socket:
        return {server_.unix_url(), {}, 0, server_.socket_path(), {}};
      case Transport::delay:
        return tcp(proxy_->port());
      case Transport::tls:
        return {server_.tls_url(), {}, 0, {}, authority_->certificate_file()};
      case Transport::tcp:
        break;
    }
    return tcp(server_.port());
  }

  // The short way, for what is not measured.
  [[nodiscard]] Target direct() const {
    return {server_.unix_url(), {}, 0, server_.socket_path(), {}};
  }

  [[nodiscard]] const DelayProxy* proxy() const { return proxy_ ? &*proxy_ : nullptr; }

 private:
  // Files that last as long as the authority does.
  std::optional<testing::RedisTls> tls(Transport transport) {
    if (transport != Transport::tls) return std::nullopt;
    const testing::Identity identity = authority_.emplace().issue_for_localhost();
    return testing::RedisTls{identity.certificate_file, identity.key_file,
                             authority_->certificate_file()};
  }

  static Target tcp(int port) {
    return {"redis://127.0.0.1:" + std::to_string(port), "127.0.0.1", port, {}, {}};
  }

  const Transport transport_;
  std::optional<testing::Authority> authority_;
  testing::RedisServer server_;
  std::optional<DelayProxy> proxy_;
};

int run(const Options& options) {
  const Transport transport = transport_of(options);
  const Server server(transport);
  const Target target = server.target();
  const Keys keys = store_sessions(server.direct(), options.sessions);
  RedisMeter meter(server.direct());
  const std::string where(name_of(transport));
  Setting setting{where, {{"transport", where}, {"redis", meter.version()}}};
  if (const DelayProxy* const proxy = server.proxy()) {
    setting.proxy_cpu_seconds = [proxy] { return proxy->cpu_seconds(); };
  }
  return compare(options, setting, contenders(options, transport, target, keys, meter));
}

}  // namespace
}  // namespace websession::bench

int main(int count, char** words) {
  using namespace websession::bench;
  try {
    return run(Options::parse(count, words, usage, {{"transport", "tcp"}}));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "websession_redis_bench: %s\n", error.what());
    return 1;
  }
}
