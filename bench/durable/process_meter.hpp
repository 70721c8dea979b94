// What a run costs a server of several processes, as the system counts it.
#pragma once

#include <sys/types.h>

#include "server_meter.hpp"

namespace websession::bench {

class ProcessMeter final : public ServerMeter {
 public:
  // Of this process, its children, and those of its children that have ended. 0: of none, where the
  // client does it all.
  explicit ProcessMeter(pid_t pid = 0) : pid_(pid) {}

  void start() override;
  ServerUse stop() override;

 private:
  [[nodiscard]] double cpu_seconds() const;

  const pid_t pid_;
  double cpu_at_start_ = 0;
};

}  // namespace websession::bench
