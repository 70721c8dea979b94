// What a run costs Redis, asked of itself.
#pragma once

#include <string>

#include "hiredis_connection.hpp"
#include "server_meter.hpp"

namespace websession::bench {

class RedisMeter final : public ServerMeter {
 public:
  explicit RedisMeter(const Target& target);

  std::string version();

  // Resets the server's statistics.
  void start() override;
  ServerUse stop() override;

 private:
  std::string info(const char* section);
  double cpu_seconds();

  Connection connection_;
  double cpu_at_start_ = 0;
};

}  // namespace websession::bench
