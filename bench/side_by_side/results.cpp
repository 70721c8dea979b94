#include "results.hpp"

#include <algorithm>
#include <cstdio>

namespace websession::bench {
namespace {

double throughput(const Sample& sample) {
  return static_cast<double>(sample.requests) / sample.seconds;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

template <class Value>
double median_of(const std::vector<Sample>& samples, Value value) {
  std::vector<double> values;
  for (const Sample& sample : samples) {
    if (sample.requests > 0) values.push_back(value(sample));
  }
  return values.empty() ? 0 : median(values);
}

void print_ratio(const std::vector<Sample>& ours, const std::vector<Sample>& theirs) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    if (ours[i].requests > 0 && theirs[i].requests > 0) {
      ratios.push_back(throughput(ours[i]) / throughput(theirs[i]));
    }
  }
  if (ratios.empty()) return;
  const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
  std::printf("  ours is %.2fx (%.2f to %.2f)", median(ratios), *least, *most);
}

// -1 stands for what is not known.
nlohmann::ordered_json known(auto value) {
  if (value < 0) return nullptr;
  return value;
}

}  // namespace

void print_cell(const Load& load, const std::string& where, const std::vector<Runs>& clients) {
  std::printf("%s, %s, %zu threads; a request: CPU of client + server, calls, allocations\n",
              std::string(name_of(load.operation)).c_str(), where.c_str(), load.threads);
  for (const Runs& runs : clients) {
    const auto each = [&runs](auto value) {
      return median_of(runs.samples, [&value](const Sample& sample) {
        return static_cast<double>(value(sample)) / static_cast<double>(sample.requests);
      });
    };
    std::printf(
        "  %-17s %8.0f/s  p50 %5.0f p99 %5.0f us  cpu %5.1f + %5.1f us  %6.3f writes %6.3f reads",
        runs.client.c_str(), median_of(runs.samples, throughput),
        median_of(runs.samples, [](const Sample& s) { return s.p50_us; }),
        median_of(runs.samples, [](const Sample& s) { return s.p99_us; }),
        each([](const Sample& s) { return s.cpu_seconds * 1e6; }),
        each([](const Sample& s) { return s.server.cpu_seconds * 1e6; }),
        each([](const Sample& s) { return s.writes; }),
        each([](const Sample& s) { return s.reads; }));
    const double allocations = each([](const Sample& s) { return s.allocations; });
    if (allocations >= 0) std::printf("  %6.2f allocations", allocations);
    if (&runs != &clients.front()) print_ratio(clients.front().samples, runs.samples);
    std::printf("\n");
  }
  std::fflush(stdout);
}

nlohmann::ordered_json json_of(const Sample& sample) {
  return {{"seconds", sample.seconds},
          {"requests", sample.requests},
          {"p50_us", sample.p50_us},
          {"p99_us", sample.p99_us},
          {"client_cpu_seconds", sample.cpu_seconds},
          {"client_writes", sample.writes},
          {"client_reads", sample.reads},
          {"client_waits", known(sample.waits)},
          {"client_yields", known(sample.yields)},
          {"client_allocations", known(sample.allocations)},
          {"client_context_switches", known(sample.context_switches)},
          {"proxy_cpu_seconds", known(sample.proxy_cpu_seconds)},
          {"server_cpu_seconds", sample.server.cpu_seconds},
          {"server_writes", sample.server.writes},
          {"server_reads", sample.server.reads},
          {"server_bytes_in", sample.server.bytes_in},
          {"server_bytes_out", sample.server.bytes_out},
          {"commands", sample.server.commands}};
}

}  // namespace websession::bench
