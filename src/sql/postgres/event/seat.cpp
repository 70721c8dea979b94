#include "event/seat.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "call_errors.hpp"
#include "event/line.hpp"
#include "options.hpp"

namespace websession::postgres {

Duplicate::Duplicate(int fd) noexcept : fd_(::fcntl(fd, F_DUPFD_CLOEXEC, 0)) {}

Duplicate::~Duplicate() {
  if (fd_ >= 0) ::close(fd_);
}

Task<Result<void>> Seat::Making::operator()(QueryFlow& flow) const {
  return set_up(flow, seat.setup_);
}

Seat::Seat(Line& line)
    : line_(line),
      since_(line.loop().now()),
      flow_(memory_.arena(), *this),
      setup_(setup_of(line.options())) {}

void Seat::begin() {
  timer_ = line_.loop().timer([weak = weak_from_this()] {
    const auto seat = weak.lock();
    if (seat == nullptr) return;
    seat->fail(no_connection());
  });
  timer_->arm(since_ + line_.options().connect_timeout);
}

void Seat::connect(const ConnectionInfo& info) {
  if (state_ == State::ended) return;
  // Never answered inside of this.
  Result<ConnectionInfo> own = with_credentials(info, line_.options());
  if (!own) {
    line_.loop().post([weak = weak_from_this(), error = std::move(own).error()] {
      if (const auto seat = weak.lock()) seat->cannot_connect(error);
    });
    return;
  }
  connection_ = std::make_unique<Connection>(*own, prepares(line_.options()));
  line_.loop().post([weak = weak_from_this()] {
    if (const auto seat = weak.lock(); seat != nullptr && seat->connection_)
      seat->go_on_connecting();
  });
}

void Seat::cannot_connect(const Error& error) {
  if (state_ != State::ended) fail(error);
}

// False: it has failed, and all has ended.
bool Seat::watch() {
  const auto is_ready = [weak = weak_from_this()](unsigned) {
    if (const auto seat = weak.lock()) seat->ready();
  };
  watched_ = Duplicate(connection_->socket());
  if (watched_.get() < 0) {
    fail(make_error(Errc::unavailable, "no descriptor for a connection to PostgreSQL"));
    return false;
  }
  Result<std::unique_ptr<Watch>> made = line_.loop().watch(watched_.get(), is_ready);
  if (!made) {
    fail(made.error());
    return false;
  }
  watch_ = *std::move(made);
  watch_->want(connection_->wants());
  return true;
}

void Seat::ready() {
  switch (state_) {
    case State::connecting:
      return go_on_connecting();
    case State::setting_up:
    case State::busy:
      return go_on();
    case State::free:
      // The server has closed it, or says what nobody has asked.
      return fail(make_error(Errc::unavailable, "PostgreSQL has closed an idle connection"));
    case State::ended:
      return;
  }
}

void Seat::go_on_connecting() {
  watch_.reset();  // libpq may take another socket
  const std::optional<Result<void>> done = connection_->go_on_connecting();
  if (!done) {
    watch();
    return;
  }
  if (!*done) return fail(done->error());
  state_ = State::setting_up;
  if (watch()) task_.begin(line_.loop(), flow_, making_);
}

void Seat::start(const Query& query) {
  connection_->ask(query);
  came_ = connection_->go_on();
  if (!came_) return watch_->want(connection_->wants());
  // Never inside of this.
  watch_->want(Reactor::none);
  line_.loop().post([weak = weak_from_this()] {
    if (const auto seat = weak.lock(); seat != nullptr && seat->came_) seat->go_on();
  });
}

bool Seat::run(const Query& query, internal::Answer<Result<Rows>>& answer) {
  setup_answer_ = &answer;
  start(query);
  return false;
}

void Seat::finished(Result<void> result) noexcept {
  if (state_ == State::ended) return;
  if (!result) return fail(result.error());
  timer_.reset();
  state_ = State::free;
  watch_->want(Reactor::readable);
  line_.is_connected(*this);
}

void Seat::ask(Asked& asked) {
  state_ = State::busy;
  asked_ = &asked;
  asked.seat = shared_from_this();
  start(asked.query);
}

void Seat::go_on() {
  std::optional<Result<Rows>> rows = std::exchange(came_, std::nullopt);
  if (!rows) rows = connection_->go_on();
  if (!rows) return watch_->want(connection_->wants());
  if (state_ == State::setting_up) {
    return std::exchange(setup_answer_, nullptr)->give(*std::move(rows));
  }
  if (!*rows) return fail(rows->error());
  Asked& asked = *std::exchange(asked_, nullptr);
  state_ = State::free;
  watch_->want(Reactor::readable);
  const auto line = line_.shared_from_this();
  line->is_free(*this);
  line->give(asked, *std::move(rows));
}

void Seat::fail(const Error& error) {
  const auto keep = shared_from_this();
  const auto line = line_.shared_from_this();
  const bool was_connected = state_ == State::free || state_ == State::busy;
  Asked* const asked = asked_;
  end();
  line->has_ended(*this, error, was_connected, asked);
}

void Seat::end() noexcept {
  state_ = State::ended;
  asked_ = nullptr;
  setup_answer_ = nullptr;
  came_.reset();
  timer_.reset();
  watch_.reset();
  watched_ = Duplicate();
  connection_.reset();
}

}  // namespace websession::postgres
