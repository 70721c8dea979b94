// One of those that are compared.
#pragma once

#include <functional>
#include <string>

#include "measure.hpp"

namespace websession::bench {

struct Contender {
  std::string name;
  std::string how;       // it is used
  std::string version;   // empty: known after a run
  std::string obstacle;  // why it cannot be measured here; empty: it can
  std::function<Sample(const Load&)> run;
};

}  // namespace websession::bench
