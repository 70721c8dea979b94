// What a run costs the server, asked of the server itself.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "hiredis_connection.hpp"

namespace websession::bench {

struct ServerUse {
  double cpu_seconds = 0;      // of all its threads, user and system
  std::uint64_t bytes_in = 0;  // INFO stats
  std::uint64_t bytes_out = 0;
  std::uint64_t reads = 0;  // read and write calls on its sockets
  std::uint64_t writes = 0;
  std::map<std::string, std::uint64_t> commands;  // INFO commandstats: calls by name
};

class ServerMeter {
 public:
  explicit ServerMeter(const Target& target);

  std::string version();

  // Starts counting: resets the server's statistics.
  void start();
  // What was used since.
  ServerUse stop();

 private:
  std::string info(const char* section);
  double cpu_seconds();

  Connection connection_;
  double cpu_at_start_ = 0;
};

}  // namespace websession::bench
