// What a server has been asked, by its own count.
#pragma once

#include <cstdint>
#include <string>

#include "redis_server.hpp"

namespace websession::testing {

// How often the command (in lower case) was executed.
inline std::int64_t calls_of(RedisProbe& probe, const std::string& command) {
  const std::string stats = probe.text({"INFO", "commandstats"});
  const std::string name = "cmdstat_" + command + ":calls=";
  const std::size_t found = stats.find(name);
  return found == std::string::npos ? 0 : std::stoll(stats.substr(found + name.size()));
}

}  // namespace websession::testing
