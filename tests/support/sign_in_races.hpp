// What sign_out_everywhere and the limit of sessions promise while others sign in, regenerate and
// renew: the same for every store with a PrincipalIndex.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "hook_store.hpp"
#include "random.hpp"
#include "requests.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {

// Tests of one store. The store outlives it.
class SignInRaces {
 public:
  SignInRaces(std::shared_ptr<SessionStore> store, const SessionOptions& options)
      : hooks_(std::make_shared<HookStore>(store)),
        hooked_(SessionManager::make(hooks_, options).value()),
        direct_(SessionManager::make(std::move(store), options).value()) {}

  // Each of these puts one race into each of its orders.
  void sign_in_against_sign_out();
  void regenerate_against_sign_out();
  void regenerate_keeps_nothing_alive();
  void a_write_does_not_resurrect();
  void the_kept_one_survives();

  // While a list is made, a session of it takes a new id, once at each of its steps.
  void a_list_misses_none_that_moves();
  // The same while a sign-in is held to the limit of one session. Precondition: it is the limit.
  void the_limit_misses_none_that_moves();

  // A session that takes a new id about a thousand times a second ends all the same.
  void one_that_always_moves_ends();

  // And this one lets `threads` sign in, regenerate and renew at random while sign_out_everywhere
  // is called again and again. The clock has to go on, and the grace to be short: replaced ids
  // would pile up.
  void at_random(int threads, int calls);

  // As many sign in at once as there are threads: the limit holds when all have returned.
  void limit_at_once(int threads);

 private:
  using Hook = HookStore::Hook HookStore::*;
  static Session opened(const SessionManager& manager, const SessionId& id) {
    return manager.find(id).value().value();
  }
  static SessionId id_of(const Session& session) { return *session.id(); }
  // A fresh principal for each order, so that they do not meet.
  std::string fresh_principal() { return "ada-" + SessionId::generate().value().secret(); }
  SessionId signed_in(const std::string& principal) {
    Session session = direct_.open({}).value();
    session.sign_in(principal);
    EXPECT_TRUE(direct_.commit(session));
    return id_of(session);
  }
  bool is_there(const SessionId& id) { return direct_.find(id).value().has_value(); }
  std::size_t count(const std::string& principal) {
    return direct_.sessions_of(principal).value().size();
  }
  // Gives the session another id when the hook is reached, `times` times, and `latest` with it.
  void move_at(Hook hook, SessionId& latest, int times) {
    (*hooks_).*hook = [this, hook, &latest, times] {
      if (times > 1) move_at(hook, latest, times - 1);  // hooks work once
      if (!is_there(latest)) return;
      Session session = opened(direct_, latest);
      session.regenerate();
      EXPECT_EQ(direct_.commit(session).value().status, Commit::Status::regenerated);
      latest = id_of(session);
    };
  }

  std::shared_ptr<HookStore> hooks_;
  SessionManager hooked_;
  SessionManager direct_;
};

// A sign-in at any step of a sign_out_everywhere: it ends too, or was written after the call began.
inline void SignInRaces::sign_in_against_sign_out() {
  struct Row {
    const char* when;
    Hook hook;
    bool must_end;
  };
  for (const Row& row : {Row{"before the first list", &HookStore::before_entries, true},
                         Row{"after the first list", &HookStore::after_entries, true},
                         Row{"before the first look", &HookStore::before_load, true},
                         Row{"before the first end", &HookStore::before_erase, true},
                         Row{"before the entries go", &HookStore::before_forget, true}}) {
    const std::string ada = fresh_principal();
    const SessionId old = signed_in(ada);
    std::optional<SessionId> late;
    (*hooks_).*row.hook = [&] { late = signed_in(ada); };
    const std::size_t ended = hooked_.sign_out_everywhere(ada).value();
    ASSERT_TRUE(late) << row.when;
    EXPECT_FALSE(is_there(old)) << row.when;
    EXPECT_EQ(is_there(*late), !row.must_end) << row.when;
    EXPECT_EQ(ended, 2U) << row.when;
    EXPECT_EQ(count(ada), 0U) << row.when;
  }
  // The other way round: everywhere is signed out right before the write, or right after it.
  for (const auto& [hook, survives] : {std::pair<Hook, bool>{&HookStore::before_write, true},
                                       std::pair<Hook, bool>{&HookStore::after_write, false}}) {
    const std::string ada = fresh_principal();
    (*hooks_).*hook = [&] { EXPECT_TRUE(direct_.sign_out_everywhere(ada)); };
    Session session = hooked_.open({}).value();
    session.sign_in(ada);
    ASSERT_TRUE(hooked_.commit(session));
    EXPECT_EQ(is_there(id_of(session)), survives);
    EXPECT_EQ(count(ada), survives ? 1U : 0U) << "what is there is listed, too";
  }
}

// A regenerate is no new sign-in: the session ends, whatever id it has by then.
inline void SignInRaces::regenerate_against_sign_out() {
  for (const Hook hook : {&HookStore::before_entries, &HookStore::after_entries,
                          &HookStore::before_load, &HookStore::before_erase}) {
    const std::string ada = fresh_principal();
    const SessionId old = signed_in(ada);
    Session session = opened(direct_, old);
    (*hooks_).*hook = [&] {
      session.regenerate();
      EXPECT_TRUE(direct_.commit(session));
    };
    ASSERT_TRUE(hooked_.sign_out_everywhere(ada));
    EXPECT_FALSE(is_there(old));
    EXPECT_FALSE(is_there(id_of(session)));
    EXPECT_EQ(count(ada), 0U);
  }
  for (const Hook hook : {&HookStore::before_write, &HookStore::after_write}) {
    const std::string ada = fresh_principal();
    Session session = opened(hooked_, signed_in(ada));
    const SessionId old = id_of(session);
    session.regenerate();
    (*hooks_).*hook = [&] { EXPECT_TRUE(direct_.sign_out_everywhere(ada)); };
    const Commit commit = hooked_.commit(session).value();
    const bool before = hook == &HookStore::before_write;
    EXPECT_EQ(commit.status == Commit::Status::gone, before);
    EXPECT_EQ(!testing::sends_cookie(commit), before) << "no cookie for a session that has ended";
    EXPECT_FALSE(is_there(old));
    if (!before) {
      EXPECT_FALSE(is_there(id_of(session)));
    }
  }
}

// Signing the same principal in again without grace, at each step: the old key is absent at once,
// which must not be taken for the end of the session.
inline void SignInRaces::regenerate_keeps_nothing_alive() {
  for (const Hook hook : {&HookStore::after_entries, &HookStore::before_load,
                          &HookStore::before_erase, &HookStore::before_forget}) {
    const std::string ada = fresh_principal();
    const SessionId old = signed_in(ada);
    const auto placement = hooks_->placement();
    const StoreKey next(
        (placement ? placement->generate_beside(old) : SessionId::generate()).value());
    (*hooks_).*hook = [&] {
      EXPECT_TRUE(hooks_->rekey(StoreKey(old), next, {}, {std::chrono::minutes(1), ada}, {}));
    };
    ASSERT_TRUE(hooked_.sign_out_everywhere(ada));
    for (const StoreKey& key : {StoreKey(old), next}) {
      const auto left = hooks_->load(key).value();
      EXPECT_TRUE(!left || left->is_over());
    }
  }
}

inline void SignInRaces::a_list_misses_none_that_moves() {
  for (const Hook hook : {&HookStore::before_entries, &HookStore::after_entries,
                          &HookStore::before_load, &HookStore::before_forget}) {
    const std::string ada = fresh_principal();
    const SessionId first = signed_in(ada);
    signed_in(ada);
    SessionId latest = first;
    move_at(hook, latest, 2);
    EXPECT_EQ(hooked_.sessions_of(ada).value().size(), 2U);
    (*hooks_).*hook = nullptr;
    EXPECT_EQ(hooked_.sign_out_everywhere(ada).value(), 2U);
  }
}

inline void SignInRaces::the_limit_misses_none_that_moves() {
  for (const Hook hook :
       {&HookStore::after_write, &HookStore::before_entries, &HookStore::after_entries,
        &HookStore::before_load, &HookStore::before_erase}) {
    const std::string ada = fresh_principal();
    SessionId latest = signed_in(ada);
    move_at(hook, latest, 2);
    Session second = hooked_.open({}).value();
    second.sign_in(ada);
    const Result<Commit> commit = hooked_.commit(second);
    (*hooks_).*hook = nullptr;
    const bool signed_in = commit && commit->status == Commit::Status::created;
    EXPECT_EQ(count(ada), 1U) << "the one that moved, or the new one";
    EXPECT_NE(signed_in, is_there(latest)) << "not both";
  }
}

inline void SignInRaces::one_that_always_moves_ends() {
  const std::string ada = fresh_principal();
  Session session = opened(direct_, signed_in(ada));
  std::atomic<int> moves = 0;
  std::atomic<bool> done = false;
  std::thread mover([&] {
    while (!done) {
      session.regenerate();
      const Result<Commit> commit = direct_.commit(session);
      if (!commit || commit->status == Commit::Status::gone) return;
      ++moves;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  while (moves < 20) std::this_thread::yield();
  const Result<std::size_t> ended = direct_.sign_out_everywhere(ada);
  done = true;
  mover.join();
  ASSERT_TRUE(ended) << ended.error().message();
  EXPECT_EQ(*ended, 1U);
  EXPECT_FALSE(is_there(id_of(session))) << "after " << moves << " moves";
  EXPECT_EQ(count(ada), 0U);
}

// P1
inline void SignInRaces::a_write_does_not_resurrect() {
  const std::string ada = fresh_principal();
  const SessionId id = signed_in(ada);
  Session writer = opened(hooked_, id);
  Session counter = opened(hooked_, id);
  writer.set("a", 1);
  hooks_->before_write = [&] { EXPECT_EQ(direct_.sign_out_everywhere(ada).value(), 1U); };
  const Commit commit = hooked_.commit(writer).value();
  EXPECT_EQ(commit.status, Commit::Status::gone);
  EXPECT_FALSE(testing::sends_cookie(commit));
  EXPECT_EQ(counter.increment("n").error().code, Errc::gone);
  EXPECT_FALSE(is_there(id));
  EXPECT_EQ(count(ada), 0U);
}

// The replaced ids of the kept session end, and it goes on.
inline void SignInRaces::the_kept_one_survives() {
  const std::string ada = fresh_principal();
  const SessionId other = signed_in(ada);
  const SessionId old = signed_in(ada);
  Session kept = opened(direct_, old);
  kept.regenerate();
  ASSERT_TRUE(direct_.commit(kept));
  Session stale = opened(direct_, old);
  EXPECT_EQ(direct_.sign_out_everywhere(ada, &stale).error().code, Errc::gone)
      << "a replaced id has nothing to keep";
  EXPECT_TRUE(is_there(other)) << "and nothing was ended";

  std::optional<SessionId> late;
  hooks_->before_erase = [&] { late = signed_in(ada); };
  EXPECT_EQ(hooked_.sign_out_everywhere(ada, &kept).value(), 2U);
  EXPECT_FALSE(is_there(other));
  EXPECT_FALSE(is_there(late.value()));
  EXPECT_FALSE(is_there(old)) << "the frozen id of the kept session";
  EXPECT_TRUE(is_there(id_of(kept)));
  kept.set("a", 1);
  EXPECT_EQ(direct_.commit(kept).value().status, Commit::Status::updated);
  const std::vector<SessionInfo> left = direct_.sessions_of(ada, &kept).value();
  ASSERT_EQ(left.size(), 1U);
  EXPECT_TRUE(left[0].is_current);
}

inline void SignInRaces::at_random(int threads, int calls) {
  const std::string ada = fresh_principal();
  // Sign-ins and calls of sign_out_everywhere are numbered by one counter.
  std::atomic<std::uint64_t> time = 0;
  std::atomic<bool> done = false;
  struct Login {
    SessionId id;
    std::uint64_t returned;  // when the sign-in had
  };
  std::mutex mutex;
  std::vector<Login> logins;
  std::vector<std::uint64_t> seeds;
  Random random;
  for (int i = 0; i < threads; ++i) seeds.push_back(random.bits());

  const auto visitor = [&](std::uint64_t seed) {
    std::mt19937_64 engine(seed);
    std::optional<Login> mine;
    while (!done) {
      std::this_thread::yield();
      Session session = direct_.open({}).value();
      if (mine) {
        // P1 and P10: what has ended stays so.
        auto found = direct_.find(mine->id).value();
        if (!found) mine.reset();
        if (found) session = *std::move(found);
      }
      // Else there would hardly be a moment without sessions.
      if (!mine && engine() % 64 != 0) continue;
      const std::size_t choice = engine() % 4;
      if (!mine) session.sign_in(ada);
      if (mine && choice == 0) session.regenerate();
      if (mine && choice == 1) session.set("a", static_cast<std::int64_t>(engine() >> 1U));
      if (mine && choice == 2) (void)session.increment("n");
      const Result<Commit> commit = direct_.commit(session);
      ASSERT_TRUE(commit) << commit.error().message();
      if (commit->status == Commit::Status::gone) {
        mine.reset();
      } else {
        mine = Login{id_of(session), mine ? mine->returned : ++time};
      }
    }
    if (!mine) return;
    const std::lock_guard lock(mutex);
    logins.push_back(*mine);
  };
  std::vector<std::thread> visitors;
  for (const std::uint64_t seed : seeds) visitors.emplace_back(visitor, seed);

  std::uint64_t last_call = 0;
  for (int i = 0; i < calls;) {
    const std::uint64_t began = ++time;
    const Result<std::size_t> ended = direct_.sign_out_everywhere(ada);
    if (!ended || *ended > 0) ++i;  // the others met nobody
    if (ended) {
      last_call = began;
    } else {
      EXPECT_EQ(ended.error().code, Errc::overloaded) << ended.error().message();
    }
    std::this_thread::yield();
  }
  done = true;
  for (std::thread& thread : visitors) thread.join();

  EXPECT_GT(last_call, 0U) << "no call came to an end";
  std::size_t alive = 0;
  for (const Login& login : logins) {
    if (!is_there(login.id)) continue;
    ++alive;
    EXPECT_GT(login.returned, last_call) << "it had signed in before the call, and survived it";
  }
  EXPECT_EQ(count(ada), alive) << "what is there is listed, and nothing else";
  EXPECT_EQ(direct_.sign_out_everywhere(ada).value(), alive);
  for (const Login& login : logins) EXPECT_FALSE(is_there(login.id));
}

inline void SignInRaces::limit_at_once(int threads) {
  const std::size_t most = direct_.options().max_sessions_per_principal.value();
  const bool refuses = direct_.options().when_too_many == TooManySessions::refuse_new;
  const std::string ada = fresh_principal();
  std::atomic<std::size_t> refused = 0;
  std::vector<std::thread> visitors;
  for (int i = 0; i < threads; ++i) {
    visitors.emplace_back([&] {
      Session session = direct_.open({}).value();
      session.sign_in(ada);
      const Result<Commit> commit = direct_.commit(session);
      if (commit) return;
      EXPECT_EQ(commit.error().code, Errc::too_many_sessions);
      ++refused;
    });
  }
  for (std::thread& thread : visitors) thread.join();
  EXPECT_EQ(count(ada), std::min(most, static_cast<std::size_t>(threads)));
  if (!refuses) {
    EXPECT_EQ(refused, 0U);
  }
}

}  // namespace websession::testing
