// One operation on a session at a time: what would come between is refused, and changes nothing.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "asking_flow.hpp"
#include "decisions.hpp"
#include "faulty_memory.hpp"
#include "hook_store.hpp"
#include "requests.hpp"
#include "websession/csrf.hpp"
#include "websession/flash.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using internal::SessionState;

class OneAtATime : public ::testing::Test, protected FaultyMemory {
 protected:
  OneAtATime() {
    SessionOptions options;
    options.clock = clock;
    const auto fresh = std::make_shared<internal::SessionContext>();
    EXPECT_TRUE(internal::set_up(*fresh, options, true));
    context = fresh;
    const std::string created = std::to_string(clock->wall().time_since_epoch().count());
    EXPECT_TRUE(memory->create(
        StoreKey(id), {{created_field, created}, {user_field, "ada"}, {"a", "old"}, {"n", "1"}},
        {std::chrono::minutes(30), "ada"}));
    state = std::move(internal::session_of(context, id, {memory->load(StoreKey(id)).value(), {}})
                          .value()
                          .session);
  }

  // A commit that waits for the store.
  internal::Task<Result<Commit>> begun_commit() {
    auto commit = internal::commit_session(asking.flow(), *state);
    EXPECT_FALSE(commit.await_ready());
    return commit;
  }
  std::optional<Record> held() { return memory->load(StoreKey(id)).value(); }

  const SessionId id = SessionId::generate().value();
  internal::ContextPtr context;
  std::unique_ptr<SessionState> state;
  AskingFlow asking;
};

TEST_F(OneAtATime, WhatWouldChangeTheSessionIsRefused) {
  using Change = std::function<void(SessionState&)>;
  const std::vector<std::pair<const char*, Change>> changes{
      {"set", [](SessionState& s) { s.put("b", std::string("x"), std::nullopt); }},
      {"remove", [](SessionState& s) { s.remove("a"); }},
      {"clear", [](SessionState& s) { s.clear(); }},
      {"regenerate", [](SessionState& s) { s.regenerate(); }},
      {"sign_in", [](SessionState& s) { s.sign_in("bob", {}); }},
      {"sign_out", [](SessionState& s) { s.sign_out(); }},
      {"invalidate", [](SessionState& s) { s.invalidate(); }},
      {"renew_csrf", [](SessionState& s) { s.renew_csrf(); }},
  };
  for (const auto& [name, change] : changes) {
    SCOPED_TRACE(name);
    state->put("a", std::string("new"), std::nullopt);
    auto commit = begun_commit();
    change(*state);
    EXPECT_EQ(state->find("a"), "new") << "as before";
    EXPECT_FALSE(state->find("b"));
    EXPECT_EQ(state->principal(), "ada");
    EXPECT_EQ(state->life(), SessionState::Life::alive);
    asking.driver().take().carry_out(*memory);
    ASSERT_TRUE(commit.done());
    const Result<Commit> committed = commit.await_resume();
    ASSERT_TRUE(committed) << "what came after it had begun is none of its business";
    EXPECT_EQ(committed->status, Commit::Status::updated);
    EXPECT_EQ(held()->fields.find("a"), "new");
    EXPECT_FALSE(held()->fields.contains("b"));

    // The next one says so.
    auto again = internal::commit_session(asking.flow(), *state);
    ASSERT_TRUE(again.await_ready()) << "it asks for nothing";
    const Result<Commit> refused = again.await_resume();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
    EXPECT_NE(refused.error().detail.find("still running"), std::string::npos);

    // A fresh one for the next change.
    state = std::move(internal::session_of(context, id, {held(), {}}).value().session);
    Changes back;
    back.set.push_back({"a", "old"});
    ASSERT_TRUE(memory->update(StoreKey(id), back, {std::chrono::minutes(30)}));
    state = std::move(internal::session_of(context, id, {held(), {}}).value().session);
  }
}

TEST_F(OneAtATime, AnotherOperationIsRefusedAndChangesNothing) {
  state->put("a", std::string("new"), std::nullopt);
  state->regenerate();
  auto commit = begun_commit();
  const SessionId before = *state->id();

  AskingFlow others;
  auto another = internal::commit_session(others.flow(), *state);
  ASSERT_TRUE(another.await_ready());
  EXPECT_EQ(another.await_resume().error().code, Errc::invalid_argument);
  auto abandon = internal::abandon_session(others.flow(), *state);
  ASSERT_TRUE(abandon.await_ready());
  EXPECT_EQ(abandon.await_resume().error().code, Errc::invalid_argument);
  auto count = internal::increment_attribute(others.flow(), *state, "n", 1);
  ASSERT_TRUE(count.await_ready());
  EXPECT_EQ(count.await_resume().error().code, Errc::invalid_argument);
  Result<std::vector<std::string>> expected = std::vector<std::string>{"old"};
  std::optional<Result<std::string>> removes;
  auto consume = internal::replace_attribute(others.flow(), *state, "a", expected, removes);
  ASSERT_TRUE(consume.await_ready());
  EXPECT_EQ(consume.await_resume().error().code, Errc::invalid_argument);
  auto flashes = internal::take_flashes(others.flow(), *state);
  ASSERT_TRUE(flashes.await_ready());
  EXPECT_EQ(flashes.await_resume().error().code, Errc::invalid_argument);
  auto token = internal::csrf_token(others.flow(), *state);
  ASSERT_TRUE(token.await_ready());
  EXPECT_EQ(token.await_resume().error().code, Errc::invalid_argument);
  EXPECT_FALSE(others.driver().question) << "nothing was asked";
  EXPECT_EQ(*state->id(), before);

  asking.driver().take().carry_out(*memory);
  ASSERT_TRUE(commit.done());
  const Result<Commit> committed = commit.await_resume();
  ASSERT_TRUE(committed);
  EXPECT_EQ(committed->status, Commit::Status::regenerated);
  const auto moved = memory->load(StoreKey(*state->id())).value();
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->fields.find("a"), "new");
  EXPECT_EQ(moved->fields.find("n"), "1");
}

// A direct operation is one as well.
TEST_F(OneAtATime, ACommitWaitsForNoIncrement) {
  auto count = internal::increment_attribute(asking.flow(), *state, "n", 1);
  ASSERT_FALSE(count.await_ready());
  state->put("a", std::string("new"), std::nullopt);
  AskingFlow others;
  EXPECT_FALSE(state->is_idle()) << "a commit must not pass by";
  auto commit = internal::commit_session(others.flow(), *state);
  ASSERT_TRUE(commit.await_ready());
  EXPECT_EQ(commit.await_resume().error().code, Errc::invalid_argument);
  asking.driver().take().carry_out(*memory);
  EXPECT_EQ(count.await_resume().value(), 2);
  EXPECT_EQ(held()->fields.find("a"), "old");
}

// Whoever is called back in the midst of it finds that out, too: an observer, or a store.
TEST(OneAtATimeBlocking, ACallbackThatUsesTheSessionIsTold) {
  const auto memory = std::make_shared<MemoryStore>();
  const auto hooks = std::make_shared<HookStore>(memory);
  const SessionManager m = SessionManager::make(hooks, {}).value();
  Session session = load_session(m, store_session(m));
  session.set("a", 1);
  std::optional<Result<Commit>> inner;
  hooks->before_write = [&] {
    session.set("b", 2);
    add_flash(session, "note", "text");
    inner.emplace(m.commit(session));
    EXPECT_EQ(session.increment("n").error().code, Errc::invalid_argument);
    EXPECT_EQ(csrf_token(session).error().code, Errc::invalid_argument);
  };
  ASSERT_TRUE(m.commit(session));
  ASSERT_TRUE(inner && !*inner);
  EXPECT_EQ(inner->error().code, Errc::invalid_argument);
  EXPECT_EQ(m.commit(session).error().code, Errc::invalid_argument) << "the refused set";
  const Session after = load_session(m, *session.id());
  EXPECT_EQ(after.value("a", 0), 1);
  EXPECT_FALSE(after.contains("b"));
}

// Nor does another manager take the session over meanwhile, which may be the last to keep the first
// one's store.
TEST(OneAtATimeBlocking, AnotherManagerTakesNothingOverMeanwhile) {
  const auto memory = std::make_shared<MemoryStore>();
  auto hooks = std::make_shared<HookStore>(memory);
  HookStore& hook = *hooks;
  std::optional<SessionManager> first = SessionManager::make(std::move(hooks), {}).value();
  const SessionManager second = SessionManager::make(memory, {}).value();
  const SessionId id = store_session(*first);
  Session session = load_session(*first, id);
  first.reset();  // only the session holds it from now on
  hook.before_write = [&] { EXPECT_FALSE(second.commit(session)); };
  EXPECT_EQ(session.increment("n").value(), 1);
  EXPECT_TRUE(second.commit(session));
  Session fresh = load_session(second, id);
  EXPECT_EQ(fresh.value("n", 0), 1);
}

// The session to keep stays the one that it is.
TEST_F(OneAtATime, SignOutEverywhereKeepsNoneThatIsInUse) {
  auto count = internal::increment_attribute(asking.flow(), *state, "n", 1);
  ASSERT_FALSE(count.await_ready());
  AskingFlow others;
  auto end = internal::end_all(others.flow(), *context, "ada", state.get());
  ASSERT_TRUE(end.await_ready());
  EXPECT_EQ(end.await_resume().error().code, Errc::invalid_argument);
  asking.driver().take().carry_out(*memory);
  EXPECT_EQ(count.await_resume().value(), 2);

  auto alone = internal::end_all(others.flow(), *context, "ada", state.get());
  ASSERT_FALSE(alone.await_ready());
  state->sign_out();  // refused: it is in use now
  while (others.driver().question) others.driver().take().carry_out(*memory);
  ASSERT_TRUE(alone.done());
  EXPECT_EQ(alone.await_resume().value(), 0U);
  EXPECT_TRUE(held() && !held()->frozen);
}

}  // namespace
}  // namespace websession::testing
