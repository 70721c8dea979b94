#include "process_meter.hpp"

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace websession::bench {
namespace {

// The ticks that a process has used, and those of its children that have ended (proc(5)).
double ticks_of(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string text(std::istreambuf_iterator<char>(file), {});
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;  // it has ended
  std::istringstream rest(text.substr(name_end + 2));
  std::string ignored;
  for (int field = 3; field < 14; ++field) rest >> ignored;
  double sum = 0;
  double ticks = 0;
  for (int i = 0; i < 4 && rest >> ticks; ++i) sum += ticks;
  return sum;
}

}  // namespace

double ProcessMeter::cpu_seconds() const {
  if (pid_ == 0) return 0;
  const std::string pid = std::to_string(pid_);
  double ticks = ticks_of(pid);
  std::ifstream children("/proc/" + pid + "/task/" + pid + "/children");
  for (std::string child; children >> child;) ticks += ticks_of(child);
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

void ProcessMeter::start() { cpu_at_start_ = cpu_seconds(); }

ServerUse ProcessMeter::stop() {
  ServerUse use;
  use.cpu_seconds = cpu_seconds() - cpu_at_start_;
  return use;
}

}  // namespace websession::bench
