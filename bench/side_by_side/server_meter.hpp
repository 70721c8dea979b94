// What a run costs the server.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace websession::bench {

struct ServerUse {
  double cpu_seconds = 0;  // of all its threads and processes, user and system
  // Known of Redis alone.
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t reads = 0;  // read and write calls on its sockets
  std::uint64_t writes = 0;
  std::map<std::string, std::uint64_t> commands;  // calls by name
};

class ServerMeter {
 public:
  ServerMeter() = default;
  ServerMeter(const ServerMeter&) = delete;
  ServerMeter& operator=(const ServerMeter&) = delete;
  virtual ~ServerMeter() = default;

  virtual void start() = 0;
  // What was used since.
  virtual ServerUse stop() = 0;
};

}  // namespace websession::bench
