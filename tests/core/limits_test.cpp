// The limits of a session hold before anything is sent, whichever way something gets into it.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "faulty_memory.hpp"
#include "websession/session_manager.hpp"

namespace websession::testing {
namespace {

using Status = Commit::Status;

constexpr std::size_t bytes_max = 100;
constexpr std::size_t name_max = 10;
constexpr std::size_t attributes_max = 4;

std::string text(std::size_t size) { return std::string(size, 'x'); }

class Limits : public ::testing::Test, protected FaultyMemory {
 protected:
  SessionManager small = manager(bytes_max, attributes_max);
  SessionManager large = manager(100'000, 1000);

  SessionManager manager(std::size_t bytes, std::size_t attributes) {
    SessionOptions options;
    options.clock = clock;
    options.session_bytes_max = bytes;
    options.attributes_max = attributes;
    options.name_bytes_max = name_max;
    return SessionManager::make(store, options).value();
  }
  // A session as another program with other limits may have left it; gives its Cookie header.
  std::string stored(const Fields& fields) {
    return "sid=" + large.create(fields).value().id()->secret();
  }
  Session open(const std::string& cookie) { return small.open({cookie, false}).value(); }

  // The commit fails with the error, and the store hears nothing of it.
  void expect_refused(Session& session, Errc code, const std::string& what) {
    const std::size_t before = store->calls();
    const Result<Commit> commit = small.commit(session);
    ASSERT_FALSE(commit) << what;
    EXPECT_EQ(commit.error().code, code) << what;
    EXPECT_FALSE(commit.error().maybe_applied) << what;
    EXPECT_EQ(store->calls(), before) << what;
  }
  template <class T>
  void expect_refused_at_once(const std::function<Result<T>()>& call, Errc code,
                              const std::string& what) {
    const std::size_t before = store->calls();
    const Result<T> result = call();
    ASSERT_FALSE(result.has_value()) << what;
    EXPECT_EQ(result.error().code, code) << what;
    EXPECT_FALSE(result.error().maybe_applied) << what;
    EXPECT_EQ(store->calls(), before) << what;
  }
};

struct Growth {
  const char* what;
  std::function<void(Session&)> make;
};

// What is too much for a session that is new, one that exists, and one that moves to a new id.
TEST_F(Limits, HoldForEveryCommit) {
  const std::vector<Growth> all = {
      {"one value", [](Session& s) { s.set("v", text(bytes_max)); }},
      {"one value that ends early",
       [](Session& s) { s.set("v", text(bytes_max), std::chrono::seconds(1)); }},
      {"values together",
       [](Session& s) {
         for (const char* name : {"p", "q"}) s.set(name, text(bytes_max / 2));
       }},
      {"names, too",
       [](Session& s) {
         s.set(text(name_max), text(bytes_max - name_max - 3));
         s.set("abc", 1);
       }},
      {"attributes",
       [](Session& s) {
         for (const char* name : {"p", "q", "r", "s", "t"}) s.set(name, 1);
       }},
      {"after a clear",
       [](Session& s) {
         s.clear();
         for (const char* name : {"p", "q"}) s.set(name, text(bytes_max / 2));
       }},
      {"local counters",
       [](Session& s) {
         s.clear();
         for (const char* name : {"p", "q", "r", "s", "t"}) {
           static_cast<void>(s.increment(name).value_or(0));
         }
       }},
      {"a local compare_and_set",
       [](Session& s) {
         s.set("p", 1);
         EXPECT_TRUE(s.compare_and_set("p", 1, text(bytes_max)).value());
       }},
  };
  const std::string cookie = stored({{"v", "1"}});
  for (const Growth& growth : all) {
    Session fresh = open("");
    growth.make(fresh);
    expect_refused(fresh, Errc::too_large, std::string(growth.what) + ", new");
    Session existing = open(cookie);
    growth.make(existing);
    expect_refused(existing, Errc::too_large, std::string(growth.what) + ", existing");
    Session moving = open(cookie);
    growth.make(moving);
    moving.regenerate();
    expect_refused(moving, Errc::too_large, std::string(growth.what) + ", regenerate");
  }
  EXPECT_EQ(memory->size(), 1U);
  Session most = open(cookie);
  most.set("v", text(bytes_max - 1));
  EXPECT_EQ(small.commit(most).value().status, Status::updated) << "the limit itself is allowed";
}

TEST_F(Limits, HoldForSessionsMadeWithoutARequest) {
  const auto create = [this](const Fields& fields) {
    return [this, fields] { return small.create(fields); };
  };
  const std::string long_name = text(name_max + 1);
  const std::string long_value = text(bytes_max);
  const Fields five{{"p", "1"}, {"q", "1"}, {"r", "1"}, {"s", "1"}, {"t", "1"}};
  expect_refused_at_once<Session>(create({{"v", long_value}}), Errc::too_large, "a value");
  expect_refused_at_once<Session>(create(five), Errc::too_large, "attributes");
  expect_refused_at_once<Session>(create({{long_name, "1"}}), Errc::invalid_argument, "a name");
  expect_refused_at_once<Session>(create({{"@user", "1"}}), Errc::invalid_argument, "reserved");
  EXPECT_EQ(memory->size(), 0U);
}

TEST_F(Limits, HoldForDirectOperations) {
  Session session = open(stored({{"n", "9"}, {"v", text(bytes_max - 3)}}));
  const auto count = [&](const char* name, std::int64_t by) {
    return [&session, name, by] { return session.increment(name, by); };
  };
  expect_refused_at_once<std::int64_t>(count("m", 1), Errc::too_large, "a new counter");
  expect_refused_at_once<std::int64_t>(count("n", 1), Errc::too_large,
                                       "a counter with more digits");
  EXPECT_EQ(session.increment("n", -1).value(), 8);
  EXPECT_EQ(session.increment("n", 1).value(), 9);
  expect_refused_at_once<bool>([&] { return session.compare_and_set("n", 9, 10); }, Errc::too_large,
                               "a longer value");
  expect_refused_at_once<bool>([&] { return session.compare_and_set("m", absent, 1); },
                               Errc::too_large, "a new attribute");
  EXPECT_TRUE(session.compare_and_set("n", 9, 7).value());
  EXPECT_TRUE(session.consume("n", 7).value());

  Session many = open(stored({{"p", "1"}, {"q", "1"}, {"r", "1"}, {"s", "1"}}));
  expect_refused_at_once<std::int64_t>([&] { return many.increment("t"); }, Errc::too_large,
                                       "one attribute more");
  const std::string long_name = text(name_max + 1);
  expect_refused_at_once<std::int64_t>([&] { return many.increment(long_name); },
                                       Errc::invalid_argument, "a name");
  expect_refused_at_once<bool>([&] { return many.compare_and_set(long_name, 1, 2); },
                               Errc::invalid_argument, "a name");
  expect_refused_at_once<bool>([&] { return many.consume(long_name, 1); }, Errc::invalid_argument,
                               "a name");
}

TEST_F(Limits, HoldForNamesHoweverTheyAreUsed) {
  const std::string cookie = stored({{"v", "1"}});
  const std::string long_name = text(name_max + 1);
  const std::vector<Growth> all = {
      {"set", [&](Session& s) { s.set(long_name, 1); }},
      {"remove", [&](Session& s) { s.remove(long_name); }},
      {"set, then remove", [&](Session& s) { s.set(long_name, 1), s.remove(long_name); }},
  };
  for (const Growth& bad : all) {
    Session session = open(cookie);
    bad.make(session);
    expect_refused(session, Errc::invalid_argument, bad.what);
  }
}

// What is expected may be a visitor's own text, of any size: it must not travel to the store.
TEST_F(Limits, AnExpectedTextThatNoSessionCanHoldIsNoMatchAndIsNotSent) {
  Session session = open(stored({{"code", "1234"}}));
  const std::size_t before = store->calls();
  const std::string flood = text(10'000'000);
  EXPECT_FALSE(session.consume("code", flood).value());
  EXPECT_FALSE(session.compare_and_set("code", flood, 1).value());
  EXPECT_FALSE(session.consume("code", text(bytes_max - 3)).value()) << "with its name it is more";
  EXPECT_EQ(store->calls(), before);
  EXPECT_FALSE(session.consume("code", text(bytes_max - 4)).value());
  EXPECT_EQ(store->calls(), before + 1) << "this one could be there";
  EXPECT_FALSE(session.compare_and_set("new", flood, 1).value());
  EXPECT_TRUE(session.compare_and_set("new", absent, 1).value()) << "absence has no size";
  EXPECT_TRUE(session.consume("code", "1234").value());
}

TEST_F(Limits, ALargerSessionOfAnotherProgramLoadsAndMayOnlyShrink) {
  const std::string cookie = stored({{"n", "9"}, {"big", text(1000)}, {"other", text(1000)}});
  Session session = open(cookie);
  EXPECT_EQ(session.value("big", "").size(), 1000U);
  session.set("big", text(1001));
  expect_refused(session, Errc::too_large, "growth");
  session = open(cookie);
  session.set("n", 10);
  expect_refused(session, Errc::too_large, "growth by a byte");
  session = open(cookie);
  expect_refused_at_once<std::int64_t>([&] { return session.increment("n"); }, Errc::too_large,
                                       "growth by a digit");
  session = open(cookie);
  session.set("big", text(900));
  session.set("n", 10);
  EXPECT_EQ(small.commit(session).value().status, Status::updated) << "larger than the limit still";
  EXPECT_TRUE(session.compare_and_set("other", text(1000), text(999)).value())
      << "what is there can be expected";
  session.clear();
  session.set("big", text(500));
  EXPECT_EQ(small.commit(session).value().status, Status::updated) << "it is less than before";
}

// What each of many requests may write, all of them together may not: the store holds the bound.
TEST_F(Limits, HoldForManyRequestsTogether) {
  const std::string cookie = stored({});
  std::vector<Session> sessions;
  for (int i = 0; i < 8; ++i) sessions.push_back(open(cookie));
  std::size_t written = 0;
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    sessions[i].set("v" + std::to_string(i), text(bytes_max / 3));
    const Result<Commit> commit = small.commit(sessions[i]);
    if (commit) {
      ++written;
      continue;
    }
    EXPECT_EQ(commit.error().code, Errc::too_large);
    EXPECT_FALSE(commit.error().maybe_applied);
  }
  EXPECT_EQ(written, 2U);

  Session direct = open(cookie);
  Session another = open(cookie);
  EXPECT_TRUE(direct.increment("n1"));
  EXPECT_TRUE(direct.increment("n2"));
  EXPECT_EQ(another.increment("n3").error().code, Errc::too_large) << "four attributes are there";
  EXPECT_EQ(another.compare_and_set("v9", absent, text(10)).error().code, Errc::too_large);
  Session last = open(cookie);
  EXPECT_EQ(last.names().size(), attributes_max);
  last.invalidate();
  EXPECT_EQ(small.commit(last).value().status, Status::erased);
}

// Sealing makes values longer. That is allowed for as many as there are, not as there may be.
TEST_F(Limits, HoldWhenEncrypted) {
  EncryptionOptions encryption;
  encryption.keys = KeyRing::make({std::string(32, 'k')}).value();
  for (const std::size_t most : {1'024U, 4'096U, 65'536U}) {
    SessionOptions options;
    options.clock = clock;
    options.session_bytes_max = most;
    const SessionManager m =
        SessionManager::make(EncryptedStore::make(memory, encryption).value(), options).value();
    Session first = m.create().value();
    std::vector<Session> sessions;
    for (int i = 0; i < 20; ++i) sessions.push_back(m.find(*first.id()).value().value());
    std::size_t taken = 0;
    for (std::size_t i = 0; i < sessions.size(); ++i) {
      sessions[i].set("v" + std::to_string(i), text(most / 2));
      if (m.commit(sessions[i])) ++taken;
    }
    EXPECT_LE(taken, 4U) << most;
    // What fits exactly fits, however many attributes it is.
    Session full = m.create().value();
    for (std::size_t i = 0; i < options.attributes_max; ++i) {
      full.set(std::to_string(1000 + i), text(most / options.attributes_max - 4));
    }
    const auto commit = m.commit(full);
    EXPECT_TRUE(commit) << most << ": " << commit.error().message();
  }
}

TEST_F(Limits, SixteenCookiesOfTheNameAreLookedAt) {
  const std::string cookie = stored({{"v", "1"}});
  std::string flood;
  for (int i = 0; i < 15; ++i) flood += "sid=; other=1; ";
  EXPECT_FALSE(open(flood + cookie).is_new());
  const std::size_t before = store->calls();
  EXPECT_TRUE(open(flood + "sid=; " + cookie).is_new());
  EXPECT_EQ(store->calls(), before);
}

}  // namespace
}  // namespace websession::testing
