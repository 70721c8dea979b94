#include "event/event_connection.hpp"

#include <array>
#include <utility>

#include "socket.hpp"

namespace websession::redis {
namespace {

constexpr std::size_t read_size = std::size_t{16} * 1024;
// So many reads are made in a row before others on the loop have their turn.
constexpr int reads_in_a_row = 8;
// The deadline of those who do not wait: it has passed.
constexpr SteadyTime at_once{};

}  // namespace

Result<std::shared_ptr<EventConnection>> EventConnection::open(Host& host, Reactor& loop,
                                                               std::unique_ptr<Transport> transport,
                                                               std::size_t reply_bytes_max) {
  const int fd = transport->descriptor();
  std::shared_ptr<EventConnection> connection(
      new EventConnection(host, loop, std::move(transport), reply_bytes_max));
  EventConnection* const self = connection.get();
  Result<std::unique_ptr<Watch>> watch =
      loop.watch(fd, [self](unsigned events) { self->ready(events); });
  if (!watch) return std::move(watch).error();
  connection->watch_ = *std::move(watch);
  connection->set_interest();
  return connection;
}

EventConnection::EventConnection(Host& host, Reactor& loop, std::unique_ptr<Transport> transport,
                                 std::size_t reply_bytes_max)
    : host_(host),
      loop_(loop),
      transport_(std::move(transport)),
      parser_(reply_bytes_max),
      heard_at_(loop.now()) {}

void EventConnection::set_interest() {
  if (watch_ == nullptr) return;
  const bool writes = is_full_ || transport_->has_unsent();
  watch_->want(Reactor::readable | (writes ? Reactor::writable : 0U));
}

void EventConnection::become_ready(const Abilities& abilities) {
  // A batch never waits for the answer to the last one. (On lanes it does, near the server: there
  // it is how batches come to be. Here all that is asked in one turn is one.)
  pipeline_ = Pipeline(SIZE_MAX, abilities);
  heard_at_ = loop_.now();
}

void EventConnection::say(const Exchange& exchange) {
  exchange_ = exchange;
  exchange_written_ = 0;
  exchange_since_ = loop_.now();
  exchange_replies_.clear();
  exchange_failed_ = write_exchange();
  set_interest();
}

std::optional<Error> EventConnection::write_exchange() {
  const std::string_view bytes = exchange_->bytes();
  while (exchange_written_ < bytes.size()) {
    const auto written = transport_->write_some(bytes.substr(exchange_written_), at_once);
    is_full_ = !written && written.error().code == Errc::timeout;
    if (is_full_) return std::nullopt;
    if (!written) return written.error();
    exchange_written_ += *written;
  }
  return std::nullopt;
}

void EventConnection::expire() {
  if (!exchange_) return;
  end_exchange(exchange_failed_ ? std::exchange(exchange_failed_, {}) : timed_out());
}

void EventConnection::end_exchange(std::optional<Error> failed) {
  exchange_.reset();
  is_full_ = false;
  const auto took = loop_.now() - exchange_since_;
  heard_at_ = loop_.now();
  host_.came(*this, std::exchange(exchange_replies_, {}), std::move(failed), took);
}

bool EventConnection::is_lost() const {
  return pipeline_.pending() == 0 ? transport_->is_stale() : transport_->has_ended();
}

// Whoever is told of something may end it, in each of these.
void EventConnection::ready(unsigned events) {
  const auto keep = shared_from_this();
  if ((events & Reactor::writable) != 0) is_full_ = false;
  bool more = (events & Reactor::readable) != 0 || transport_->has_unsent();
  // What one read has brought is worked off, and what comes of it written, before the next: so the
  // server works as well meanwhile.
  for (int round = 0; more && !has_ended(); ++round) {
    if (round == reads_in_a_row) {
      read_on_later();
      break;
    }
    more = read();
    if (!has_ended()) go_on_writing();
  }
  if (has_ended()) return;
  go_on_writing();
  set_interest();
}

void EventConnection::go_on_writing() {
  if (exchange_) {
    if (!exchange_failed_) exchange_failed_ = write_exchange();
  } else if (std::optional<Error> failed = write()) {
    lose(*failed);
  }
}

// The descriptor does not tell of what the transport holds.
void EventConnection::read_on_later() {
  if (std::exchange(reads_on_, true)) return;
  loop_.post([weak = weak_from_this()] {
    const auto connection = weak.lock();
    if (connection == nullptr || connection->has_ended()) return;
    connection->reads_on_ = false;
    connection->ready(Reactor::readable);
  });
}

// True: there may be more.
bool EventConnection::read() {
  std::array<char, read_size> buffer;
  const Result<std::size_t> received = transport_->read_ready(buffer);
  if (received && *received == 0) return false;
  std::optional<Error> failed =
      received ? take_in({buffer.data(), *received}) : std::optional(received.error());
  const bool more = received && (*received == buffer.size() || transport_->has_buffered());
  if (exchange_) {
    const std::size_t due = exchange_->size();
    if (!failed && exchange_replies_.size() > due) {
      failed = make_error(Errc::corrupt, "Redis sent a reply nobody asked for");
    }
    if (failed && exchange_failed_) failed = exchange_failed_;
    if (failed || exchange_replies_.size() == due) end_exchange(std::move(failed));
  } else if (failed) {
    lose(*failed);
  } else {
    host_.worked(*this, std::exchange(heard_, false));
  }
  return more;
}

std::optional<Error> EventConnection::take_in(std::string_view bytes) try {
  if (exchange_) {
    Result<void> parsed = parser_.feed(bytes, exchange_replies_);
    if (!parsed) return std::move(parsed).error();
    return std::nullopt;
  }
  Result<void> parsed = parser_.feed(bytes, arrived_);
  if (!arrived_.empty()) {
    heard_ = true;
    heard_at_ = loop_.now();
  }
  for (Reply& reply : arrived_) {
    Result<void> expected = pipeline_.on_reply(std::move(reply));
    if (!expected && parsed) parsed = std::move(expected);
  }
  arrived_.clear();
  if (!parsed) return std::move(parsed).error();
  return std::nullopt;
} catch (...) {  // out of memory: what was read is lost, and so the connection is of no use
  return Error{Errc::unavailable, {}};
}

void EventConnection::flush() {
  if (has_ended() || exchange_) return;
  if (std::optional<Error> failed = write()) return lose(*failed);
  set_interest();
}

std::optional<Error> EventConnection::write() try {
  while (!is_full_ && pipeline_.may_write()) {
    const std::string_view bytes = pipeline_.begin_write();
    const Result<std::size_t> written = transport_->write_some(bytes, at_once);
    pipeline_.end_write(written ? *written : 0);
    is_full_ = !written && written.error().code == Errc::timeout;
    if (!written && !is_full_) return written.error();
  }
  return std::nullopt;
} catch (...) {  // as above
  return Error{Errc::unavailable, {}};
}

void EventConnection::fail(const Error& error) {
  if (has_ended()) return;
  watch_.reset();
  exchange_.reset();
  transport_->shut_down();
  pipeline_.fail(error);
}

std::unique_ptr<Transport> EventConnection::release() {
  watch_.reset();
  return std::move(transport_);
}

void EventConnection::lose(const Error& error) {
  const auto keep = shared_from_this();
  fail(error);
  host_.lost(*this, error);
}

}  // namespace websession::redis
