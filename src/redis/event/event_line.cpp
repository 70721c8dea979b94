#include "event/event_line.hpp"

#include <algorithm>
#include <utility>

#include "call_errors.hpp"
#include "server_error.hpp"
#include "socket.hpp"

namespace websession::redis {
EventRequest::EventRequest(EventLine& its_line, const Commands& its_commands,
                           SteadyTime its_deadline, internal::Answer<Result<Replies>>& its_answer,
                           std::shared_ptr<void> its_owner) noexcept
    : Request([](Request& request) noexcept {
        auto& ours = static_cast<EventRequest&>(request);
        ours.line.note_done(ours);
      }),
      line(its_line),
      commands(its_commands),
      since(its_line.loop().now()),
      until(its_deadline),
      answer(its_answer),
      owner(std::move(its_owner)) {}

void EventRequests::add(EventRequest& request) noexcept {
  request.previous = last_;
  request.next = nullptr;
  (last_ != nullptr ? last_->next : first_) = &request;
  last_ = &request;
  ++size_;
}

void EventRequests::remove(EventRequest& request) noexcept {
  (request.previous != nullptr ? request.previous->next : first_) = request.next;
  (request.next != nullptr ? request.next->previous : last_) = request.previous;
  --size_;
}

EventLine::EventLine(const std::shared_ptr<Reactor>& loop, std::unique_ptr<LoopConnector> connector,
                     Login login, EngineOptions options)
    : loop_(*loop),
      kept_loop_(loop),
      connector_(std::move(connector)),
      login_(std::move(login)),
      options_(options),
      breaker_(std::min(options.connect_timeout, options.operation_timeout), options.retry_pause) {
  connector_->when_moved([this] { server_moved(); });
}

// What the loop is given, once at least while something is in flight. A loop that ends destroys it:
// then nobody will ever be answered.
class EventLine::Ring {
 public:
  explicit Ring(const std::shared_ptr<EventLine>& line) noexcept : line_(line) {}
  Ring(Ring&&) noexcept = default;
  Ring& operator=(Ring&&) = delete;
  ~Ring() {
    const auto line = line_.lock();
    if (line != nullptr && !line->is_closed_) line->drop();
  }
  void operator()() {
    if (const auto line = line_.lock()) line->ring();
  }

 private:
  std::weak_ptr<EventLine> line_;
};

class EventLine::Giving {
 public:
  explicit Giving(std::shared_ptr<EventLine> line) noexcept : line_(std::move(line)) {}
  Giving(Giving&&) noexcept = default;
  Giving& operator=(Giving&&) = delete;
  ~Giving() {
    if (line_ != nullptr) line_->drop();
  }
  void operator()() {
    const auto line = std::exchange(line_, nullptr);
    line->is_giving_due_ = false;
    line->give_answers();
  }

 private:
  std::shared_ptr<EventLine> line_;
};

// Requests.

std::optional<Error> EventLine::send(EventRequest& request) {
  if (is_closed_) return store_destroyed();
  const std::size_t sent = connection_ != nullptr ? connection_->pipeline().pending() : 0;
  if (waiting_.size() + sent >= options_.pending_max) return overloaded(options_.pending_max);
  if (std::optional<Error> refused = prepare(request.until)) return refused;
  if (state_ == State::ready) {
    enqueue(request);
    flush_soon();
  } else {
    waiting_.add(request);
    request.place = EventRequest::Place::waiting;
  }
  wake_by(request.until);
  return std::nullopt;
}

// Out of memory, it is answered so.
void EventLine::enqueue(EventRequest& request) noexcept {
  request.connection = connection_;
  request.place = EventRequest::Place::in_flight;
  in_flight_.add(request);
  try {
    connection_->pipeline().enqueue(request, request.commands);
  } catch (...) {
    answer_with(request, Error{Errc::unavailable, {}});
    give_answers_soon();
  }
}

void EventLine::note_done(EventRequest& request) noexcept {
  in_flight_.remove(request);
  answered_.add(request);
  request.place = EventRequest::Place::answered;
}

void EventLine::answer_with(EventRequest& request, Error error) noexcept {
  (request.connection == nullptr ? waiting_ : in_flight_).remove(request);
  request.error.emplace(std::move(error));
  answered_.add(request);
  request.place = EventRequest::Place::answered;
}

void EventLine::cancel(EventRequest& request, Error error) {
  const bool is_open = request.place == EventRequest::Place::waiting ||
                       request.place == EventRequest::Place::in_flight;
  if (!is_open) return;
  if (request.connection != nullptr) {
    error.maybe_applied = request.connection->pipeline().abandon(request);
  }
  answer_with(request, std::move(error));
  give_answers_soon();
}

void EventLine::forget(EventRequest& request) noexcept {
  switch (request.place) {
    case EventRequest::Place::nowhere:
      return;
    case EventRequest::Place::waiting:
      waiting_.remove(request);
      break;
    case EventRequest::Place::in_flight:
      in_flight_.remove(request);
      request.connection->pipeline().abandon(request);
      break;
    case EventRequest::Place::answered:
      answered_.remove(request);
      break;
  }
  request.place = EventRequest::Place::nowhere;
  request.connection.reset();
}

// Whoever is told may do anything, so nothing of this may be in the midst of its work.
//
// What those ask next is written after every few of them, and not after all: so the server works
// while the others are answered. Four rounds of what is in flight keep both busy; what was
// measured: docs/decisions.md#on-an-event-loop.
void EventLine::give_answers() {
  const auto keep = keep_all();
  const std::size_t between_writes =
      std::clamp<std::size_t>((in_flight_.size() + answered_.size()) / 4, 4, 32);
  for (std::size_t given = 1; EventRequest* const request = answered_.first(); ++given) {
    answered_.remove(*request);
    request->place = EventRequest::Place::nowhere;
    give(*request);
    const bool is_due = given % between_writes == 0 && working_ != nullptr;
    if (is_due && state_ == State::ready && working_ == connection_.get()) connection_->flush();
  }
  drop_retired();
}

void EventLine::give_answers_soon() {
  if (std::exchange(is_giving_due_, true)) return;
  loop_.post(Giving(shared_from_this()));
}

void EventLine::give(EventRequest& request) {
  const std::shared_ptr<void> owner = std::move(request.owner);
  const ConnectionPtr connection = std::move(request.connection);
  internal::Answer<Result<Replies>>& answer = request.answer;
  if (request.error) return answer.give(*std::move(request.error));
  if (connection == connection_ && refers_elsewhere(request.replies, login_.must_be_primary)) {
    connector_->forget_address();
    retire_connection();
  }
  answer.give(std::move(request.replies));
}

// The connection.

// None: there is one, or there will be, or not; those who wait hear of it.
std::optional<Error> EventLine::prepare(SteadyTime until) {
  if (state_ == State::ready) look_at_connection(until);
  if (state_ != State::idle) return std::nullopt;
  if (last_error_ && loop_.now() < breaker_.retry_at()) return last_error_;
  dial();
  return std::nullopt;
}

void EventLine::look_at_connection(SteadyTime until) {
  const Pipeline& pipeline = connection_->pipeline();
  if (pipeline.has_callers()) return;
  // A server that went away while nobody was looking: finding that out now, before anything is
  // sent, spares the caller a write whose fate is unknown.
  if (connection_->is_lost()) return leave_connection(closed_by_peer());
  const bool nothing_due = pipeline.pending() == 0;
  if (loop_.now() - connection_->heard_at() >= options_.ask_after) {
    // Answers that were due long ago do not come any more.
    return nothing_due ? ask(until) : leave_connection(stopped_answering());
  }
  if (nothing_due) connection_->note_wait();
}

// A connection that a firewall has forgotten takes what is sent and gives nothing back. So a write
// must not be the first thing sent on it, and a read need not be: half of the time is left for a
// new connection.
void EventLine::ask(SteadyTime until) {
  const SteadyTime now = loop_.now();
  state_ = State::asking;
  state_until_ = now + (until - now) / 2;
  connection_->say(ping());
  wake_by(state_until_);
}

void EventLine::dial() {
  dialing_since_ = loop_.now();
  state_until_ = dialing_since_ + options_.connect_timeout;
  greeting_.emplace(login_, options_.reply_bytes_max, false);
  connect();
}

void EventLine::connect() {
  state_ = State::connecting;
  attempt_ = connector_->connect(state_until_,
                                 [this](LoopConnector::Made made) { connected(std::move(made)); });
}

void EventLine::connected(LoopConnector::Made made) {
  attempt_.reset();
  if (!made) return dial_failed(std::move(made).error());
  Result<ConnectionPtr> opened =
      EventConnection::open(*this, loop_, *std::move(made), options_.reply_bytes_max);
  if (!opened) return dial_failed(std::move(opened).error());
  connection_ = *std::move(opened);
  if (greeting_->next() == Greeting::Next::reopen) greeting_->reopened();
  greet();
}

void EventLine::greet() {
  state_ = State::greeting;
  switch (greeting_->next()) {
    case Greeting::Next::exchange:
      connection_->say(greeting_->exchange());
      return wake_by(state_until_);
    case Greeting::Next::reopen:
      leave_connection(closed_by_peer());
      return connect();
    case Greeting::Next::failed:
      if (login_.must_be_primary) connector_->forget_address();
      return dial_failed(greeting_->error());
    case Greeting::Next::done:
      connection_->become_ready(greeting_->abilities());
      breaker_.succeeded();
      last_error_.reset();
      silence_.end();
      return become_ready();
  }
}

void EventLine::dial_failed(Error error) {
  leave_connection(error);
  breaker_.failed(dialing_since_, loop_.now());
  while (EventRequest* const request = waiting_.first()) answer_with(*request, error);
  last_error_ = std::move(error);
  give_answers();
}

void EventLine::become_ready() {
  state_ = State::ready;
  while (EventRequest* const request = waiting_.first()) {
    waiting_.remove(*request);
    enqueue(*request);
  }
  flush_soon();
}

void EventLine::came(EventConnection& connection, std::vector<Reply> replies,
                     std::optional<Error> failed, std::chrono::nanoseconds took) {
  if (&connection != connection_.get()) return;
  if (state_ == State::greeting) {
    greeting_->came(std::move(replies), std::move(failed), took);
    return greet();
  }
  if (!failed) return become_ready();
  leave_connection(*failed);
  dial();
}

void EventLine::worked(EventConnection& connection, bool heard) {
  if (heard) silence_.end();
  const auto keep = keep_all();
  working_ = &connection;
  give_answers();
  working_ = nullptr;
}

void EventLine::lost(EventConnection& connection, const Error& error) {
  const auto keep = keep_all();
  if (&connection == connection_.get()) leave_connection(error);
  give_answers();
}

// What is in flight on it fails, and is told later.
void EventLine::leave_connection(const Error& error) {
  state_ = State::idle;
  const ConnectionPtr left = std::move(connection_);
  connection_ = nullptr;
  if (left != nullptr) left->fail(error);
}

// Its server is not the one to ask any more. Calls in flight are not disturbed.
void EventLine::retire_connection() {
  state_ = State::idle;
  retired_.push_back(std::move(connection_));
  connection_ = nullptr;
}

void EventLine::rest() {
  if (state_ != State::ready) return;
  retire_connection();
  drop_retired();
}

void EventLine::server_moved() {
  last_error_.reset();  // what failed was another server
  switch (state_) {
    case State::idle:
      return;
    case State::ready:
      return rest();
    case State::connecting:
    case State::greeting:
    case State::asking:
      // Whoever is at the other end, it is the wrong one. Nothing is in flight there.
      attempt_.reset();
      leave_connection(closed_by_peer());
      if (!waiting_.empty()) dial();
  }
}

void EventLine::drop_retired() {
  std::erase_if(retired_, [](const ConnectionPtr& connection) {
    if (connection->pipeline().has_callers()) return false;
    connection->fail(closed_by_peer());
    return true;
  });
}

// The end.

void EventLine::close() {
  if (std::exchange(is_closed_, true)) return;
  attempt_.reset();
  while (EventRequest* const request = waiting_.first()) answer_with(*request, store_destroyed());
  leave_connection(store_destroyed());
  for (const ConnectionPtr& connection : std::exchange(retired_, {}))
    connection->fail(store_destroyed());
  timer_.reset();
  connector_->close();
  give_answers_soon();
}

void EventLine::drop() noexcept {
  is_closed_ = true;
  state_ = State::idle;
  attempt_.reset();
  timer_.reset();
  connector_->close();
  for (EventRequests* requests : {&waiting_, &in_flight_, &answered_}) {
    while (EventRequest* const request = requests->first()) {
      const std::shared_ptr<void> owner = std::move(request->owner);
      forget(*request);
    }
  }
  connection_.reset();
  retired_.clear();
}

// Writing, and time.

void EventLine::flush_soon() {
  if (working_ != nullptr && working_ == connection_.get()) return;
  if (std::exchange(is_flush_due_, true)) return;
  loop_.post([self = shared_from_this()] { self->flush(); });
}

void EventLine::flush() {
  is_flush_due_ = false;
  if (state_ == State::ready) connection_->flush();
  // What was queued on one that was left meanwhile goes out as well.
  const std::vector<ConnectionPtr> left = retired_;
  for (const ConnectionPtr& connection : left) {
    if (connection->pipeline().has_unwritten()) connection->flush();
  }
}

void EventLine::wake_by(SteadyTime time) {
  if (is_closed_ || (wakes_at_ && *wakes_at_ <= time)) return;
  if (timer_ == nullptr) timer_ = loop_.timer(Ring(shared_from_this()));
  wakes_at_ = time;
  timer_->arm(time);
}

void EventLine::ring() {
  const auto keep = keep_all();
  wakes_at_.reset();
  const SteadyTime now = loop_.now();
  const bool is_said = state_ == State::greeting || state_ == State::asking;
  if (is_said && now >= state_until_) {
    const ConnectionPtr asked = connection_;
    asked->expire();
  }
  bool is_silent = false;
  for (const EventRequests* requests : {&waiting_, &in_flight_}) {
    for (EventRequest* request = requests->first(); request != nullptr;) {
      EventRequest& here = *request;
      request = request->next;
      if (now >= here.until) is_silent = expire(here) || is_silent;
    }
  }
  if (is_silent) {
    connector_->forget_address();
    leave_connection(stopped_answering());
  }
  give_answers();
  // Whoever was told may have sent others.
  if (state_ == State::greeting || state_ == State::asking) wake_by(state_until_);
  for (const EventRequests* requests : {&waiting_, &in_flight_}) {
    for (const EventRequest* request = requests->first(); request != nullptr;
         request = request->next) {
      wake_by(request->until);
    }
  }
}

// True: no connection that there is will ever answer.
bool EventLine::expire(EventRequest& request) {
  const ConnectionPtr connection = request.connection;
  if (connection == nullptr) {
    answer_with(request, no_connection());
    return false;
  }
  using std::chrono::milliseconds;
  Error error = no_answer(std::chrono::round<milliseconds>(request.until - request.since));
  error.maybe_applied = connection->pipeline().abandon(request);
  answer_with(request, std::move(error));
  if (connection != connection_) return false;  // that one was left already
  // A server that has not given a reply for two whole timeouts will not do so any more: the path
  // may be dead without either side knowing.
  const SteadyTime silent_since = silence_.goes_on(connection->heard_at());
  return loop_.now() - silent_since > 2 * options_.operation_timeout;
}

}  // namespace websession::redis
