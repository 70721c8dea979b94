#include "node_client.hpp"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "child_process.hpp"

namespace websession::bench {

std::optional<std::string> NodeClient::obstacle() const {
  if (!std::filesystem::exists(directory_ + "/node_modules/" + package_)) {
    return "its npm packages are not installed (scripts/bench does it)";
  }
  try {
    testing::ChildProcess({"node", "--version"}).read_line();
  } catch (const std::exception&) {
    return "there is no node";
  }
  return std::nullopt;
}

Sample NodeClient::run(const std::vector<std::string>& words, const Keys& keys, const Load& load,
                       ServerMeter& server) const {
  std::vector<std::string> command = {"node", directory_ + "/" + package_ + ".mjs"};
  command.insert(command.end(), words.begin(), words.end());
  command.insert(command.end(),
                 {std::to_string(keys.ids.size()), std::string(name_of(load.operation)),
                  std::to_string(load.threads), std::to_string(load.duration.count())});
  testing::ChildProcess node(command);
  if (node.read_line() != "ready") throw std::runtime_error(package_ + ".mjs is not ready");
  server.start();
  node.write_line("go");
  const auto answer = nlohmann::json::parse(node.read_line());
  Sample sample;
  sample.server = server.stop();
  sample.seconds = answer.at("seconds");
  sample.requests = answer.at("requests");
  sample.p50_us = answer.at("p50_us");
  sample.p99_us = answer.at("p99_us");
  sample.cpu_seconds = answer.at("cpu_seconds");
  sample.writes = answer.at("writes");
  sample.reads = answer.at("reads");
  sample.version = answer.at("version");
  return sample;
}

}  // namespace websession::bench
