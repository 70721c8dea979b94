// One connection on an event loop: what comes is read and what waits is written when the loop says
// so, and nothing ever waits.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "greeting.hpp"
#include "pipeline.hpp"
#include "resp.hpp"
#include "transport.hpp"
#include "websession/async/reactor.hpp"
#include "websession/clock.hpp"
#include "websession/result.hpp"

namespace websession::redis {

// Before it is used, and when it was idle for long, there is an exchange; else there is a pipeline.
// On its loop.
class EventConnection final : public std::enable_shared_from_this<EventConnection> {
 public:
  // Who is told. It may let go of the connection, or end it, in each of these.
  class Host {
   public:
    // What an exchange came to, as Greeting::came takes it.
    virtual void came(EventConnection& connection, std::vector<Reply> replies,
                      std::optional<Error> failed, std::chrono::nanoseconds took) = 0;
    // What has come is worked off, so requests may be done (`heard`: replies have come); what is
    // queued now is written next.
    virtual void worked(EventConnection& connection, bool heard) = 0;
    // It has ended, and all that was in flight with it.
    virtual void lost(EventConnection& connection, const Error& error) = 0;

   protected:
    ~Host() = default;
  };

  // Error: unavailable.
  static Result<std::shared_ptr<EventConnection>> open(Host& host, Reactor& loop,
                                                       std::unique_ptr<Transport> transport,
                                                       std::size_t reply_bytes_max);

  // Precondition: nothing is due. None ends by itself: expire().
  void say(const Exchange& exchange);
  void expire();
  // From now on there are requests.
  void become_ready(const Abilities& abilities);

  [[nodiscard]] Pipeline& pipeline() noexcept { return pipeline_; }
  // Writes what is queued, as far as the socket takes it.
  void flush();
  // Ends it: all that is in flight fails. The host is not told.
  void fail(const Error& error);
  // The same, but for the transport: that goes on. Precondition: nothing is in flight.
  std::unique_ptr<Transport> release();
  [[nodiscard]] bool has_ended() const noexcept { return watch_ == nullptr; }
  // Whether the peer has gone, as far as can be told without asking it. For a connection on which
  // nobody waits.
  [[nodiscard]] bool is_lost() const;
  // When a whole reply came last, or was first waited for.
  [[nodiscard]] SteadyTime heard_at() const noexcept { return heard_at_; }
  void note_wait() noexcept { heard_at_ = loop_.now(); }

 private:
  EventConnection(Host& host, Reactor& loop, std::unique_ptr<Transport> transport,
                  std::size_t reply_bytes_max);

  void ready(unsigned events);
  bool read();
  void read_on_later();
  void go_on_writing();
  // Each: none, all is well.
  std::optional<Error> take_in(std::string_view bytes);
  std::optional<Error> write();
  std::optional<Error> write_exchange();
  void end_exchange(std::optional<Error> failed);
  void lose(const Error& error);
  void set_interest();

  Host& host_;
  Reactor& loop_;
  std::unique_ptr<Transport> transport_;
  ReplyParser parser_;
  Pipeline pipeline_{};
  SteadyTime heard_at_;
  std::vector<Reply> arrived_{};
  bool is_full_ = false;  // the socket is
  bool reads_on_ = false;
  bool heard_ = false;  // a reply, in this turn

  std::optional<Exchange> exchange_{};
  std::size_t exchange_written_ = 0;
  SteadyTime exchange_since_{};
  std::vector<Reply> exchange_replies_{};
  std::optional<Error> exchange_failed_{};  // in writing

  std::unique_ptr<Watch> watch_{};  // goes before the transport
};

}  // namespace websession::redis
