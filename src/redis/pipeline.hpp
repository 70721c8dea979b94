// The order of requests and replies on one connection. No I/O, no locks, no clock: whoever drives
// it holds the lane's mutex.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "parker.hpp"
#include "resp.hpp"
#include "websession/result.hpp"

namespace websession::redis {

// One caller's commands and what comes back for them. It lives on the caller's stack, so a caller
// that leaves early abandons it first.
struct Request {
  std::size_t replies_expected = 1;
  std::vector<Reply> replies{};
  std::optional<Error> error{};
  bool done = false;

  // For the lane: whether its owner sleeps on `parker`.
  bool parked = false;
  Parker parker{};
};

// Bytes go from queued (may still be taken back) to staged (handed to whoever writes) to written.
class Pipeline {
 public:
  // Appends a request with the bytes of its commands.
  void enqueue(Request& request, std::string_view bytes);

  // Requests that a reply is still due for, abandoned ones included.
  [[nodiscard]] std::size_t pending() const noexcept { return slots_.size(); }
  [[nodiscard]] bool has_unwritten() const noexcept {
    return staged_offset_ < staged_.size() || !queued_.empty();
  }

  // What to write next; valid until wrote(). Only one writer at a time.
  std::string_view stage();
  void wrote(std::size_t bytes);

  // Gives a reply to the oldest request. `completed`: that request, when this was its last reply
  // and its caller has not left. Error: corrupt, nobody has asked for a reply.
  Result<void> on_reply(Reply reply, Request*& completed);

  // The caller leaves. True: its bytes may reach the server, and its replies will be dropped;
  // false: it was taken back as if it had never been there.
  bool abandon(const Request& request);

  // Fails everything in flight and wakes its callers. An error says `maybe_applied` unless that
  // request's bytes cannot have reached the server as a whole. `writing`: somebody is writing what
  // was staged right now.
  void fail_all(const Error& error, bool writing) noexcept;

  // False: whatever is pending was abandoned.
  [[nodiscard]] bool has_callers() const noexcept;

  // The youngest request whose caller is parked and not done; nullptr when there is none.
  [[nodiscard]] Request* last_parked() const noexcept;

 private:
  struct Slot {
    Request* request;  // nullptr: abandoned
    std::size_t replies_left;
    std::uint64_t begin;  // where its bytes are in the stream of all bytes
    std::uint64_t end;
  };

  std::deque<Slot> slots_;
  std::string queued_;
  std::string staged_;
  std::size_t staged_offset_ = 0;
  std::uint64_t stream_end_ = 0;     // of what was enqueued
  std::uint64_t stream_staged_ = 0;  // of what was staged
  std::uint64_t stream_written_ = 0;
};

}  // namespace websession::redis
