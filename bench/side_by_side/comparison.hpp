// Runs clients side by side.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "contender.hpp"
#include "options.hpp"

namespace websession::bench {

struct Setting {
  std::string where;                            // as the lines for people call it
  nlohmann::ordered_json about;                 // that stands first in the figures
  std::function<double()> proxy_cpu_seconds{};  // where a proxy stands before the server
};

// Each operation with each number of threads; prints what it sees, and writes the figures to
// options.out. The program's exit code. Throws what makes no sense.
int compare(const Options& options, const Setting& setting, const std::vector<Contender>& all);

}  // namespace websession::bench
