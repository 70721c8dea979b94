// What is compared: a client is a way to keep sessions in Redis, driven by many threads.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace websession::bench {

// Where the server is: host and port, or the socket's path; with TLS, only the URL.
struct Target {
  std::string url;  // as websession and Node take it
  std::string host;
  int port = 0;
  std::string socket_path;
  std::string ca_file;  // of a rediss:// URL
};

// The sessions that are worked on; each key is prefix + id.
struct Keys {
  std::string prefix;
  std::vector<std::string> ids;
};

// One thread's access. Both throw std::runtime_error on any failure, a session that is not
// complete included.
class Worker {
 public:
  Worker() = default;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  virtual ~Worker() = default;

  // Reads all fields of session i and renews it, if that is due.
  virtual void load(std::size_t i) = 0;
  // Writes one field of session i and renews it, if that is due.
  virtual void save(std::size_t i, std::string_view value) = 0;
};

// Of websession's writes; those of its peers always renew.
enum class Renewal { when_due, always };

class Client {
 public:
  Client() = default;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  virtual ~Client() = default;

  // Called once on each of the threads; it connects what the thread needs.
  virtual std::unique_ptr<Worker> worker() = 0;
};

// `keys` must outlive the client.
std::unique_ptr<Client> make_ours(const Target& target, const Keys& keys, Renewal renewal);
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

}  // namespace websession::bench
