// One run of one client: as many requests as it completes in a given time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "client.hpp"
#include "server_meter.hpp"

namespace websession::bench {

enum class Operation { load, save, cycle };  // cycle: load, change, save, as a web request does
std::string_view name_of(Operation operation) noexcept;

struct Load {
  Operation operation = Operation::cycle;
  std::size_t threads = 1;  // each does one request after the other, without a pause
  std::chrono::duration<double> duration{};
};

// Totals of a run.
struct Sample {
  double seconds = 0;
  std::uint64_t requests = 0;
  double p50_us = 0;
  double p99_us = 0;
  double cpu_seconds = 0;  // of the client's process
  std::uint64_t writes = 0;
  std::uint64_t reads = 0;
  // Not known of clients in another process: -1.
  std::int64_t waits = -1;
  std::int64_t yields = -1;
  std::int64_t allocations = -1;
  std::int64_t context_switches = -1;  // voluntary ones: the thread slept
  double proxy_cpu_seconds = -1;       // -1: there is no proxy
  std::string version;                 // of the client, where only the run tells
  ServerUse server;
};

// Each thread connects and works a little before the run starts for all. Throws what a worker does.
Sample measure(Client& client, const Keys& keys, const Load& load, ServerMeter& server);

}  // namespace websession::bench
