// What is Boost.Beast's own; the rest is in adapter_cases_test.cpp.
#include "websession/adapters/beast.hpp"

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "held_store.hpp"
#include "websession/async/stores.hpp"
#include "websession/memory_store.hpp"

namespace websession::testing {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using adapters::beast::Request;
using adapters::beast::Response;
using adapters::beast::with_session;
using asio::awaitable;
using asio::use_awaitable;

// Completion tokens, on a context that the test runs by hand.
class AsioTokens : public ::testing::Test {
 protected:
  asio::io_context context{1};
  const std::shared_ptr<Reactor> loop = asio_reactor_of_one_thread(context);
  const std::shared_ptr<MemoryStore> memory = std::make_shared<MemoryStore>();
  const AsyncSessionManager manager =
      AsyncSessionManager::make(immediate(memory, {loop}).value()).value();
};

TEST_F(AsioTokens, AFunctionIsCalledOnceAndNeverInside) {
  int called = 0;
  async_run(manager.create(), [&](Result<AsyncSession> session) {
    EXPECT_TRUE(session);
    ++called;
  });
  EXPECT_EQ(called, 0);
  context.run();
  EXPECT_EQ(called, 1);
}

TEST_F(AsioTokens, AnAwaitableGivesTheResult) {
  bool done = false;
  co_spawn(
      context,
      [&]() -> awaitable<void> {
        const Result<AsyncSession> session = co_await async_run(manager.create(), use_awaitable);
        EXPECT_EQ(memory->size(), 1U);
        const Result<bool> erased =
            co_await async_run(manager.erase(*session->id()), use_awaitable);
        EXPECT_TRUE(erased.value());
        done = true;
      },
      asio::detached);
  context.run();
  EXPECT_TRUE(done);
}

TEST_F(AsioTokens, AFutureIsGivenItOnAnotherThread) {
  std::future<Result<AsyncSession>> session = async_run(manager.create(), asio::use_future);
  std::thread thread([&] { context.run(); });
  EXPECT_TRUE(session.get());
  thread.join();
}

TEST_F(AsioTokens, ADeferredOneBeginsWhenItIsAskedTo) {
  auto deferred = async_run(manager.create(), asio::deferred);
  context.run();
  EXPECT_EQ(memory->size(), 0U);
  int called = 0;
  std::move(deferred)([&](const Result<AsyncSession>& session) {
    EXPECT_TRUE(session);
    ++called;
  });
  context.restart();
  context.run();
  EXPECT_EQ(called, 1);
}

// Where the handler belongs, whatever loop the store has.
TEST_F(AsioTokens, CompletesOnTheHandlersExecutor) {
  asio::io_context other{1};
  std::optional<std::thread::id> told;
  async_run(manager.create(), asio::bind_executor(other, [&](const Result<AsyncSession>&) {
              told = std::this_thread::get_id();
            }));
  std::thread thread([&] { context.run(); });
  const std::thread::id here = std::this_thread::get_id();
  other.run();  // it has work for as long as the operation runs
  thread.join();
  EXPECT_EQ(told, here);
}

TEST_F(AsioTokens, ABodyOfAHooksOwnHasItsLengthAndOneForAHeadIsNotSent) {
  adapters::beast::Options options;
  options.on_gone = [](const Request&, Response& res) { res.body() = std::string(67, 'x'); };
  const auto serve = [&](http::verb method, const std::string& cookie, auto handler) {
    const auto page = with_session(manager, handler, options);
    Request req(method, "/", 11);
    if (!cookie.empty()) req.set(http::field::cookie, cookie);
    Response res;
    co_spawn(context, page(req, res), asio::detached);
    context.restart();
    context.run();
    return res;
  };
  const auto sets = [](const Request&, Response& res, AsyncSession session) -> awaitable<void> {
    session.set("a", session.value("a", 0) + 1);
    res.body() = "ok";
    res.prepare_payload();
    co_return;
  };
  const std::string line(serve(http::verb::get, "", sets)[http::field::set_cookie]);
  const std::string cookie = line.substr(0, line.find(';'));
  const auto ends = [&](const Request& req, Response& res, AsyncSession session) {
    EXPECT_TRUE(SessionManager::make(memory).value().erase(*session.id()).value());
    return sets(req, res, session);
  };
  const Response gone = serve(http::verb::get, cookie, ends);
  EXPECT_EQ(gone.body().size(), 67U);
  EXPECT_EQ(gone[http::field::content_length], "67");
  const auto fails = [](const Request&, Response&, AsyncSession) -> awaitable<void> {
    throw Exception(make_error(Errc::timeout, "late"));
    co_return;
  };
  const Response head = serve(http::verb::head, "", fails);
  EXPECT_EQ(head.result_int(), 503U);
  EXPECT_EQ(head.body(), "");
  EXPECT_NE(head[http::field::content_length], "0");
}

// A message does not tell, so the server says so.
TEST_F(AsioTokens, HttpsOfTheServerItselfMakesTheCookieSecure) {
  for (const bool https : {true, false}) {
    adapters::beast::Options options;
    options.https = https;
    const auto page = with_session(
        manager,
        [](const Request&, Response&, AsyncSession session) -> awaitable<void> {
          session.set("a", 1);
          co_return;
        },
        options);
    const Request req(http::verb::get, "/", 11);
    Response res;
    co_spawn(context, page(req, res), asio::detached);
    context.restart();
    context.run();
    const std::string line(res[http::field::set_cookie]);
    EXPECT_EQ(line.find("; Secure") != std::string::npos, https) << line;
  }
}

TEST_F(AsioTokens, AContextThatEndsDropsWhatWaits) {
  const auto held = std::make_shared<int>(0);
  {
    asio::io_context mine{1};
    const auto its = asio_reactor_of_one_thread(mine);
    const auto on_it = AsyncSessionManager::make(immediate(memory, {its}).value()).value();
    async_run(on_it.create(), [held, on_it](const Result<AsyncSession>&) { ++*held; });
    co_spawn(
        mine,
        [held, on_it]() -> awaitable<void> {
          const auto session = co_await async_run(on_it.create(), use_awaitable);
          ++*held;
        },
        asio::detached);
    mine.run_one();
  }
  EXPECT_EQ(held.use_count(), 1);
}

// One request of a visitor who has a session, on a store that answers when the test says so.
class Visit {
 public:
  template <class Handler>
  explicit Visit(Handler handler) {
    Session session = blocking.create({{"a", "1"}}).value();
    old = *session.id();
    const auto page = with_session(*manager, std::move(handler));
    co_spawn(
        *context,
        [this, page, known = kept]() -> awaitable<void> {
          Request req(http::verb::get, "/", 11);
          req.set(http::field::cookie, "sid=" + old->secret());
          Response res;
          co_await page(req, res);
          response = res;
        },
        asio::bind_cancellation_slot(signal.slot(), [this](std::exception_ptr failure) {
          has_ended = true;
          has_thrown = failure != nullptr;
        }));
    run();
  }
  void run() const {
    context->restart();
    context->poll();
  }
  // Answers the call that waits. False: there is none.
  bool answer() const {
    if (store->held.empty()) return false;
    store->answer();
    run();
    return true;
  }
  void cancel() {
    signal.emit(asio::cancellation_type::terminal);
    run();
  }
  // All of a sign-in, or nothing of it.
  [[nodiscard]] bool is_signed_in() const {
    const auto entries = memory->index()->entries("ada").value();
    const auto before = blocking.find(*old).value();
    if (entries.empty()) {
      EXPECT_TRUE(before.has_value()) << "the old session was ended for nothing";
      if (before) {
        EXPECT_EQ(before->value("a", 0), 1);
        EXPECT_EQ(before->principal(), std::nullopt);
      }
      return false;
    }
    EXPECT_EQ(entries.size(), 1U);
    EXPECT_FALSE(before.has_value()) << "the id from before the sign-in is of use still";
    return true;
  }

  std::unique_ptr<asio::io_context> context = std::make_unique<asio::io_context>(1);
  const std::shared_ptr<Reactor> loop = asio_reactor_of_one_thread(*context);
  const std::shared_ptr<MemoryStore> memory = std::make_shared<MemoryStore>();
  std::shared_ptr<HeldStore> store =
      std::make_shared<HeldStore>(memory, AsyncSessionStore::Reactors{loop});
  std::optional<AsyncSessionManager> manager = AsyncSessionManager::make(store).value();
  const SessionManager blocking = SessionManager::make(memory).value();
  // As a store does whose loop ends: it drops what it holds.
  std::shared_ptr<void> at_end{nullptr, [held = store](void*) { held->held.clear(); }};
  const std::unique_ptr<Timer> dropped_at_end = loop->timer([kept = std::move(at_end)] {});
  asio::cancellation_signal signal{};
  std::optional<SessionId> old{};
  Response response{};
  bool has_ended = false;
  bool has_thrown = false;
  std::shared_ptr<int> kept = std::make_shared<int>(0);  // the coroutine has it, too
};

awaitable<void> sign_in(const Request&, Response& res, AsyncSession session) {
  const Result<std::int64_t> count = co_await async_run(session.increment("count"), use_awaitable);
  session.set("a", 2);
  session.sign_in("ada");
  res.body() = std::to_string(count.value());
  res.prepare_payload();
}
awaitable<void> sign_out(const Request&, Response&, AsyncSession session) {
  session.sign_out();
  const Result<std::int64_t> count = co_await async_run(session.increment("count"), use_awaitable);
  static_cast<void>(count.value());
}

constexpr int calls_at_most = 8;

TEST(BeastCancellation, AClientThatGoesAwayAtAnyAwaitLeavesNoSignInHalfMade) {
  int signed_in = 0;
  for (int answers = 0; answers <= calls_at_most; ++answers) {
    SCOPED_TRACE(answers);
    Visit visit(sign_in);
    for (int i = 0; i < answers; ++i) visit.answer();
    const bool was_over = visit.has_ended;
    visit.cancel();
    while (visit.answer()) {
    }
    EXPECT_TRUE(visit.has_ended);
    if (visit.is_signed_in()) ++signed_in;
    if (answers == 0) {
      EXPECT_FALSE(visit.is_signed_in()) << "stopped while the session was opened";
    }
    if (was_over) {
      EXPECT_FALSE(visit.has_thrown);
      EXPECT_EQ(visit.response.body(), "1");
    }
    EXPECT_EQ(visit.kept.use_count(), 1);
  }
  EXPECT_GE(signed_in, calls_at_most - 2) << "what has begun goes on";
}

// Whatever a canceled handler meets: it has asked for the end of the session.
TEST(BeastCancellation, ALogoutThatHasBegunIsCarriedOut) {
  for (int answers = 1; answers <= calls_at_most; ++answers) {
    SCOPED_TRACE(answers);
    Visit visit(sign_out);
    for (int i = 0; i < answers; ++i) visit.answer();
    visit.cancel();
    while (visit.answer()) {
    }
    EXPECT_TRUE(visit.has_ended);
    EXPECT_FALSE(visit.blocking.find(*visit.old).value().has_value());
  }
}

TEST(BeastCancellation, ALogoutBeforeAnAwaitOfTheHandlersOwnIsCarriedOut) {
  for (const bool swallows : {true, false}) {
    Visit visit([swallows](const Request&, Response&, AsyncSession session) -> awaitable<void> {
      session.sign_out();
      asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(1));
      boost::system::error_code error;
      if (swallows) {
        co_await timer.async_wait(asio::redirect_error(use_awaitable, error));
      } else {
        co_await timer.async_wait(use_awaitable);
      }
    });
    EXPECT_TRUE(visit.answer());
    visit.cancel();
    while (visit.answer()) {
    }
    EXPECT_TRUE(visit.has_ended);
    EXPECT_FALSE(visit.blocking.find(*visit.old).value().has_value()) << swallows;
  }
}

// A handler that waits for something else, as for a timer, is canceled there: its exception goes on
// to whoever serves, and the session stays as it was.
TEST(BeastCancellation, AnAwaitOfTheHandlersOwnThrows) {
  Visit visit([](const Request&, Response&, AsyncSession session) -> awaitable<void> {
    session.set("a", 2);
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(1));
    co_await timer.async_wait(use_awaitable);
  });
  EXPECT_TRUE(visit.answer());
  visit.cancel();
  while (visit.answer()) {
  }
  EXPECT_TRUE(visit.has_ended);
  EXPECT_TRUE(visit.has_thrown);
  EXPECT_FALSE(visit.is_signed_in());
}

// The context ends in the midst of it, with the store or before it.
TEST(BeastCancellation, AContextThatEndsAtAnyAwaitLeavesNothing) {
  for (const bool store_first : {true, false}) {
    for (int answers = 0; answers <= calls_at_most; ++answers) {
      SCOPED_TRACE(answers);
      Visit visit(sign_in);
      for (int i = 0; i < answers; ++i) visit.answer();
      if (store_first) visit.store->held.clear();
      visit.context.reset();
      EXPECT_EQ(visit.kept.use_count(), 1);
    }
  }
}

}  // namespace
}  // namespace websession::testing
