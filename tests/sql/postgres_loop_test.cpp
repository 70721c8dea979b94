// What is the event loop's own: calls that nobody waits for any more, and stores and loops that
// end.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "postgres_fixture.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class PostgresOnALoop : public PostgresTest {
 protected:
  using Loaded = Result<std::optional<Record>>;

  void SetUp() override {
    PostgresTest::SetUp();
    if (schema == nullptr) return;
    static_cast<void>(schema->open(patient_postgres()));  // makes the tables
    store = connect(patient_postgres());
  }
  std::shared_ptr<AsyncSessionStore> connect(const PostgresOptions& options) {
    return AsyncPostgresStore::connect_later(schema->conninfo(), {loop}, options).value();
  }
  template <class IsSo>
  void run_until(const IsSo& is_so) {
    const auto end = std::chrono::steady_clock::now() + seconds(60);
    while (!is_so() && std::chrono::steady_clock::now() < end) loop->run_once(milliseconds(50));
    EXPECT_TRUE(is_so());
  }
  // A call of its own, which is answered at most once.
  struct Load {
    explicit Load(std::optional<std::chrono::nanoseconds> timeout = {}) : call(0, timeout) {}
    StoreKey key{SessionId::generate().value()};
    AsyncCall call;
    std::optional<Loaded> answer{};
  };
  void start(Load& load) {
    loop->post([this, &load] {
      store->load(load.key, load.call, [&load](Loaded loaded) {
        EXPECT_FALSE(load.answer.has_value()) << "answered twice";
        load.answer = std::move(loaded);
      });
    });
  }

  const std::shared_ptr<EpollReactor> loop = EpollReactor::make().value();
  std::shared_ptr<AsyncSessionStore> store{};
};

TEST_F(PostgresOnALoop, ManyAtOnceOnFewConnections) {
  std::vector<std::unique_ptr<Load>> loads;
  for (int i = 0; i < 500; ++i) {
    loads.push_back(std::make_unique<Load>());
    start(*loads.back());
  }
  run_until([&] {
    return std::all_of(loads.begin(), loads.end(),
                       [](const auto& load) { return load->answer.has_value(); });
  });
  for (const auto& load : loads) EXPECT_TRUE(load->answer->has_value());
  PostgresProbe probe(schema->conninfo());
  EXPECT_LE(std::stoi(probe.text("SELECT count(*) FROM pg_stat_activity WHERE application_name = "
                                 "'websession' AND query LIKE '%websession_sessions%'")),
            8);
}

TEST_F(PostgresOnALoop, WhoIsStoppedIsAnsweredSoon) {
  PostgresProbe other(schema->conninfo());
  other.run("BEGIN; LOCK TABLE websession_sessions IN ACCESS EXCLUSIVE MODE");
  Load in_flight;
  start(in_flight);
  const std::string waits =
      "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE "
      "'%websession_sessions%'";
  PostgresProbe outside(schema->conninfo());
  run_until([&] { return outside.text(waits) == "t"; });
  loop->post([&] { in_flight.call.stop(); });
  run_until([&] { return in_flight.answer.has_value(); });
  EXPECT_EQ(in_flight.answer->error().code, Errc::canceled);
  other.run("COMMIT");
  Load next;
  start(next);
  run_until([&] { return next.answer.has_value(); });
  EXPECT_TRUE(next.answer->has_value()) << "on another connection";
}

TEST_F(PostgresOnALoop, WhoIsStoppedBeforeThereIsAConnectionIsAnsweredSoon) {
  Load load;
  start(load);
  loop->post([&] { load.call.stop(); });
  run_until([&] { return load.answer.has_value(); });
  EXPECT_TRUE(load.answer->has_value() || load.answer->error().code == Errc::canceled);
}

TEST_F(PostgresOnALoop, ACallMayHaveLessTime) {
  PostgresProbe other(schema->conninfo());
  other.run("BEGIN; LOCK TABLE websession_sessions IN ACCESS EXCLUSIVE MODE");
  Load load{milliseconds(100)};
  start(load);
  run_until([&] { return load.answer.has_value(); });
  EXPECT_EQ(load.answer->error().code, Errc::timeout);
  other.run("COMMIT");
}

TEST_F(PostgresOnALoop, AStoreThatEndsTellsThoseWhoWait) {
  PostgresProbe other(schema->conninfo());
  other.run("BEGIN; LOCK TABLE websession_sessions IN ACCESS EXCLUSIVE MODE");
  for (const bool is_connected : {false, true}) {
    Load first;
    Load second;
    start(first);
    if (is_connected) {
      for (int i = 0; i < 10; ++i) loop->run_once(milliseconds(20));
    }
    start(second);
    loop->run_once(milliseconds(0));
    store.reset();
    run_until([&] { return first.answer.has_value() && second.answer.has_value(); });
    EXPECT_EQ(first.answer->error().code, Errc::unavailable);
    EXPECT_EQ(second.answer->error().code, Errc::unavailable);
    store = connect(patient_postgres());
  }
  other.run("COMMIT");
}

// What the loop holds goes with it, uncalled; that nothing leaks, AddressSanitizer sees.
TEST_F(PostgresOnALoop, ALoopThatEndsFirstDropsThem) {
  PostgresProbe other(schema->conninfo());
  other.run("BEGIN; LOCK TABLE websession_sessions IN ACCESS EXCLUSIVE MODE");
  for (int turns : {0, 1, 2, 3, 5, 8, 13, 21}) {
    auto own = EpollReactor::make().value();
    auto of_it = AsyncPostgresStore::connect_later(schema->conninfo(), {own}, {}).value();
    const StoreKey key{SessionId::generate().value()};
    AsyncCall call(0);
    bool was_called = false;
    AsyncSessionStore& called = *of_it;
    own->post([&] { called.load(key, call, [&](const Loaded&) { was_called = true; }); });
    for (int i = 0; i < turns; ++i) own->run_once(milliseconds(2));
    of_it.reset();
    own.reset();
    EXPECT_FALSE(was_called);
  }
  other.run("COMMIT");
}

TEST_F(PostgresOnALoop, NamesAreResolvedByAThread) {
  const std::string conninfo =
      "host=localhost,none5uch.invalid port=" + std::to_string(server().port()) +
      " user=websession dbname=postgres sslmode=disable " + schema->words();
  store = AsyncPostgresStore::connect_later(conninfo, {loop}, patient_postgres()).value();
  Load load;
  start(load);
  run_until([&] { return load.answer.has_value(); });
  EXPECT_TRUE(load.answer->has_value()) << load.answer->error().message();
  store = AsyncPostgresStore::connect_later("host=none5uch.invalid user=websession", {loop},
                                            patient_postgres())
              .value();
  Load lost;
  start(lost);
  run_until([&] { return lost.answer.has_value(); });
  ASSERT_FALSE(lost.answer->has_value());
  EXPECT_EQ(lost.answer->error().code, Errc::unavailable);
}

TEST_F(PostgresOnALoop, MistakesAreTold) {
  EXPECT_EQ(AsyncPostgresStore::connect_later("hast=x", {loop}, {}).error().code,
            Errc::invalid_argument);
  EXPECT_EQ(AsyncPostgresStore::connect_later("host=x", {}, {}).error().code,
            Errc::invalid_argument);
  PostgresOptions options;
  options.pending_max = 0;
  EXPECT_EQ(AsyncPostgresStore::connect_later("host=x", {loop}, options).error().code,
            Errc::invalid_argument);
}

}  // namespace
}  // namespace websession::testing
