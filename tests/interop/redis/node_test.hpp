// What tests with a program in Node start from.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "child_process.hpp"
#include "redis_fixture.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {

using nlohmann::json;

class NodeTest : public RedisTest {
 protected:
  // The program of this test gets Redis' URL and, once it listens, prints a line that begins with
  // "ready".
  void SetUp() override {
    RedisTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    node = std::make_unique<ChildProcess>(
        std::vector<std::string>{"node", WEBSESSION_NODE_PROGRAM, server->url()});
    ready_line = node->read_line();
    ASSERT_TRUE(ready_line.starts_with("ready")) << ready_line;
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
};

}  // namespace websession::testing
