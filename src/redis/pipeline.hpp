// The order of requests and replies on one connection, and which of its callers does what. No I/O,
// no locks, no clock, no threads: whoever drives it sees to those.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "resp.hpp"
#include "slots.hpp"
#include "websession/result.hpp"

namespace websession::redis {

// How a request is sent.
enum class Way {
  plain,        // as it is: by a script, most often
  transaction,  // as parts of a transaction, which callers share
  guarded,      // by commands that see to it themselves that the session is there
};

// The replies of one request. Few, so they need no memory of their own. Of parts of a transaction:
// one array (or the error for which none of them was executed).
class Replies {
 public:
  static constexpr std::size_t max = 4;
  explicit Replies(Way way = Way::plain) noexcept : way_(way) {}
  void push_back(Reply reply) noexcept { replies_[size_++] = std::move(reply); }
  [[nodiscard]] Reply take(std::size_t i) noexcept { return std::move(replies_[i]); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  const Reply& operator[](std::size_t i) const noexcept { return replies_[i]; }
  operator std::span<const Reply>() const noexcept { return {replies_.data(), size_}; }
  [[nodiscard]] Way way() const noexcept { return way_; }

 private:
  std::array<Reply, max> replies_{};
  std::size_t size_ = 0;
  Way way_;
};

// How many replies a request has: 1 or 2, as the compiler checks. Twice as many where each of its
// commands has another one before it.
class ReplyCount {
 public:
  consteval ReplyCount(std::size_t count) : count_(count) {
    if (count < 1 || count > Replies::max / 2) throw count;
  }
  [[nodiscard]] static constexpr ReplyCount twice(ReplyCount count) noexcept {
    count.factor_ = 2;
    return count;
  }
  [[nodiscard]] constexpr std::size_t value() const noexcept { return factor_ * count_; }

 private:
  std::size_t count_;
  std::size_t factor_ = 1;
};

// A function `(std::string& out)` that appends commands. It refers to the function, so it is for
// passing on, not for keeping.
class Appender {
 public:
  template <class Function>
  Appender(const Function& function) noexcept
      : function_(&function), call_([](const void* self, std::string& out) {
          (*static_cast<const Function*>(self))(out);
        }) {}
  template <class Function>
  Appender(const Function&& temporary) = delete;
  void operator()(std::string& out) const { call_(function_, out); }

 private:
  const void* function_;
  void (*call_)(const void*, std::string&);
};

// Other ways to the effect of a script, for servers that have them. The first one that a server has
// is taken.
struct Shortcuts {
  struct Guarded {
    ReplyCount replies;
    Appender append;
  };
  struct Transaction {
    std::size_t parts;  // 1 or more
    Appender append;
  };
  std::optional<Guarded> guarded{};
  std::optional<Transaction> transaction{};
};

// What a shortcut came to. No result: it takes the script.
template <class T>
struct ByShortcut {
  std::optional<T> result{};
  bool maybe_written = false;  // all the same
};

// A caller's commands, yet to be formatted: straight into the buffer they are sent from.
struct Commands {
  Commands(ReplyCount reply_count, Appender append_plain, Shortcuts others = {},
           Slot its_slot = 0) noexcept
      : replies(reply_count), append(append_plain), shortcuts(others), slot(its_slot) {}

  ReplyCount replies;
  Appender append;
  Shortcuts shortcuts;
  Slot slot;  // of all keys in it, where keys have slots
};

// What a server was found to have, beyond scripts.
struct Abilities {
  bool guarded = false;
  std::size_t parts_max = 0;  // so many commands go into a transaction, but for one request
                              // that has more; 0: it does none
};

// One caller's place. It is where the caller keeps it, so a caller that leaves early abandons it
// first.
struct Request {
  // Called once, when the request is done, which is the last that is done with it: whoever waits
  // for it may destroy it from then on. It is for taking note: the pipeline is in the midst of its
  // work, and must not be called, nor whatever would. Null: nobody wants to be told.
  using Completed = void (*)(Request&) noexcept;
  explicit Request(Completed tell = nullptr) noexcept : completed(tell) {}

  const Completed completed;
  Replies replies{};
  std::optional<Error> error{};
  bool done = false;
  bool waiting = false;  // its caller does nothing else, and could take a role over (farewell)
};

// What a caller does next.
enum class Turn {
  leave,  // its request is done
  write,  // what is queued, for all
  read,   // for all
  wait,   // others do both
};

// Bytes go from queued (may still be taken back) to staged (handed to whoever writes) to written.
// What can be a part of a transaction is queued apart, and closes the batch: one MULTI for all.
class Pipeline {
 public:
  // `batches_max`: so many writes may be unanswered before callers queue up for the next one.
  explicit Pipeline(std::size_t batches_max = SIZE_MAX, Abilities abilities = {}) noexcept
      : batches_max_(batches_max), abilities_(abilities) {}

  [[nodiscard]] const Abilities& abilities() const noexcept { return abilities_; }

  // Appends a request. When memory is short (or `commands` throws), nothing has changed.
  void enqueue(Request& request, const Commands& commands);

  // Requests that a reply is still due for, abandoned ones included.
  [[nodiscard]] std::size_t pending() const noexcept {
    return slots_.size() - transactions_in_flight_ + parts_.size();
  }
  // False: whatever is pending was abandoned.
  [[nodiscard]] bool has_callers() const noexcept;
  [[nodiscard]] bool has_unwritten() const noexcept {
    return staged_offset_ < staged_.size() || has_queued();
  }
  [[nodiscard]] bool is_reading() const noexcept { return reading_; }
  // After fail(): of no use any more.
  [[nodiscard]] bool has_failed() const noexcept { return failed_; }

  [[nodiscard]] Turn turn_of(const Request& request) const noexcept;
  // Whether there is something to write, and nobody who does.
  [[nodiscard]] bool may_write() const noexcept;

  // The two roles. Each is taken by one caller at a time.
  std::string_view begin_write();  // what to write; valid until end_write()
  void end_write(std::size_t bytes_written) noexcept;
  void begin_read() noexcept { reading_ = true; }
  void end_read() noexcept { reading_ = false; }

  // Gives a reply to the oldest request, and completes that when it was the last one.
  // Error: corrupt, nobody has asked for it. From then on nobody is given any.
  Result<void> on_reply(Reply reply);

  // The caller leaves. True: its bytes may reach the server, and its replies will be dropped;
  // false: it was taken back as if it had never been there.
  bool abandon(const Request& request);

  // The connection is lost: everything in flight fails, and is completed. An error says
  // `maybe_applied` unless that request's bytes cannot have reached the server as a whole.
  void fail(const Error& error) noexcept;

  // What a caller who leaves has to do, so that no role stays free that somebody waits for: wake
  // `heir` and leave, write and ask again, or just leave.
  struct Farewell {
    Turn turn = Turn::leave;  // leave or write
    Request* heir = nullptr;
  };
  [[nodiscard]] Farewell farewell() noexcept;

 private:
  struct Slot {
    Request* request;  // nullptr: abandoned, or nobody's
    std::size_t replies_left;
    std::uint64_t begin;  // where its bytes are in the stream of all bytes
    std::uint64_t end;
    // Of a transaction's own slot: how many of the next ones are answered with it. Theirs are the
    // bytes of the whole.
    std::size_t members = 0;
    bool has_begun = false;  // MULTI was answered
    std::size_t parts = 0;   // of a member: its elements of the answer
  };
  // Of a transaction that is not staged yet.
  struct Part {
    Request* request;
    std::size_t parts;
    std::size_t begin;  // in queued_parts_
    std::size_t end;
  };
  static void finish(Request& request) noexcept;
  [[nodiscard]] bool has_queued() const noexcept {
    return !queued_.empty() || !queued_parts_.empty();
  }
  void enqueue_plain(Request& request, ReplyCount replies, Appender append);
  void enqueue_parts(Request& request, const Shortcuts::Transaction& commands);
  Result<void> give(Reply reply);
  void stage_transaction();
  Result<void> on_transaction_reply(const Reply& reply);
  bool take_back_part(const Request& request);
  [[nodiscard]] Request* youngest_waiting() const noexcept;

  std::size_t batches_max_;
  Abilities abilities_;
  std::deque<Slot> slots_;
  std::deque<Part> parts_;
  std::size_t transactions_in_flight_ = 0;  // slots that are nobody's
  std::deque<std::uint64_t> batch_ends_;    // of the unanswered ones
  bool writing_ = false;
  bool reading_ = false;
  bool failed_ = false;
  bool has_lost_track_ = false;
  std::string queued_;
  std::string queued_parts_;
  std::string staged_;
  std::size_t staged_offset_ = 0;
  std::uint64_t stream_end_ = 0;     // of what was enqueued
  std::uint64_t stream_staged_ = 0;  // of what was staged
  std::uint64_t stream_written_ = 0;
};

}  // namespace websession::redis
