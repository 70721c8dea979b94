// A private redis-server for tests: on a free port of 127.0.0.1 and a unix socket, without files
// that outlive it. Nothing else on the machine is touched.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "temporary_folder.hpp"

struct redisContext;

namespace websession::testing {

// redis-server, or what WEBSESSION_REDIS_SERVER names (scripts/matrix).
std::string redis_server_program();
// True when tests can start it. Under CI a missing one is a failure, not a skip.
bool redis_server_is_installed();

struct RedisTls {
  std::string certificate_file;
  std::string key_file;
  std::string ca_file;  // of its clients
};

class RedisServer {
 public:
  // `options`: further lines of its command line, like {"--requirepass", "x"}. `tls`: files for a
  // second port, which speaks TLS. `file`: the text of its configuration file, which a Sentinel
  // must have, and changes. A node of a Cluster has --cluster-enabled among its options.
  explicit RedisServer(std::vector<std::string> options = {}, std::optional<RedisTls> tls = {},
                       const std::string& file = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  [[nodiscard]] std::string url() const;       // redis://127.0.0.1:port
  [[nodiscard]] std::string unix_url() const;  // unix:///…
  // rediss://host:port
  [[nodiscard]] std::string tls_url(const std::string& host = "127.0.0.1") const;
  [[nodiscard]] const std::string& socket_path() const { return socket_path_; }
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] int tls_port() const { return tls_port_; }
  // Where its Cluster talks to it, if it has one.
  [[nodiscard]] int bus_port() const { return bus_port_; }
  [[nodiscard]] pid_t pid() const { return pid_; }

  void stop();   // as a crash: SIGKILL
  void start();  // on the same port again
  // The same in two steps. In between, it may be loading its data. `options`: for this time only.
  void launch(const std::vector<std::string>& options = {});
  void wait_until_ready() const;
  void pause();  // as SIGSTOP; it has stopped when this returns
  void resume();

 private:
  std::vector<std::string> options_;
  TemporaryFolder folder_{"redis"};
  std::string socket_path_;
  std::string file_;  // its path; empty: there is none
  int port_ = 0;
  int reservation_ = -1;  // of the port, also while the server is down
  int tls_port_ = 0;      // 0: none
  int tls_reservation_ = -1;
  int bus_port_ = 0;
  int bus_reservation_ = -1;
  pid_t pid_ = -1;
};

// A plain client that looks at the server from outside the library. On a Cluster it follows MOVED
// and ASK.
class RedisProbe {
 public:
  explicit RedisProbe(const RedisServer& server, const std::string& password = {});
  ~RedisProbe();
  RedisProbe(const RedisProbe&) = delete;
  RedisProbe& operator=(const RedisProbe&) = delete;

  using Words = std::vector<std::string>;
  // Status, string and error replies as they are, integers in decimal, "(nil)".
  std::string text(const Words& words);
  std::int64_t integer(const Words& words);
  Words list(const Words& words);
  std::map<std::string, std::string> hash(const std::string& key);
  // All keys that start with the prefix, by SCAN; of a Cluster, those of all its primaries.
  Words keys(const std::string& prefix);
  // Reads one more reply without sending anything (MONITOR, SUBSCRIBE).
  std::string next_line();

 private:
  struct Free {
    void operator()(redisContext* context) const noexcept;
  };
  using Context = std::unique_ptr<redisContext, Free>;
  struct Asked;
  redisContext* at(const std::string& place);
  static Words keys_at(redisContext* context, const std::string& prefix);

  Context context_;
  std::map<std::string, Context> others_{};  // by "host:port"
};

}  // namespace websession::testing
