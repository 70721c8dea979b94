// Side-by-side runs of what keeps sessions on a disk, beside Redis: docs/benchmarks.md.
#include <sqlite3.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <utility>

#include "comparison.hpp"
#include "node_client.hpp"
#include "postgres_server.hpp"
#include "process_meter.hpp"
#include "redis_server.hpp"
#include "store_clients.hpp"
#include "temporary_folder.hpp"
#include "wait_for.hpp"
#include "websession/async/postgres_store.hpp"
#include "websession/postgres_store.hpp"
#include "websession/redis_store.hpp"
#include "websession/sqlite_store.hpp"

namespace websession::bench {
namespace {

constexpr const char* usage = R"(usage: websession_durable_bench [--option value]...
  --clients      redis,redis-durable,sqlite,sqlite-normal,better-sqlite3-session-store,
                 better-sqlite3-session-store-normal,postgres,postgres-loop,connect-pg-simple (all)
)";

constexpr const char* version = "this source";

// Where sessions are, once somebody asks for them. Filled without waiting for the disk.
class Places {
 public:
  explicit Places(const Keys& keys) : keys_(keys) {}

  std::string sqlite_file(SqliteOptions options) {
    const std::string file = folder_.path() + "/ours.db";
    if (!std::exchange(sqlite_is_filled_, true)) {
      options.synchronous = SqliteOptions::Synchronous::off;
      fill(*value_of(SqliteStore::open(file, options)), keys_);
    }
    return file;
  }
  // A file of another client.
  [[nodiscard]] std::string file(const std::string& name) const {
    return folder_.path() + "/" + name + ".db";
  }

  const testing::PostgresServer& postgres() {
    if (!postgres_) {
      // As Debian sets it up, which waits for the disk.
      postgres_ = std::make_unique<testing::PostgresServer>(
          std::vector<std::string>{"fsync=on", "shared_buffers=128MB"});
    }
    return *postgres_;
  }
  std::string conninfo() {
    const testing::PostgresServer& server = postgres();
    if (!std::exchange(postgres_is_filled_, true)) {
      PostgresOptions options;
      options.operation_timeout = std::chrono::minutes(1);
      fill(*value_of(PostgresStore::connect(server.conninfo("options='-c synchronous_commit=off'"),
                                            options)),
           keys_);
      testing::PostgresProbe(server.conninfo()).run("ANALYZE; CHECKPOINT");
    }
    return server.conninfo();
  }

  // `durable`: it answers a write when that is on the disk.
  const testing::RedisServer& redis(bool durable) {
    std::unique_ptr<testing::RedisServer>& server = redis_[durable ? 1 : 0];
    if (!server) {
      server = std::make_unique<testing::RedisServer>();
      fill(*redis_store(*server), keys_);
      if (durable) {
        testing::RedisProbe probe(*server);
        probe.text({"CONFIG", "SET", "appendfsync", "always"});
        probe.text({"CONFIG", "SET", "appendonly", "yes"});
        testing::wait_for("Redis' file is not begun", [&probe] {
          const std::string info = probe.text({"INFO", "persistence"});
          return info.find("aof_rewrite_in_progress:0") != std::string::npos &&
                 info.find("aof_rewrite_scheduled:0") != std::string::npos;
        });
      }
    }
    return *server;
  }
  [[nodiscard]] std::shared_ptr<SessionStore> redis_store(
      const testing::RedisServer& server) const {
    RedisOptions options;
    options.prefix = keys_.prefix;
    return value_of(RedisStore::connect(server.url(), options));
  }

 private:
  const Keys& keys_;
  testing::TemporaryFolder folder_{"durable"};
  bool sqlite_is_filled_ = false;
  bool postgres_is_filled_ = false;
  std::unique_ptr<testing::PostgresServer> postgres_{};
  std::unique_ptr<testing::RedisServer> redis_[2];
};

Contender redis(bool durable, Places& places, const Keys& keys) {
  return {durable ? "redis-durable" : "redis",
          durable ? "RedisStore, and Redis with appendonly yes, appendfsync always"
                  : "RedisStore, and Redis without files, for comparison",
          version,
          {},
          [&places, &keys, durable](const Load& load) {
            const testing::RedisServer& server = places.redis(durable);
            ProcessMeter meter(server.pid());
            return measure(*make_store_client(places.redis_store(server), keys, Renewal::when_due),
                           keys, load, meter);
          }};
}

Contender sqlite(SqliteOptions::Synchronous synchronous, Places& places, const Keys& keys) {
  const bool is_full = synchronous == SqliteOptions::Synchronous::full;
  return {is_full ? "sqlite" : "sqlite-normal",
          is_full ? "SqliteStore, one for all threads, default options (synchronous full)"
                  : "the same, synchronous normal",
          std::string(version) + ", SQLite " + SQLITE_VERSION,
          {},
          [&places, &keys, synchronous](const Load& load) {
            SqliteOptions options;
            options.operation_timeout = std::chrono::minutes(1);
            options.synchronous = synchronous;
            const std::string file = places.sqlite_file(options);
            ProcessMeter none;
            return measure(*make_store_client(value_of(SqliteStore::open(file, options)), keys,
                                              Renewal::when_due),
                           keys, load, none);
          }};
}

Sample with_version(Sample sample, Places& places) {
  testing::PostgresProbe probe(places.conninfo());
  sample.version = std::string(version) + ", PostgreSQL " + probe.text("SHOW server_version");
  return sample;
}

Contender postgres(Places& places, const Keys& keys) {
  return {"postgres",
          "PostgresStore, one for all threads, default options (8 connections), by the unix socket",
          {},
          {},
          [&places, &keys](const Load& load) {
            const std::string conninfo = places.conninfo();
            ProcessMeter meter(places.postgres().pid());
            return with_version(
                measure(*make_store_client(value_of(PostgresStore::connect(conninfo)), keys,
                                           Renewal::when_due),
                        keys, load, meter),
                places);
          }};
}

Contender postgres_loop(Places& places, const Keys& keys) {
  return {"postgres-loop",
          "AsyncPostgresStore on one event loop (EpollReactor), as many requests in flight as the "
          "others have threads; default options",
          {},
          {},
          [&places, &keys](const Load& load) {
            const std::string conninfo = places.conninfo();
            ProcessMeter meter(places.postgres().pid());
            const auto make = [&](const AsyncSessionStore::Reactors& loops) {
              return value_of(AsyncPostgresStore::connect_later(conninfo, loops));
            };
            return with_version(
                measure(*make_loop_client(make, keys, 1, load.threads), keys, load, meter), places);
          }};
}

Contender connect_pg_simple(const Options& options, Places& places, const Keys& keys) {
  const NodeClient node(options.node_directory, "connect-pg-simple");
  return {"connect-pg-simple",
          "one Node process, the pool of pg (10 connections), as many promises in flight as "
          "threads; the session as one JSON text: LOAD = get + touch, SAVE = set",
          {},
          node.obstacle().value_or(""),
          [node, &places, &keys](const Load& load) {
            const testing::PostgresServer& server = places.postgres();
            ProcessMeter meter(server.pid());
            return node.run({server.folder(), std::to_string(server.port()), "websession"}, keys,
                            load, meter);
          }};
}

Contender better_sqlite3(bool is_full, const Options& options, Places& places, const Keys& keys) {
  const std::string name = "better-sqlite3-session-store";
  const NodeClient node(options.node_directory, name);
  return {is_full ? name : name + "-normal",
          is_full ? "one Node process, whose calls block it; WAL, synchronous full; the session as "
                    "one JSON text: LOAD = get + touch, SAVE = set"
                  : "the same, synchronous normal, as better-sqlite3 is compiled for",
          {},
          node.obstacle().value_or(""),
          [node, &places, &keys, is_full](const Load& load) {
            ProcessMeter none;
            return node.run({places.file("better"), is_full ? "FULL" : "NORMAL"}, keys, load, none);
          }};
}

int run(const Options& options) {
  using Synchronous = SqliteOptions::Synchronous;
  const Keys keys = draw_keys(options.sessions);
  Places places(keys);
  const std::string where = std::to_string(options.sessions) + " sessions";
  return compare(
      options, {where, {{"transport", "durable"}}},
      {redis(false, places, keys), redis(true, places, keys),
       sqlite(Synchronous::full, places, keys), sqlite(Synchronous::normal, places, keys),
       better_sqlite3(true, options, places, keys), better_sqlite3(false, options, places, keys),
       postgres(places, keys), postgres_loop(places, keys),
       connect_pg_simple(options, places, keys)});
}

}  // namespace
}  // namespace websession::bench

int main(int count, char** words) {
  using namespace websession::bench;
  try {
    return run(Options::parse(count, words, usage));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "websession_durable_bench: %s\n", error.what());
    return 1;
  }
}
