// The figures of all runs, for people (a few lines a cell) and for bench/report.py (JSON).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "measure.hpp"

namespace websession::bench {

// One client's runs of one cell (operation, threads), in the order of rounds. A run that failed
// has no requests.
struct Runs {
  std::string client;
  std::vector<Sample> samples;
};

// Ratios are paired: run by run to the first client's.
void print_cell(const Load& load, const std::string& where, const std::vector<Runs>& clients);

nlohmann::ordered_json json_of(const Sample& sample);

}  // namespace websession::bench
