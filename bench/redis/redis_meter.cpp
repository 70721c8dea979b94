#include "redis_meter.hpp"

#include <cstdlib>
#include <sstream>
#include <string_view>

namespace websession::bench {
namespace {

// The lines "name:value" of INFO.
std::map<std::string, std::string> lines_of(const std::string& text) {
  std::map<std::string, std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    while (!line.empty() && line.back() == '\r') line.pop_back();
    const std::size_t colon = line.find(':');
    if (colon != std::string::npos) lines[line.substr(0, colon)] = line.substr(colon + 1);
  }
  return lines;
}

std::uint64_t number(const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10); }

}  // namespace

RedisMeter::RedisMeter(const Target& target) : connection_(connect_hiredis(target)) {}

std::string RedisMeter::info(const char* section) {
  const Reply reply = checked(*connection_, redisCommand(connection_.get(), "INFO %s", section));
  return {reply->str, static_cast<std::size_t>(reply->len)};
}

double RedisMeter::cpu_seconds() {
  auto cpu = lines_of(info("cpu"));
  return std::strtod(cpu["used_cpu_user"].c_str(), nullptr) +
         std::strtod(cpu["used_cpu_sys"].c_str(), nullptr);
}

std::string RedisMeter::version() { return lines_of(info("server"))["redis_version"]; }

void RedisMeter::start() {
  cpu_at_start_ = cpu_seconds();
  checked(*connection_, redisCommand(connection_.get(), "CONFIG RESETSTAT"));
}

ServerUse RedisMeter::stop() {
  auto stats = lines_of(info("stats"));
  const auto calls = lines_of(info("commandstats"));
  ServerUse use;
  use.cpu_seconds = cpu_seconds() - cpu_at_start_;
  use.bytes_in = number(stats["total_net_input_bytes"]);
  use.bytes_out = number(stats["total_net_output_bytes"]);
  use.reads = number(stats["total_reads_processed"]);
  use.writes = number(stats["total_writes_processed"]);
  constexpr std::string_view prefix = "cmdstat_";
  for (const auto& [name, value] : calls) {  // cmdstat_hgetall:calls=12,usec=…
    if (!name.starts_with(prefix) || !value.starts_with("calls=")) continue;
    const std::string command = name.substr(prefix.size());
    if (command != "info" && !command.starts_with("config")) {
      use.commands[command] = number(value.substr(6));
    }
  }
  return use;
}

}  // namespace websession::bench
