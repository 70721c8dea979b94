// All that one event loop has in flight at Redis: one connection, which is made when it is needed.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "breaker.hpp"
#include "dialer.hpp"
#include "event/event_connection.hpp"
#include "event/loop_connector.hpp"
#include "greeting.hpp"
#include "pipeline.hpp"
#include "silence.hpp"
#include "task.hpp"
#include "websession/async/reactor.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"

namespace websession::redis {

class EventLine;

// Commands on their way, and who waits for the replies. It stays where it is until it is answered.
struct EventRequest : Request {
  EventRequest(EventLine& its_line, const Commands& its_commands, SteadyTime its_deadline,
               internal::Answer<Result<Replies>>& its_answer,
               std::shared_ptr<void> its_owner) noexcept;

  EventLine& line;
  const Commands& commands;
  const SteadyTime since;
  const SteadyTime until;
  internal::Answer<Result<Replies>>& answer;
  // Kept alive until the answer has been given.
  std::shared_ptr<void> owner;

  // The line's.
  enum class Place { nowhere, waiting, in_flight, answered } place = Place::nowhere;
  std::shared_ptr<EventConnection> connection{};
  EventRequest* previous = nullptr;
  EventRequest* next = nullptr;
};

// Requests in the order in which they came; each is in one list at a time.
class EventRequests {
 public:
  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] EventRequest* first() const noexcept { return first_; }
  void add(EventRequest& request) noexcept;
  void remove(EventRequest& request) noexcept;

 private:
  EventRequest* first_ = nullptr;
  EventRequest* last_ = nullptr;
  std::size_t size_ = 0;
};

// On its loop. What is in flight keeps who waits for it alive, and the line with it.
class EventLine final : public std::enable_shared_from_this<EventLine>,
                        private EventConnection::Host {
 public:
  // On any thread. The loop outlives all calls on it.
  EventLine(const std::shared_ptr<Reactor>& loop, std::unique_ptr<LoopConnector> connector,
            Login login, EngineOptions options);
  EventLine(const EventLine&) = delete;
  EventLine& operator=(const EventLine&) = delete;
  ~EventLine() = default;

  [[nodiscard]] Reactor& loop() const noexcept { return loop_; }
  [[nodiscard]] const EngineOptions& options() const noexcept { return options_; }

  // Sends it, as soon as there is a connection. None: it is answered later, by its deadline. An
  // error: that is its answer, nothing was sent, and the line is done with it.
  // Errors: those of CallDriver::send.
  std::optional<Error> send(EventRequest& request);
  // Nobody waits for it any more: answers it soon.
  void cancel(EventRequest& request, Error error);
  // As if it had not been sent, as far as this side goes: it will not be answered.
  void forget(EventRequest& request) noexcept;
  // Lets go of the connection, as soon as nobody waits for it. The next request makes another one.
  void rest();
  // From now on all is `unavailable`, and what is in flight is told so, soon.
  void close();
  // The loop has ended: lets go of all that is in flight, untold. On any thread.
  void drop() noexcept;

  // The pipeline is done with it.
  void note_done(EventRequest& request) noexcept;

 private:
  using ConnectionPtr = std::shared_ptr<EventConnection>;
  enum class State { idle, connecting, greeting, asking, ready };

  void came(EventConnection& connection, std::vector<Reply> replies, std::optional<Error> failed,
            std::chrono::nanoseconds took) override;
  void worked(EventConnection& connection, bool heard) override;
  void lost(EventConnection& connection, const Error& error) override;

  class Ring;
  class Giving;

  // Whoever is told may destroy the store, and with it the line and the loop.
  [[nodiscard]] auto keep_all() { return std::pair(shared_from_this(), kept_loop_.lock()); }

  void give_answers();
  void give_answers_soon();
  void give(EventRequest& request);
  void answer_with(EventRequest& request, Error error) noexcept;

  std::optional<Error> prepare(SteadyTime until);
  void look_at_connection(SteadyTime until);
  void ask(SteadyTime until);
  void dial();
  void connect();
  void connected(LoopConnector::Made made);
  void greet();
  void dial_failed(Error error);
  void become_ready();
  void enqueue(EventRequest& request) noexcept;
  void leave_connection(const Error& error);
  void retire_connection();
  void server_moved();
  void drop_retired();

  void flush_soon();
  void flush();
  void wake_by(SteadyTime time);
  void ring();
  bool expire(EventRequest& request);

  Reactor& loop_;
  const std::weak_ptr<Reactor> kept_loop_;
  const std::unique_ptr<LoopConnector> connector_;
  const Login login_;
  const EngineOptions options_;

  EventRequests waiting_{};    // for a connection
  EventRequests in_flight_{};  // on one
  EventRequests answered_{};   // who waits for them is told next
  bool is_flush_due_ = false;
  bool is_giving_due_ = false;
  bool is_closed_ = false;
  const EventConnection* working_ = nullptr;  // it writes by itself what is queued now

  State state_ = State::idle;
  SteadyTime state_until_{};  // when greeting or asking
  SteadyTime dialing_since_{};
  std::unique_ptr<Attempt> attempt_{};
  std::optional<Greeting> greeting_{};
  ConnectionPtr connection_{};
  // Requests on these are answered, and no others are sent on them.
  std::vector<ConnectionPtr> retired_{};
  internal::Breaker breaker_;
  std::optional<Error> last_error_{};
  Silence silence_{};

  std::unique_ptr<Timer> timer_{};  // since the first request
  std::optional<SteadyTime> wakes_at_{};
};

}  // namespace websession::redis
