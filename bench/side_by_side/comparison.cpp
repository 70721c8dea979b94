#include "comparison.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <map>
#include <stdexcept>
#include <utility>

#include "results.hpp"

namespace websession::bench {
namespace {

using Json = nlohmann::ordered_json;

// The clients that run, in the order of the list. Names that nobody has are an error.
std::vector<const Contender*> choose(const std::vector<Contender>& all, const Options& options) {
  for (const std::string& name : options.clients) {
    const auto has_name = [&name](const Contender& contender) { return contender.name == name; };
    if (std::none_of(all.begin(), all.end(), has_name)) {
      throw std::runtime_error("there is no client called " + name);
    }
  }
  std::vector<const Contender*> chosen;
  for (const Contender& contender : all) {
    const auto& names = options.clients;
    const bool wanted =
        names.empty() || std::find(names.begin(), names.end(), contender.name) != names.end();
    if (!wanted) continue;
    if (contender.obstacle.empty()) {
      chosen.push_back(&contender);
    } else {
      std::printf("not measured here: %s: %s\n", contender.name.c_str(),
                  contender.obstacle.c_str());
    }
  }
  return chosen;
}

class Comparison {
 public:
  Comparison(const Options& options, const Setting& setting)
      : options_(options), setting_(setting) {}

  // Each round runs every client once and starts with another one, so that a machine that gets
  // faster or slower meanwhile does so for all.
  void run_cell(const std::vector<const Contender*>& clients, const Load& load) {
    std::vector<Runs> cell;
    for (const Contender* client : clients) cell.push_back({client->name, {}});
    for (int round = 0; round < options_.rounds; ++round) {
      for (std::size_t turn = 0; turn < clients.size(); ++turn) {
        const std::size_t i = (turn + static_cast<std::size_t>(round)) % clients.size();
        cell[i].samples.push_back(run_once(*clients[i], load, round));
      }
    }
    print_cell(load, setting_.where, cell);
  }

  [[nodiscard]] const Json& runs() const { return runs_; }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] const std::map<std::string, std::string>& versions() const { return versions_; }

 private:
  Sample run_once(const Contender& client, const Load& load, int round) {
    Json run = {{"client", client.name},
                {"operation", name_of(load.operation)},
                {"threads", load.threads},
                {"round", round}};
    Sample sample;
    try {
      const double proxy_before = setting_.proxy_cpu_seconds ? setting_.proxy_cpu_seconds() : 0;
      sample = client.run(load);
      if (setting_.proxy_cpu_seconds) {
        sample.proxy_cpu_seconds = setting_.proxy_cpu_seconds() - proxy_before;
      }
      run.update(json_of(sample));
      if (!sample.version.empty()) versions_[client.name] = sample.version;
    } catch (const std::exception& error) {
      failed_ = true;
      run["error"] = error.what();
      std::fprintf(stderr, "%s, %zu threads: %s\n", client.name.c_str(), load.threads,
                   error.what());
    }
    runs_.push_back(std::move(run));
    return sample;
  }

  const Options& options_;
  const Setting& setting_;
  Json runs_ = Json::array();
  std::map<std::string, std::string> versions_;  // those that a run told
  bool failed_ = false;
};

Json json_of(const std::vector<Contender>& all, const Comparison& comparison) {
  Json clients = Json::object();
  for (const Contender& contender : all) {
    Json& entry = clients[contender.name];
    entry = {{"how", contender.how}, {"version", contender.version}};
    const auto told = comparison.versions().find(contender.name);
    if (told != comparison.versions().end()) entry["version"] = told->second;
    if (!contender.obstacle.empty()) entry["not_measured"] = contender.obstacle;
  }
  return clients;
}

}  // namespace

int compare(const Options& options, const Setting& setting, const std::vector<Contender>& all) {
  const std::vector<const Contender*> clients = choose(all, options);
  Comparison comparison(options, setting);
  if (!clients.empty()) {
    for (const Operation operation : options.operations) {
      for (const std::size_t threads : options.threads) {
        comparison.run_cell(clients, {operation, threads, options.duration});
      }
    }
  }
  Json report = setting.about;
  report.update(Json{{"seconds", options.duration.count()},
                     {"rounds", options.rounds},
                     {"sessions", options.sessions},
                     {"clients", json_of(all, comparison)},
                     {"runs", comparison.runs()}});
  if (!options.out.empty()) {
    std::ofstream file(options.out);
    file << report.dump(1) << '\n';
    if (!file.flush()) throw std::runtime_error("cannot write " + options.out);
  }
  return comparison.failed() ? 1 : 0;
}

}  // namespace websession::bench
