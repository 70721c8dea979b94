// The list of what is compared.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "measure.hpp"
#include "options.hpp"

namespace websession::bench {

struct Contender {
  std::string name;
  std::string how;       // it is used
  std::string version;   // empty: known after a run
  std::string obstacle;  // why it cannot be measured here; empty: it can
  std::function<Sample(const Load&)> run;
};

// All of them, ours first. `keys`, `target` and `server` must outlive the list.
std::vector<Contender> contenders(const Options& options, const Target& target, const Keys& keys,
                                  ServerMeter& server);

}  // namespace websession::bench
