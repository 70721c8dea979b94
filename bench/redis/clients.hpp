// Ways to keep sessions in Redis.
#pragma once

#include <memory>
#include <string>

#include "client.hpp"
#include "session.hpp"

namespace websession::bench {

// Where the server is: host and port, or the socket's path; with TLS, only the URL.
struct Target {
  std::string url;  // as websession and Node take it
  std::string host;
  int port = 0;
  std::string socket_path;
  std::string ca_file;  // of a rediss:// URL
};

// Stores `count` sessions under a prefix that nothing else uses, and gives their keys.
Keys store_sessions(const Target& target, std::size_t count);

// `keys` must outlive the client.
// One RedisStore for all threads, default options.
std::unique_ptr<Client> make_ours(const Target& target, const Keys& keys, Renewal renewal);
// One AsyncRedisStore on event loops.
std::unique_ptr<Client> make_our_loops(const Target& target, const Keys& keys, std::size_t loops,
                                       std::size_t in_flight);
// One connection a thread, one command a round trip.
std::unique_ptr<Client> make_hiredis_naive(const Target& target, const Keys& keys);
// One connection a thread, the two commands of an operation in one round trip.
std::unique_ptr<Client> make_hiredis_pipelined(const Target& target, const Keys& keys);
// The same, but a script writes, if the session is there.
std::unique_ptr<Client> make_hiredis_guarded(const Target& target, const Keys& keys);
// A pool of as many connections as there are threads.
std::unique_ptr<Client> make_poco(const Target& target, const Keys& keys, std::size_t threads);
// The same; `pipelined`: the two commands of an operation in one round trip.
std::unique_ptr<Client> make_redis_plus_plus(const Target& target, const Keys& keys,
                                             std::size_t threads, bool pipelined);
std::string redis_plus_plus_version();

// How people guard a write.
inline constexpr const char* usual_script =
    "if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end "
    "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) "
    "redis.call('EXPIRE', KEYS[1], ARGV[3]) return 1";

}  // namespace websession::bench
