// Side-by-side runs of ways to keep sessions in Redis: docs/benchmarks.md.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "measure.hpp"
#include "redis_server.hpp"
#include "sessions.hpp"

namespace websession::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* usage = R"(usage: websession_redis_bench [--option value]...
  --clients     ours,hiredis-naive,hiredis-pipelined
  --operations  LOAD,SAVE,CYCLE
  --threads     1,4,16,64
  --transport   tcp | unix
  --seconds     of a run (2)
  --runs        rounds; each client runs once a round, in rotated order (5)
  --out         a file for the JSON
It starts a redis-server of its own.
)";

using Options = std::map<std::string, std::string>;

Options parse(int count, char** words) {
  Options options = {{"clients", "ours,hiredis-naive,hiredis-pipelined"},
                     {"operations", "LOAD,SAVE,CYCLE"},
                     {"threads", "1,4,16,64"},
                     {"transport", "tcp"},
                     {"seconds", "2"},
                     {"runs", "5"},
                     {"out", ""}};
  for (int i = 1; i < count; i += 2) {
    const std::string name =
        std::string(words[i]).substr(std::min<std::size_t>(2, std::string(words[i]).size()));
    if (i + 1 >= count || !options.contains(name)) {
      std::fputs(usage, stderr);
      std::exit(2);
    }
    options[name] = words[i + 1];
  }
  return options;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> words(1);
  for (const char c : list) {
    if (c == ',') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

Operation operation_of(const std::string& name) {
  for (const Operation operation : {Operation::load, Operation::save, Operation::cycle}) {
    if (name == name_of(operation)) return operation;
  }
  throw std::runtime_error("no such operation: " + name);
}

std::unique_ptr<Client> make_client(const std::string& name, const Target& target,
                                    const Keys& keys) {
  if (name == "ours") return make_ours(target, keys);
  if (name == "hiredis-naive") return make_hiredis_naive(target, keys);
  if (name == "hiredis-pipelined") return make_hiredis_pipelined(target, keys);
  throw std::runtime_error("no such client: " + name);
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

Json json_of(const Sample& sample) {
  return {{"seconds", sample.seconds},
          {"requests", sample.requests},
          {"p50_us", sample.p50_us},
          {"p99_us", sample.p99_us},
          {"caller",
           {{"cpu_seconds", sample.cpu_seconds},
            {"writes", sample.writes},
            {"reads", sample.reads},
            {"waits", sample.waits},
            {"allocations", sample.allocations},
            {"context_switches", sample.context_switches}}},
          {"server",
           {{"cpu_seconds", sample.server.cpu_seconds},
            {"writes", sample.server.writes},
            {"reads", sample.server.reads},
            {"bytes_in", sample.server.bytes_in},
            {"bytes_out", sample.server.bytes_out},
            {"commands", sample.server.commands}}}};
}

// One line a client, and the ratios of the first client to each other one, run by run.
void print_cell(const std::vector<std::string>& clients,
                const std::map<std::string, std::vector<Sample>>& samples) {
  for (const std::string& client : clients) {
    const std::vector<Sample>& runs = samples.at(client);
    const auto median_of = [&runs](auto&& value) {
      std::vector<double> values;
      for (const Sample& run : runs) values.push_back(value(run));
      return median(values);
    };
    const auto each = [&median_of](auto&& value) {
      return median_of([&](const Sample& s) {
        return static_cast<double>(value(s)) / static_cast<double>(s.requests);
      });
    };
    std::vector<double> ratios;
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const Sample& ours = samples.at(clients.front())[i];
      ratios.push_back(static_cast<double>(ours.requests) / ours.seconds /
                       (static_cast<double>(runs[i].requests) / runs[i].seconds));
    }
    std::printf(
        "  %-18s %9.0f/s  p50 %7.0f  p99 %7.0f us  cpu %5.1f + %5.1f us  writes %5.3f  reads %5.3f "
        " alloc %5.2f  switches %5.3f  server reads %5.3f",
        client.c_str(),
        median_of([](const Sample& s) { return static_cast<double>(s.requests) / s.seconds; }),
        median_of([](const Sample& s) { return s.p50_us; }),
        median_of([](const Sample& s) { return s.p99_us; }),
        each([](const Sample& s) { return s.cpu_seconds * 1e6; }),
        each([](const Sample& s) { return s.server.cpu_seconds * 1e6; }),
        each([](const Sample& s) { return s.writes; }),
        each([](const Sample& s) { return s.reads; }),
        each([](const Sample& s) { return s.allocations; }),
        each([](const Sample& s) { return s.context_switches; }),
        each([](const Sample& s) { return s.server.reads; }));
    if (client != clients.front()) {
      std::printf("  ratio %5.2f (%.2f to %.2f)", median(ratios),
                  *std::min_element(ratios.begin(), ratios.end()),
                  *std::max_element(ratios.begin(), ratios.end()));
    }
    std::printf("\n");
  }
  std::fflush(stdout);
}

int run(const Options& options) {
  const testing::RedisServer server;
  Target target{server.url(), "127.0.0.1", server.port(), ""};
  if (options.at("transport") == "unix") target = {server.unix_url(), "", 0, server.socket_path()};
  const Keys keys = store_sessions(target, 1000);
  ServerMeter meter(target);
  const std::vector<std::string> clients = split(options.at("clients"));
  const int rounds = std::stoi(options.at("runs"));

  Json report;
  report["transport"] = options.at("transport");
  report["samples"] = Json::array();
  for (const std::string& operation : split(options.at("operations"))) {
    for (const std::string& threads : split(options.at("threads"))) {
      const Load load{operation_of(operation), std::stoul(threads),
                      std::chrono::duration<double>(std::stod(options.at("seconds")))};
      std::map<std::string, std::vector<Sample>> samples;
      for (int round = 0; round < rounds; ++round) {
        for (std::size_t turn = 0; turn < clients.size(); ++turn) {
          const std::string& name =
              clients[(turn + static_cast<std::size_t>(round)) % clients.size()];
          const std::unique_ptr<Client> client = make_client(name, target, keys);
          const Sample sample = measure(*client, keys, load, meter);
          samples[name].push_back(sample);
          Json entry = {{"client", name},
                        {"operation", operation},
                        {"threads", load.threads},
                        {"round", round}};
          entry.update(json_of(sample));
          report["samples"].push_back(std::move(entry));
        }
      }
      std::printf("%s, %s, %zu threads\n", operation.c_str(), options.at("transport").c_str(),
                  load.threads);
      print_cell(clients, samples);
    }
  }
  if (!options.at("out").empty()) std::ofstream(options.at("out")) << report.dump(1) << '\n';
  return 0;
}

}  // namespace
}  // namespace websession::bench

int main(int count, char** words) {
  try {
    return websession::bench::run(websession::bench::parse(count, words));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "websession_redis_bench: %s\n", error.what());
    return 1;
  }
}
