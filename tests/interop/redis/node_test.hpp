// What tests with a program in Node start from.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "child_process.hpp"
#include "redis_fixture.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {

using nlohmann::json;

class NodeTest : public RedisTest {
 protected:
  // `program`: a file of this folder. It gets Redis' URL and, once it listens, prints a line that
  // begins with "ready".
  explicit NodeTest(std::string program) : program_(std::move(program)) {}

  void SetUp() override {
    RedisTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const std::string folder = WEBSESSION_NODE_FOLDER;
    if (std::filesystem::exists(folder + "/node_modules")) {
      node = std::make_unique<ChildProcess>(
          std::vector<std::string>{"node", folder + "/" + program_, server->url()});
      ready_line = node->read_line();
      ASSERT_TRUE(ready_line.starts_with("ready")) << ready_line;
      return;
    }
    const char* ci = std::getenv("CI");
    if (ci != nullptr && std::string_view(ci) == "true") {
      FAIL() << "the npm packages are not installed, and under CI nothing is skipped";
    }
    GTEST_SKIP() << "the npm packages are not installed (scripts/test does it)";
  }

  // As long as a session lives in Express. With real time, which Node goes by as well.
  static SessionOptions options() {
    SessionOptions an_hour;
    an_hour.idle_timeout = std::chrono::hours(1);
    return an_hour;
  }
  // The tests ask what is right, not how fast.
  static constexpr std::chrono::seconds patience{20};

  std::unique_ptr<ChildProcess> node;
  std::string ready_line;

 private:
  const std::string program_;
};

}  // namespace websession::testing
