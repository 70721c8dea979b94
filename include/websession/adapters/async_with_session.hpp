// What every adapter to a server on an event loop does: open before the handler, commit after it.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "websession/adapters/exchange.hpp"
#include "websession/async/session_manager.hpp"
#include "websession/config.hpp"

WEBSESSION_API_BEGIN
namespace websession::adapters {

// The two halves of with_session, as operations: nothing of the exchange is touched while they run,
// so the handler, with its request and response, may go away meanwhile.
//
//   auto opening = begin(manager, exchange);
//   Result<AsyncSession> session = co_await std::move(opening);
//   if (!session) co_return refuse(manager, exchange, session.error());
//   …
//   auto finishing = manager.finish(*session);
//   answer(exchange, *co_await std::move(finishing));
//
// A client that hangs up stops nothing by itself: give begin's operation a StopToken for that, but
// let finish run to its end.

template <Exchange E>
Op<AsyncSession> begin(const AsyncSessionManager& manager, E& exchange) {
  const RequestFacts facts = facts_of(exchange, manager.options());
  return manager.open(facts.info());
}

// What a handler calls when it is done, once, on any thread: then the session is committed, and the
// response sent. A copy is the same. When the last one goes uncalled, the request fails.
class Finish {
 public:
  // For adapters. `done` is called once, on the loop of the operation.
  using Done = Callback<void(const Finished&)>;
  Finish(const AsyncSessionManager& manager, AsyncSession session, Done done)
      : state_(std::make_shared<State>(manager, std::move(session), std::move(done))) {}

  void operator()() const { state_->finish(std::nullopt); }
  // Nothing is committed, and the response is that of the error.
  void operator()(const Error& error) const { state_->finish(error); }

 private:
  struct State {
    State(const AsyncSessionManager& its_manager, AsyncSession its_session, Done its_done)
        : manager(its_manager), session(std::move(its_session)), done(std::move(its_done)) {}
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
      if (done) finish(make_error(Errc::canceled, "the handler has gone without an answer"));
    }
    void finish(const std::optional<Error>& failed) {
      if (!done) return;
      manager.finish(session, failed)
          .start([done = std::exchange(done, {})](Result<Finished> finished) mutable {
            done(finished ? *finished : Finished{finished.error(), {}});
          });
    }
    const AsyncSessionManager manager;
    const AsyncSession session;
    Done done;
  };
  std::shared_ptr<State> state_;
};

// Opens the session of a request, calls handler(AsyncSession, Finish), and answers when that is
// done; then `answered()`. All of it on the loop of the operations. An exception of the handler
// fails the request: that of a Result::value() as the error that it is, any other as 500.
//
// The exchange lives until then, and what it refers to has to.
template <Exchange E, class Handler>
void with_session(const AsyncSessionManager& manager, std::shared_ptr<E> exchange, Handler handler,
                  Callback<void()> answered) {
  auto opening = begin(manager, *exchange);
  std::move(opening).start([manager, exchange = std::move(exchange), handler = std::move(handler),
                            answered = std::move(answered)](Result<AsyncSession> session) mutable {
    if (!session) {
      refuse(manager, *exchange, session.error());
      return answered();
    }
    const Finish finish(manager, *session,
                        [exchange, answered = std::move(answered)](const Finished& done) mutable {
                          answer(*exchange, done);
                          answered();
                        });
    auto run = [&] { handler(*session, finish); };
    if (const auto failure = internal::thrown_by(run).failure()) finish(*failure);
  });
}

}  // namespace websession::adapters
WEBSESSION_API_END
