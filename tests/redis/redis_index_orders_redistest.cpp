// On a Cluster a session and its entry in the index of its principal are written one after the
// other. Two processes, in every order of their commands: whoever ends all sessions misses none.
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "patient.hpp"
#include "place_connector.hpp"
#include "redis_cluster.hpp"
#include "redis_store_impl.hpp"
#include "requests.hpp"
#include "scripts.hpp"
#include "slots.hpp"
#include "websession/key_placement.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using std::chrono::milliseconds;

// Lets one process at a time send one command, and waits until it asks for the next one or is done.
class Turns {
 public:
  struct Step {
    std::size_t process;
    std::string command;
  };

  // `operations`: of the processes, each run by a thread. `order`: whose turn it is; a process that
  // is done passes, and who is left at the end goes on alone. Gives what was sent.
  std::vector<Step> run(const std::vector<std::function<void()>>& operations,
                        const std::vector<std::size_t>& order) {
    steps_.clear();
    states_.assign(operations.size(), State::runs);
    is_on_ = true;
    std::vector<std::thread> threads;
    for (std::size_t process = 0; process < operations.size(); ++process) {
      threads.emplace_back([&, process] {
        operations[process]();
        set(process, State::done);
      });
    }
    for (std::size_t process = 0; process < operations.size(); ++process) settle(process);
    for (const std::size_t process : order) grant(process);
    for (std::size_t process = 0; process < operations.size(); ++process) {
      while (grant(process)) {
      }
    }
    for (std::thread& thread : threads) thread.join();
    is_on_ = false;
    return steps_;
  }
  // By a process that is about to send something.
  void wait_for_turn(std::size_t process, std::string_view command) {
    std::unique_lock lock(mutex_);
    if (!is_on_) return;
    states_[process] = State::waits;
    changed_.notify_all();
    changed_.wait(lock, [&] { return states_[process] == State::runs; });
    steps_.push_back({process, std::string(command)});
    if (on_turn_) on_turn_(process);
  }
  // What is called before each command.
  void on_turn(std::function<void(std::size_t)> call) {
    const std::lock_guard lock(mutex_);
    on_turn_ = std::move(call);
  }

 private:
  enum class State { runs, waits, done };
  void set(std::size_t process, State state) {
    const std::lock_guard lock(mutex_);
    states_[process] = state;
    changed_.notify_all();
  }
  void settle(std::size_t process) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return states_[process] != State::runs; });
  }
  // False: it is done.
  bool grant(std::size_t process) {
    {
      const std::lock_guard lock(mutex_);
      if (states_[process] == State::done) return false;
    }
    set(process, State::runs);
    settle(process);
    return true;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<State> states_;
  std::vector<Step> steps_;
  std::function<void(std::size_t)> on_turn_{};
  bool is_on_ = false;
};

class TurnTransport final : public redis::Transport {
 public:
  TurnTransport(std::unique_ptr<redis::Transport> inner, Turns& turns, std::size_t process)
      : inner_(std::move(inner)), turns_(turns), process_(process) {}
  Result<std::size_t> write_some(std::string_view bytes, SteadyTime deadline) override {
    turns_.wait_for_turn(process_, bytes);
    return inner_->write_some(bytes, deadline);
  }
  Result<std::size_t> read_some(std::span<char> buffer, SteadyTime deadline) override {
    return inner_->read_some(buffer, deadline);
  }
  Result<std::size_t> read_ready(std::span<char> buffer) override {
    return inner_->read_ready(buffer);
  }
  [[nodiscard]] bool is_stale() const noexcept override { return inner_->is_stale(); }
  [[nodiscard]] bool has_ended() const noexcept override { return inner_->has_ended(); }
  void shut_down() noexcept override { inner_->shut_down(); }
  void disown() noexcept override { inner_->disown(); }

 private:
  std::unique_ptr<redis::Transport> inner_;
  Turns& turns_;
  const std::size_t process_;
};

class TurnConnector final : public redis::Connector {
 public:
  TurnConnector(const redis::Place& place, Turns& turns, std::size_t process)
      : inner_(redis::make_place_connector(place, nullptr)), turns_(turns), process_(process) {}
  Result<std::unique_ptr<redis::Transport>> connect(SteadyTime deadline) override {
    auto made = inner_->connect(deadline);
    if (!made) return made;
    return std::unique_ptr<redis::Transport>(
        std::make_unique<TurnTransport>(*std::move(made), turns_, process_));
  }

 private:
  std::unique_ptr<redis::Connector> inner_;
  Turns& turns_;
  const std::size_t process_;
};

class RedisIndexOrders : public ::testing::Test {
 protected:
  // Two processes: the first one signs in, or moves; the second one ends all, or looks.
  RedisIndexOrders() {
    for (std::size_t process = 0; process < 2; ++process) {
      const RedisOptions options = patient();
      redis::Endpoint endpoint = redis::hash_endpoint(cluster.url(), options).value();
      redis::Servers servers(endpoint.url.places, [this, process](const redis::Place& place) {
        return std::make_shared<TurnConnector>(place, turns, process);
      });
      stores.push_back(redis::make_store(std::move(servers), endpoint.login, options));
      managers.push_back(SessionManager::make(stores.back()).value());
      // Connected, and the slots are known.
      EXPECT_TRUE(stores.back()->load(StoreKey("nobody's")).has_value());
    }
  }

  [[nodiscard]] bool is_alive(const SessionId& id) {
    const auto record = stores[0]->load(StoreKey(id)).value();
    return record && !record->frozen;
  }
  [[nodiscard]] bool is_listed(const SessionId& id) {
    const auto keys = stores[0]->entries(principal).value();
    return std::find(keys.begin(), keys.end(), StoreKey(id)) != keys.end();
  }
  // Runs all orders of two operations, of which the first takes up to `most` commands.
  // `prepare()` is called before each, `check(steps)` after.
  void in_all_orders(std::size_t most, const std::function<void()>& prepare,
                     const std::function<void()>& first, const std::function<void()>& second,
                     const std::function<void(const std::vector<Turns::Step>&)>& check) {
    // So many commands of the second one come before each of the first one.
    std::vector<std::size_t> before(most, 0);
    std::size_t orders = 0;
    std::size_t longest = 0;
    const std::function<void(std::size_t, std::size_t)> each = [&](std::size_t i, std::size_t sum) {
      if (i == most) {
        prepare();
        std::vector<std::size_t> order;
        for (const std::size_t seconds : before) {
          order.insert(order.end(), seconds, 1);
          order.push_back(0);
        }
        const auto steps = turns.run({first, second}, order);
        std::size_t of_second = 0;
        for (const Turns::Step& step : steps) of_second += step.process;
        longest = std::max(longest, of_second);
        ++orders;
        check(steps);
        return;
      }
      // Beyond what it has ever sent, there is nothing new.
      for (before[i] = 0; sum + before[i] <= longest + 1; ++before[i]) {
        each(i + 1, sum + before[i]);
        if (HasFatalFailure()) return;
      }
      before[i] = 0;
    };
    each(0, 0);
    EXPECT_GT(orders, 20U);
  }
  static bool lists(const Turns::Step& step) {
    return step.process == 1 && step.command.find("ZRANGE") != std::string::npos;
  }
  // Whether the first process has begun before the second one has seen the last of the index.
  static bool was_seen(const std::vector<Turns::Step>& steps) {
    bool has_begun = false;
    bool seen = false;
    for (const Turns::Step& step : steps) {
      has_begun = has_begun || step.process == 0;
      seen = seen || (has_begun && lists(step));
    }
    return seen;
  }
  void new_principal() { principal = "ada" + std::to_string(++principals); }
  Session signed_in() {
    Session session = managers[0].open({}).value();
    session.sign_in(principal);
    EXPECT_TRUE(managers[0].commit(session));
    return session;
  }

  RedisCluster cluster{1};
  Turns turns;
  std::vector<std::shared_ptr<RedisStore>> stores;
  std::vector<SessionManager> managers;
  std::string principal;
  int principals = 0;
};

TEST_F(RedisIndexOrders, AFirstSignInEndsOrCameLater) {
  std::optional<Result<Commit>> commit;
  std::optional<Session> session;
  in_all_orders(
      3,
      [&] {
        new_principal();
        session.emplace(managers[0].open({}).value());
        session->sign_in(principal);
      },
      [&] { commit.emplace(managers[0].commit(*session)); },
      [&] { EXPECT_TRUE(managers[1].sign_out_everywhere(principal)); },
      [&](const std::vector<Turns::Step>& steps) {
        ASSERT_TRUE(*commit) << commit->error().message();
        if ((*commit)->status == Commit::Status::gone) {
          EXPECT_TRUE(was_seen(steps));
          return;
        }
        const bool alive = is_alive(*session->id());
        EXPECT_EQ(alive, !was_seen(steps));
        if (alive) {
          EXPECT_TRUE(is_listed(*session->id()));
        }
        EXPECT_EQ(managers[1].sign_out_everywhere(principal).value(), alive ? 1U : 0U);
        EXPECT_FALSE(is_alive(*session->id()));
      });
}

// By somebody who was there before.
TEST_F(RedisIndexOrders, ASignInOfAVisitorEndsOrCameLater) {
  std::optional<Session> session;
  in_all_orders(
      4,
      [&] {
        new_principal();
        session.emplace(managers[0].open({}).value());
        session->set("cart", 1);
        ASSERT_TRUE(managers[0].commit(*session));
        session->sign_in(principal);
      },
      [&] { ASSERT_TRUE(managers[0].commit(*session)); },
      [&] { EXPECT_TRUE(managers[1].sign_out_everywhere(principal)); },
      [&](const std::vector<Turns::Step>&) {
        if (session->id() == nullptr) return;
        if (is_alive(*session->id()) && session->principal() == principal) {
          EXPECT_TRUE(is_listed(*session->id()));
        }
        EXPECT_TRUE(managers[1].sign_out_everywhere(principal));
        const auto found = managers[1].find(*session->id()).value();
        EXPECT_TRUE(!found || found->principal() != principal);
      });
}

TEST_F(RedisIndexOrders, ARegenerateIsNoWayOut) {
  std::optional<Session> session;
  std::vector<SessionId> ids;
  in_all_orders(
      3,
      [&] {
        new_principal();
        session.emplace(signed_in());
        ids = {*session->id()};
        session->regenerate();
      },
      [&] {
        ASSERT_TRUE(managers[0].commit(*session));
        if (session->id() != nullptr) ids.push_back(*session->id());
      },
      [&] { EXPECT_EQ(managers[1].sign_out_everywhere(principal).value(), 1U); },
      [&](const std::vector<Turns::Step>&) {
        for (const SessionId& id : ids) EXPECT_FALSE(is_alive(id));
      });
}

// Its entry is raised before it.
TEST_F(RedisIndexOrders, ARenewalIsNoWayOut) {
  std::optional<Session> session;
  SessionId id = SessionId::generate().value();
  in_all_orders(
      2,
      [&] {
        new_principal();
        session.emplace(signed_in());
        id = *session->id();
      },
      [&] {
        const Lifetime longer{std::chrono::hours(2), principal};
        EXPECT_TRUE(stores[0]->update(StoreKey(id), {}, longer));
      },
      [&] { EXPECT_EQ(managers[1].sign_out_everywhere(principal).value(), 1U); },
      [&](const std::vector<Turns::Step>&) { EXPECT_FALSE(is_alive(id)); });
}

// Who only looks hides nothing from those who end, and ends nothing.
TEST_F(RedisIndexOrders, LookingEndsNothing) {
  std::optional<Session> session;
  in_all_orders(
      3,
      [&] {
        new_principal();
        session.emplace(managers[0].open({}).value());
        session->sign_in(principal);
      },
      [&] {
        const auto commit = managers[0].commit(*session);
        ASSERT_TRUE(commit);
        EXPECT_EQ(commit->status, Commit::Status::created);
      },
      [&] { EXPECT_TRUE(managers[1].sessions_of(principal)); },
      [&](const std::vector<Turns::Step>&) {
        EXPECT_TRUE(is_alive(*session->id()));
        EXPECT_TRUE(is_listed(*session->id()));
      });
}

// The time in which a session may be made passes, at any moment, while others end all or look: what
// they have seen is from before, and drops no entry of a session that is there by now.
TEST_F(RedisIndexOrders, WhatWasSeenLongAgoDropsNothing) {
  RedisProbe probe(cluster.node(0));
  std::optional<Session> session;
  std::size_t passes_before = 0;  // so many commands of the second one
  for (const bool ends : {true, false}) {
    for (passes_before = 0; passes_before < 8; ++passes_before) {
      std::size_t commands = 0;
      std::size_t written = 0;
      const auto second = [&] {
        turns.on_turn([&](std::size_t process) {
          if (process == 0) ++written;
          // By then it was made, or is too late.
          const bool is_time = process == 1 && commands++ >= passes_before && written == 2;
          if (!is_time) return;
          for (const std::string& member :
               probe.list({"ZRANGE", "sid_user:" + principal, "0", "-1"})) {
            if (!member.ends_with('?')) continue;
            probe.integer({"ZADD", "sid_user:" + principal, "XX", "1", member});
          }
        });
        if (ends) {
          EXPECT_TRUE(managers[1].sign_out_everywhere(principal));
        } else {
          EXPECT_TRUE(managers[1].sessions_of(principal));
        }
        turns.on_turn({});
      };
      in_all_orders(
          2,
          [&] {
            new_principal();
            commands = written = 0;
            session.emplace(managers[0].open({}).value());
            session->sign_in(principal);
          },
          [&] { ASSERT_TRUE(managers[0].commit(*session)); }, second,
          [&](const std::vector<Turns::Step>&) {
            if (session->id() != nullptr && is_alive(*session->id())) {
              EXPECT_TRUE(is_listed(*session->id())) << passes_before;
            }
          });
    }
  }
}

// Two who move a session to the same key, as those do who move it to its hashed one: one of them
// fails before it has done anything.
TEST_F(RedisIndexOrders, AMoveThatFailsDropsNoEntry) {
  new_principal();
  Session session = signed_in();
  const StoreKey from(*session.id());
  const StoreKey to(stores[0]->placement()->generate_beside(*session.id()).value());
  const Lifetime life{milliseconds(60'000), principal};
  ASSERT_TRUE(stores[0]->rekey(from, to, {}, life, {}));
  Changes impossible;
  impossible.expect.push_back({"no such thing", {"x"}});
  const auto failed = stores[1]->rekey(to, from, impossible, life, {});
  EXPECT_TRUE(!failed || failed->status != Outcome::Status::applied);
  const auto again = stores[1]->rekey(from, to, impossible, life, {});
  const auto keys = stores[0]->entries(principal).value();
  EXPECT_NE(std::find(keys.begin(), keys.end(), to), keys.end());
  EXPECT_EQ(managers[1].sign_out_everywhere(principal).value(), 1U);
}

// A rekey never shortens a life, however little is known of it.
TEST_F(RedisIndexOrders, AMoveKeepsALongerLife) {
  new_principal();
  Session session = signed_in();
  const StoreKey from(*session.id());
  const StoreKey to(stores[0]->placement()->generate_beside(*session.id()).value());
  RedisProbe probe(cluster.node(0));
  ASSERT_TRUE(stores[0]->update(from, {}, {milliseconds(7'200'000), principal}));
  ASSERT_TRUE(stores[0]->rekey(from, to, {}, {milliseconds(1000), principal}, {}));
  EXPECT_GT(probe.integer({"PTTL", "sid_" + to.secret()}), 7'000'000);
  Changes general;
  general.expect.push_back({"none", {}});
  ASSERT_TRUE(stores[0]->update(to, general, {milliseconds(1000), principal}));
  EXPECT_GT(probe.integer({"PTTL", "sid_" + to.secret()}), 7'000'000);
  const double score =
      std::stod(probe.text({"ZSCORE", "sid_user:" + principal, "sid_" + to.secret()}));
  const RedisProbe::Words time = probe.list({"TIME"});
  EXPECT_GT(score, std::stod(time[0]) * 1000 + 7'000'000);
}

// A logout races one of all.
TEST_F(RedisIndexOrders, ALogoutLeavesNothing) {
  std::optional<Session> session;
  SessionId id = SessionId::generate().value();
  in_all_orders(
      3,
      [&] {
        new_principal();
        session.emplace(signed_in());
        id = *session->id();
        session->invalidate();
      },
      [&] { EXPECT_TRUE(managers[0].commit(*session)); },
      [&] { EXPECT_TRUE(managers[1].sign_out_everywhere(principal)); },
      [&](const std::vector<Turns::Step>&) {
        EXPECT_FALSE(is_alive(id));
        EXPECT_TRUE(stores[0]->entries(principal).value().empty());
      });
}

// What lay at a server that stood still does nothing when it comes too late.
TEST_F(RedisIndexOrders, AWriteThatComesTooLateDoesNothing) {
  RedisProbe probe(cluster.node(0));
  const RedisProbe::Words time = probe.list({"TIME"});
  const std::int64_t now = std::stoll(time[0]) * 1000;
  const redis::Scripts& all = redis::scripts(true);
  const std::string past = std::to_string(now - 1000);
  const std::string future = std::to_string(now + 60'000);
  const auto create = [&](const std::string& key, const std::string& latest) {
    return probe.text(
        {"EVAL", all.create.source(), "1", key, "5000", "@created", "1", "9000", latest});
  };
  EXPECT_TRUE(create("sid_x", past).starts_with("TOOLATE"));
  EXPECT_EQ(probe.integer({"EXISTS", "sid_x"}), 0);
  EXPECT_EQ(create("sid_x", future), "1");
  EXPECT_EQ(create("sid_x", future), "0");
  EXPECT_TRUE(probe
                  .text({"EVAL", all.set.source(), "1", "sid_x", "9000", "9000",
                         std::to_string(now), "0", "0", "0", "0", "a", "b", "9000", past})
                  .starts_with("TOOLATE"));
  EXPECT_EQ(probe.integer({"HLEN", "sid_x"}), 1);
}

TEST_F(RedisIndexOrders, WhatIsBarredIsNeverMade) {
  RedisProbe probe(cluster.node(0));
  const redis::Scripts& all = redis::scripts(true);
  const std::int64_t now = std::stoll(probe.list({"TIME"})[0]) * 1000;
  const auto bar = [&](const std::string& key) {
    return probe.integer({"EVAL", all.bar.source(), "1", key, std::to_string(now + 30'000), "ada"});
  };
  EXPECT_EQ(bar("sid_x"), 1);
  EXPECT_GT(probe.integer({"PTTL", "sid_x"}), 28'000);
  EXPECT_TRUE(probe.text({"GET", "sid_x"}).starts_with("@over 1 "));
  EXPECT_EQ(bar("sid_x"), 1) << "twice is as once";
  const StoreKey barred("x");
  const Result<void> created = stores[0]->create(barred, {{"@created", "1"}}, {milliseconds(5000)});
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Errc::gone) << created.error().message();
  EXPECT_FALSE(created.error().maybe_applied);
  const auto seen = stores[0]->load(barred).value();
  ASSERT_TRUE(seen);
  EXPECT_TRUE(seen->is_over());
  EXPECT_EQ(probe.integer({"HSET", "sid_y", "@created", "1"}), 1);
  EXPECT_EQ(bar("sid_y"), 2) << "somebody else's session is there";
  EXPECT_EQ(probe.integer({"HSET", "sid_y", "@user", "ada"}), 1);
  EXPECT_EQ(bar("sid_y"), 0) << "a session is there";
  EXPECT_EQ(probe.text({"TYPE", "sid_y"}), "hash");
}

}  // namespace
}  // namespace websession::testing
