// Two requests on one session, in every order of their calls of the store, with every answer that
// the store may give: as plain calls, without a thread. Each run is a list of choices; the next one
// changes the last choice that can be changed, so that all come up.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "asking_flow.hpp"
#include "decisions.hpp"
#include "principal.hpp"
#include "websession/cookie.hpp"
#include "websession/memory_store.hpp"
#include "websession/testing/manual_clock.hpp"

namespace websession::testing {
namespace {

using internal::ContextPtr;
using internal::SessionContext;
using internal::SessionPtr;
using internal::SessionState;
using internal::StoreFlow;
using internal::Task;
using std::chrono::milliseconds;

enum class Deed {
  get,
  set,
  increment,
  consume,
  regenerate,
  sign_in,  // the same principal again
  sign_in_another,
  sign_out,
  invalidate,
  sign_out_and_fail,        // with something that cannot be stored
  regenerate_and_sign_out,  // one after the other, each with a commit
  sign_in_and_sign_out,
  end_all,  // sign_out_everywhere
};
constexpr std::array all_deeds{Deed::get,
                               Deed::set,
                               Deed::increment,
                               Deed::consume,
                               Deed::regenerate,
                               Deed::sign_in,
                               Deed::sign_in_another,
                               Deed::sign_out,
                               Deed::invalidate,
                               Deed::sign_out_and_fail,
                               Deed::regenerate_and_sign_out,
                               Deed::sign_in_and_sign_out,
                               Deed::end_all};
constexpr std::array<const char*, all_deeds.size()> names{"get",
                                                          "set",
                                                          "increment",
                                                          "consume",
                                                          "regenerate",
                                                          "sign_in",
                                                          "sign_in_another",
                                                          "sign_out",
                                                          "invalidate",
                                                          "sign_out_and_fail",
                                                          "regenerate_and_sign_out",
                                                          "sign_in_and_sign_out",
                                                          "sign_out_everywhere"};
std::string_view name_of(Deed deed) { return names.at(static_cast<std::size_t>(deed)); }

// What a request has to tell in the end.
struct Report {
  std::optional<Error> open_failed{};
  bool found = false;  // it opened the session, and not a new one
  std::optional<Result<std::int64_t>> counted{};
  std::optional<Result<bool>> consumed{};
  std::optional<Result<std::size_t>> ended_all{};
  std::vector<Result<Commit>> commits{};

  [[nodiscard]] bool committed() const { return !commits.empty() && commits.back(); }
  [[nodiscard]] Commit::Status status() const { return commits.back()->status; }
  // Whether a write of a commit may have been applied without anybody knowing.
  [[nodiscard]] bool maybe_applied() const {
    return std::any_of(commits.begin(), commits.end(), [](const Result<Commit>& commit) {
      return !commit && commit.error().maybe_applied;
    });
  }
};

// Opens, does the deed, and commits; twice more when that fails.
Task<bool> request(StoreFlow& flow, const ContextPtr& context, const std::string& cookie,
                   const std::string& principal, std::string_view attribute, Deed deed,
                   Report& report) {
  const RequestInfo info{cookie, true};
  auto open = internal::open_session(flow, context, info);
  Result<SessionPtr> opened = co_await open;
  if (!opened) {
    report.open_failed = opened.error();
    co_return false;
  }
  SessionState& state = **opened;
  report.found = state.is_stored();
  switch (deed) {
    case Deed::get:
      static_cast<void>(state.find("a"));
      break;
    case Deed::set:
      state.put(attribute, std::string("new"), std::nullopt);
      break;
    case Deed::increment: {
      auto count = internal::increment_attribute(flow, state, "n", 1);
      report.counted = co_await count;
      break;
    }
    case Deed::consume: {
      Result<std::vector<std::string>> expected = std::vector<std::string>{"t"};
      std::optional<Result<std::string>> removed;
      auto consume = internal::replace_attribute(flow, state, "token", expected, removed);
      report.consumed = co_await consume;
      break;
    }
    case Deed::regenerate:
    case Deed::regenerate_and_sign_out:
      state.regenerate();
      break;
    case Deed::sign_in:
    case Deed::sign_in_and_sign_out:
      state.sign_in(principal, {});
      break;
    case Deed::sign_in_another:
      state.sign_in(principal + "-another", {});
      break;
    case Deed::sign_out:
      state.sign_out();
      break;
    case Deed::invalidate:
      state.invalidate();
      break;
    case Deed::sign_out_and_fail:
      state.sign_out();
      state.put("@reserved", std::string("new"), std::nullopt);
      break;
    case Deed::end_all: {
      auto end = internal::end_all(flow, *context, principal, nullptr);
      report.ended_all = co_await end;
      break;
    }
  }
  for (int tries = 0; tries < 3; ++tries) {
    auto commit = internal::commit_session(flow, state);
    report.commits.push_back(co_await commit);
    const bool goes_on =
        tries == 0 && (deed == Deed::regenerate_and_sign_out || deed == Deed::sign_in_and_sign_out);
    if (goes_on) state.sign_out();
    if (report.commits.back() && !goes_on) break;
  }
  co_return true;
}

// How the store answers a question, and what happens right before.
enum class How {
  as_is,
  timeout,       // it was not carried out
  lost_answer,   // it was, and nobody knows
  ended_before,  // somebody else ends the session first: the answer is `gone`, most often
  taken_before,  // somebody else takes the token first: a consume conflicts
};

struct Choice {
  std::size_t taken = 0;
  std::size_t of = 0;
};

class Interleavings : public ::testing::Test {
 protected:
  Interleavings() {
    SessionOptions options;
    options.clock = clock;
    const auto fresh = std::make_shared<SessionContext>();
    EXPECT_TRUE(internal::set_up(*fresh, options, true));
    context = fresh;
  }

  struct Count {
    std::size_t runs = 0;
    std::size_t calls = 0;
  };

  // All runs of the two; `faults`: of all calls together, so many at most are not answered as they
  // are.
  void run_all(Deed first, Deed second, int faults, Count& count) {
    std::vector<Choice> choices;
    do {
      run(first, second, faults, choices, count);
      ++count.runs;
      while (!choices.empty() && choices.back().taken + 1 == choices.back().of) choices.pop_back();
      if (!choices.empty()) ++choices.back().taken;
    } while (!choices.empty() && !HasFailure());
  }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>(clock);
  ContextPtr context;

 private:
  struct Side {
    Deed deed;
    std::string_view attribute;
    AskingFlow asking{};
    Report report{};
    std::optional<Task<bool>> task{};
    bool is_over = false;
  };

  void run(Deed first, Deed second, int faults, std::vector<Choice>& choices, Count& count) {
    // What earlier runs have left is none of this one's.
    const std::string principal = "p" + std::to_string(++runs_);
    const SessionId id = SessionId::generate().value();
    const Fields before{{created_field, created()},
                        {user_field, principal},
                        {"n", "1"},
                        {"token", "\"t\""},
                        {"a", "old"},
                        {"b", "old"}};
    ASSERT_TRUE(store->create(StoreKey(id), before, {std::chrono::minutes(30), principal}));
    const std::string cookie = context->options.cookie.name + "=" + std::string(id.secret());

    std::array<Side, 2> sides{Side{first, "a"}, Side{second, "b"}};
    std::string trace;
    std::string jar(id.secret());
    std::size_t next_choice = 0;
    const auto choose = [&](std::size_t of) {
      if (next_choice == choices.size()) choices.push_back({0, of});
      return choices[next_choice++].taken;
    };
    const auto look = [&](Side& side) {
      side.is_over = side.task->done();
      if (side.is_over) check_cookie(side.report, jar, trace);
    };
    for (Side& side : sides) {
      side.task.emplace(request(side.asking.flow(), context, cookie, principal, side.attribute,
                                side.deed, side.report));
      static_cast<void>(side.task->await_ready());
      look(side);
    }
    Others others;
    while (!sides[0].is_over || !sides[1].is_over) {
      const bool both = !sides[0].is_over && !sides[1].is_over;
      const std::size_t turn = both ? choose(2) : (sides[0].is_over ? 1 : 0);
      Side& side = sides.at(turn);
      Question question = side.asking.driver().take();
      std::vector<How> ways{How::as_is};
      if (faults > 0) {
        ways.push_back(How::timeout);
        if (question.writes) ways.push_back(How::lost_answer);
        if (!others.ended) ways.push_back(How::ended_before);
        if (!others.taken && side.deed == Deed::consume) ways.push_back(How::taken_before);
      }
      const How how = ways.at(ways.size() > 1 ? choose(ways.size()) : 0);
      if (how != How::as_is) --faults;
      trace += std::string(1, turn == 0 ? 'A' : 'B') + ":" + std::string(to_text(question.verb)) +
               how_text(how) + " ";
      ++count.calls;
      answer(question, how, StoreKey(id), others);
      look(side);
    }
    check(sides[0], sides[1], principal, others, jar, trace);
    sweep_up(principal);
  }

  // What a third one did.
  struct Others {
    bool ended = false;
    bool taken = false;
  };

  static const char* how_text(How how) {
    switch (how) {
      case How::as_is:
        return "";
      case How::timeout:
        return "(timeout)";
      case How::lost_answer:
        return "(lost answer)";
      case How::ended_before:
        return "(ended before)";
      case How::taken_before:
        return "(taken before)";
    }
    return "";
  }

  void answer(const Question& question, How how, const StoreKey& key, Others& others) {
    const Error timeout = make_error(Errc::timeout, "no answer");
    Error lost = timeout;
    lost.maybe_applied = true;
    switch (how) {
      case How::as_is:
        return question.carry_out(*store);
      case How::timeout:
        return question.fail(timeout);
      case How::lost_answer:
        return question.lose_answer(*store, lost);
      case How::ended_before:
        others.ended = true;
        EXPECT_TRUE(store->erase(key, {std::chrono::seconds(10), false}).has_value());
        return question.carry_out(*store);
      case How::taken_before: {
        others.taken = true;
        Changes take;
        take.remove.emplace_back("token");
        EXPECT_TRUE(store->update(key, take, {std::chrono::minutes(30)}));
        return question.carry_out(*store);
      }
    }
  }

  [[nodiscard]] std::string created() const {
    return std::to_string(clock->wall().time_since_epoch().count());
  }

  // A cookie that a browser gets names a session, at the moment at which it gets it. `jar`: what it
  // has from then on.
  void check_cookie(const Report& report, std::string& jar, const std::string& trace) {
    if (!report.committed()) return;
    const Commit& commit = *report.commits.back();
    for (const Header& header : commit.headers) {
      if (header.name != "Set-Cookie") continue;
      const std::string_view value =
          std::string_view(header.value).substr(header.value.find('=') + 1);
      const std::string id(value.substr(0, value.find(';')));
      if (id.empty()) {
        EXPECT_EQ(commit.status, Commit::Status::erased) << trace;
        jar.clear();
        continue;
      }
      jar = id;
      const auto found = store->load(StoreKey(id)).value();
      EXPECT_TRUE(found && !found->frozen) << "the cookie names no session: " << trace;
    }
  }

  std::vector<Record> alive(const std::string& principal) {
    std::vector<Record> records;
    const std::vector<StoreKey> keys = store->entries(principal).value();
    for (const StoreKey& key : keys) {
      std::optional<Record> record = store->load(key).value();
      if (record && !record->is_over()) records.push_back(*std::move(record));
    }
    return records;
  }

  // Whether the end of the principal's session was asked for, and said to have come.
  static bool has_ended(const Side& side) {
    if (side.report.ended_all && side.report.ended_all->has_value()) return true;
    if (!side.report.committed()) return false;
    const Commit::Status status = side.report.status();
    // Who came late has ended a session of its own.
    const Result<Commit>& first = side.report.commits.front();
    if (first && first->status == Commit::Status::created) return false;
    switch (side.deed) {
      case Deed::sign_out:
      case Deed::invalidate:
      case Deed::sign_out_and_fail:
      case Deed::regenerate_and_sign_out:
      case Deed::sign_in_and_sign_out:
        return status == Commit::Status::erased && side.report.found;
      case Deed::sign_in_another:
        return status != Commit::Status::gone && side.report.found;
      default:
        return false;
    }
  }
  // Whether it may have made a session of its own, of the same principal, that nobody has ended.
  static bool stays_signed_in(const Side& side) {
    if (side.deed == Deed::sign_in) return true;
    const bool signed_out =
        side.report.committed() && side.report.status() == Commit::Status::erased;
    return side.deed == Deed::sign_in_and_sign_out && !signed_out;
  }
  // Whether it was asked for at all.
  static bool asks_for_end(const Side& side) {
    return side.deed == Deed::regenerate_and_sign_out || side.deed == Deed::sign_in_and_sign_out ||
           side.deed == Deed::sign_out || side.deed == Deed::invalidate ||
           side.deed == Deed::sign_out_and_fail || side.deed == Deed::sign_in_another ||
           side.deed == Deed::end_all;
  }

  void check(const Side& a, const Side& b, const std::string& principal, const Others& others,
             const std::string& jar, const std::string& trace) {
    const std::string context_text =
        std::string(name_of(a.deed)) + " and " + std::string(name_of(b.deed)) + ": " + trace;
    SCOPED_TRACE(context_text);
    const std::vector<Record> left = alive(principal);
    for (const Record& record : left) {
      EXPECT_GT(record.remaining, milliseconds(0)) << "P3";
      EXPECT_LE(record.remaining, std::chrono::minutes(30)) << "P3";
    }

    // What has ended stays so, but for whoever signs in anew.
    const bool signs_in_anew = stays_signed_in(a) || stays_signed_in(b);
    const bool has_ended_now = has_ended(a) || has_ended(b) || others.ended;
    if (has_ended_now && !signs_in_anew) {
      EXPECT_TRUE(left.empty()) << "a session that was said to have ended lives";
    }
    // And an end that failed is told as such: nothing is left without anybody knowing.
    for (const Side* side : {&a, &b}) {
      const bool logs_out = side->deed == Deed::sign_out || side->deed == Deed::invalidate ||
                            side->deed == Deed::sign_out_and_fail ||
                            side->deed == Deed::regenerate_and_sign_out ||
                            side->deed == Deed::sign_in_and_sign_out;
      const bool made_its_own = !side->report.commits.empty() && side->report.commits.front() &&
                                side->report.commits.front()->status == Commit::Status::created;
      if (logs_out && side->report.found && side->report.committed() && !signs_in_anew &&
          !made_its_own) {
        EXPECT_TRUE(left.empty()) << "a logout that succeeded has left the session";
      }
    }

    // Who was not signed out still has a session, whatever answers were lost on the way.
    const auto is_settled = [](const Side& side) {
      return side.report.open_failed || side.report.committed();
    };
    const bool ended_by_anybody = asks_for_end(a) || asks_for_end(b) || others.ended;
    if (!ended_by_anybody && is_settled(a) && is_settled(b)) {
      const auto mine = store->load(StoreKey(SessionId::parse(jar).value())).value();
      EXPECT_TRUE(mine && !mine->frozen) << "the browser's cookie names no session";
      EXPECT_TRUE(mine && principal_of(mine->fields) == principal) << "nor is anybody signed in";
    }
    // Nor is whoever has just signed in left without one. (A commit that failed may have dropped
    // it.)
    for (const Side* side : {&a, &b}) {
      const bool signs_in = side->deed == Deed::sign_in || side->deed == Deed::sign_in_another;
      if (signs_in && side->report.committed() && side->report.commits.size() == 1) {
        EXPECT_NE(side->report.status(), Commit::Status::gone);
      }
    }
    // Whoever signs in next gets nothing of it.
    for (const Record& record : alive(principal + "-another")) {
      for (const char* name : {"a", "b", "n", "token"}) {
        EXPECT_FALSE(record.fields.contains(name)) << "P7: passed on: " << name;
      }
    }

    // What was acknowledged is there, unless somebody has ended the session.
    const bool may_be_gone = ended_by_anybody;
    const auto holds = [&left](std::string_view name, std::string_view text) {
      return std::any_of(left.begin(), left.end(),
                         [&](const Record& record) { return record.fields.find(name) == text; });
    };
    for (const Side* side : {&a, &b}) {
      if (side->deed != Deed::set) continue;
      const bool acknowledged = side->report.committed() && side->report.found &&
                                side->report.status() != Commit::Status::gone;
      const bool refused = !side->report.commits.empty() && !side->report.committed() &&
                           !side->report.maybe_applied();
      if (acknowledged && !may_be_gone) {
        EXPECT_TRUE(holds(side->attribute, "new")) << "P2: lost";
      }
      if (refused) {
        EXPECT_FALSE(holds(side->attribute, "new")) << "P8: applied";
      }
    }

    // Counted once each.
    std::int64_t least = 1;
    std::int64_t most = 1;
    for (const Side* side : {&a, &b}) {
      const auto& counted = side->report.counted;
      if (!counted || !side->report.found) continue;
      if (*counted) ++least, ++most;
      if (!*counted && counted->error().maybe_applied) ++most;
    }
    for (const Record& record : left) {
      const auto n = record.fields.find("n");
      if (!n) continue;  // of a new session
      EXPECT_LE(parse_integer(*n).value(), most) << "P2: counted twice";
      if (!may_be_gone) {
        EXPECT_GE(parse_integer(*n).value(), least) << "P2: an increment was lost";
      }
    }

    // Taken once.
    const auto took = [](const Side& side) {
      return side.report.consumed && side.report.consumed->has_value() && **side.report.consumed;
    };
    EXPECT_LE(static_cast<int>(took(a)) + static_cast<int>(took(b)), 1) << "P2: taken twice";
    if (took(a) || took(b)) {
      for (const Record& record : left) {
        EXPECT_FALSE(record.fields.contains("token")) << "P2: taken, and there";
      }
    }
    if (!left.empty() && !took(a) && !took(b) && !others.taken && !signs_in_anew) {
      const auto maybe = [](const Side& side) {
        return side.report.consumed && !side.report.consumed->has_value() &&
               side.report.consumed->error().maybe_applied;
      };
      if (!maybe(a) && !maybe(b)) {
        EXPECT_TRUE(holds("token", "\"t\"")) << "P8: nobody has taken it";
      }
    }
  }

  void sweep_up(const std::string& principal) {
    for (const std::string& name : {principal, principal + "-another"}) {
      const std::vector<StoreKey> keys = store->entries(name).value();
      for (const StoreKey& key : keys) static_cast<void>(store->erase(key, {}));
    }
  }

  std::size_t runs_ = 0;
};

// How many calls of a run are not answered as they are. By hand, WEBSESSION_TEST_FAULTS=3 takes a
// few minutes. AddressSanitizer looks for other things, and its build is ten times as slow.
int faults_to_try() {
  if (const char* text = std::getenv("WEBSESSION_TEST_FAULTS")) return std::atoi(text);
#if defined(__SANITIZE_ADDRESS__)
  return 1;
#else
  return 2;
#endif
}

// One test for each deed of the first request, so that what fails has a name.
class InterleavingsOf : public Interleavings, public ::testing::WithParamInterface<Deed> {};

TEST_P(InterleavingsOf, KeepWhatWasPromised) {
  Count count;
  const int faults = faults_to_try();
  for (const Deed second : all_deeds) {
    if (second < GetParam()) continue;  // as the other way round
    run_all(GetParam(), second, faults, count);
    if (HasFailure()) break;
  }
  std::printf("%zu runs, %zu calls of the store\n", count.runs, count.calls);
}

INSTANTIATE_TEST_SUITE_P(AllDeeds, InterleavingsOf, ::testing::ValuesIn(all_deeds),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

}  // namespace
}  // namespace websession::testing
