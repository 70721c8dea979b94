// Three callers on one connection, in every order in which they can enqueue, write (all, half or
// nothing), read (a part of a reply, one or all of them), be completed, reach their deadline, or
// lose the connection; with commands of their own, or two of them as parts of transactions. Each
// step of a caller is what it does in lane.cpp between taking the mutex and giving it back, so
// these are all the orders that threads can produce.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "pipeline.hpp"

namespace websession::redis {
namespace {

constexpr std::size_t callers = 3;
constexpr std::size_t command_size = 2;  // bytes; the server acts on the second one

enum class At { outside, deciding, writing, reading, waiting, last_write, gone };

enum class Step {
  enter,
  decide,
  reach_deadline,
  arrive,  // all that is being written, while the call has not returned yet
  write_all,
  write_half,
  write_nothing,
  read_part,  // or the wait of a reader ended early
  read_one,
  read_all,
  lose,
  wake,
};

struct Choice {
  Step step;
  std::size_t caller;
};

struct Caller {
  At at = At::outside;
  Request request{};
  bool called = false;
  bool knows_not_applied = false;  // was told so
  [[nodiscard]] bool inside() const { return at != At::outside && at != At::gone; }
};

class World {
 public:
  World(std::size_t batches_max, std::size_t parts_max)
      : pipeline_(batches_max, {.parts_max = parts_max}), transactions_(parts_max > 0) {}

  // What can happen now. `progress`: without deadlines, losses, and readers that look around.
  [[nodiscard]] std::vector<Choice> choices(bool progress_only) const {
    std::vector<Choice> all;
    const auto add = [&](Step step, std::size_t i) { all.push_back({step, i}); };
    for (std::size_t i = 0; i < callers; ++i) {
      const Caller& caller = callers_[i];
      switch (caller.at) {
        case At::outside:
          if (!lost_) add(Step::enter, i);
          break;
        case At::deciding:
          add(Step::decide, i);
          if (!progress_only && !caller.request.done) add(Step::reach_deadline, i);
          break;
        case At::writing:
        case At::last_write:
          // A call that fails has passed none of its bytes; but a reader may see the end first.
          if (!lost_ || arrived_) add(Step::write_all, i);
          if (!lost_ && !progress_only && !arrived_) {
            for (const Step step : {Step::arrive, Step::write_half, Step::write_nothing}) {
              add(step, i);
            }
          }
          if (!arrived_ && (lost_ || !progress_only)) add(Step::lose, i);
          break;
        case At::reading:
          if (!progress_only) add(Step::read_part, i);
          if (!lost_ && !answers_.empty()) add(Step::read_one, i);
          if (!lost_ && answers_.size() > 1) add(Step::read_all, i);
          if (lost_ || !progress_only) add(Step::lose, i);
          break;
        case At::waiting:
          if (caller.request.done || caller.called) add(Step::wake, i);
          if (!progress_only && !caller.request.done) add(Step::reach_deadline, i);
          break;
        case At::gone:
          break;
      }
    }
    return all;
  }

  void take(Choice choice) {
    Caller& caller = callers_[choice.caller];
    switch (choice.step) {
      case Step::enter: {
        const std::string bytes(command_size, name_of(choice.caller));
        const auto append = [&bytes](std::string& out) { out += bytes; };
        const auto count = replies_to(choice.caller) == 2 ? ReplyCount(2) : ReplyCount(1);
        const std::size_t parts = parts_of(choice.caller);
        const auto append_parts = [&](std::string& out) {
          for (std::size_t i = 0; i < parts; ++i) out += bytes;
        };
        Shortcuts shortcuts;
        if (parts > 0) shortcuts.transaction.emplace(Shortcuts::Transaction{parts, append_parts});
        pipeline_.enqueue(caller.request, {count, append, shortcuts});
        order_ += name_of(choice.caller);
        caller.at = At::deciding;
        break;
      }
      case Step::decide:
        decide(caller);
        break;
      case Step::reach_deadline:
        caller.request.waiting = false;
        caller.knows_not_applied = !pipeline_.abandon(caller.request);
        leave(caller);
        break;
      case Step::arrive:
        for (const char byte : bytes_to_write_) receive(byte);
        arrived_ = true;
        break;
      case Step::write_all:
      case Step::write_half:
      case Step::write_nothing:
        end_write(caller, choice.step);
        break;
      case Step::read_part:
      case Step::read_one:
      case Step::read_all:
        end_read(caller, choice.step);
        break;
      case Step::lose:
        lose(caller);
        break;
      case Step::wake:
        // Whoever is done leaves without the mutex; whoever was called looks around.
        caller.called = false;
        caller.request.waiting = false;
        if (caller.request.done) {
          check_completed(caller);
          caller.at = At::gone;
        } else {
          caller.at = At::deciding;
        }
        break;
    }
    check();
  }

  // Everything that what happens next depends on.
  [[nodiscard]] std::string signature() const {
    std::string text = bytes_to_write_ + "|" + unfinished_ + "|" + answers_ + "|" + executed_ +
                       (lost_ ? "L" : "-") + (left_half_ ? "H" : "-") + (arrived_ ? "A" : "-");
    for (const Caller& caller : callers_) {
      text += static_cast<char>('a' + static_cast<int>(caller.at));
      text += caller.called ? 'c' : '-';
      text += caller.knows_not_applied ? 'n' : '-';
      text += caller.request.done ? 'd' : '-';
      text += caller.request.waiting ? 'w' : '-';
      text += caller.request.error ? (caller.request.error->maybe_applied ? 'M' : 'N') : '-';
      text += static_cast<char>('0' + caller.request.replies.size());
    }
    text += "|" + queued_ + (in_transaction_ ? "T" : "-");
    for (const std::string& executed : transactions_done_) text += executed + ";";
    text += "|" + order_ + std::to_string(received_) + "," + std::to_string(staged_);
    text += pipeline_.has_unwritten() ? 'u' : '-';
    text += static_cast<char>('0' + pipeline_.pending());
    return text;
  }

  // Nothing can happen any more but deadlines: then nobody may be inside. A caller that left when
  // the socket was full is the exception: the reader finds the rest when it looks around.
  [[nodiscard]] bool is_stuck() const {
    if (left_half_ || !choices(true).empty()) return false;
    return std::any_of(callers_.begin(), callers_.end(),
                       [](const Caller& caller) { return caller.inside(); });
  }

 private:
  static char name_of(std::size_t i) { return static_cast<char>('A' + i); }
  // The middle one asks for two replies.
  static std::size_t replies_to(std::size_t i) { return i == 1 ? 2 : 1; }
  // The others may take part in transactions, the last one with two commands.
  static std::size_t parts_of(std::size_t i) { return i == 0 ? 1 : i == 2 ? 2 : 0; }
  std::size_t index_of(const Caller& caller) const {
    return static_cast<std::size_t>(&caller - callers_.data());
  }

  void decide(Caller& caller) {
    switch (pipeline_.turn_of(caller.request)) {
      case Turn::leave:
        check_completed(caller);
        leave(caller);
        break;
      case Turn::write:
        begin_write(caller, At::writing);
        break;
      case Turn::read:
        pipeline_.begin_read();
        caller.at = At::reading;
        break;
      case Turn::wait:
        caller.request.waiting = true;
        caller.at = At::waiting;
        break;
    }
  }

  void begin_write(Caller& caller, At at) {
    bytes_to_write_ = pipeline_.begin_write();
    staged_ = received_ + bytes_to_write_.size();
    caller.at = at;
  }

  void leave(Caller& caller) {
    const Pipeline::Farewell farewell = pipeline_.farewell();
    for (Caller& other : callers_) {
      if (&other.request == farewell.heir) other.called = true;
    }
    if (farewell.turn == Turn::write) {
      begin_write(caller, At::last_write);
    } else {
      caller.at = At::gone;
    }
  }

  void end_write(Caller& caller, Step step) {
    std::size_t size = step == Step::write_all ? bytes_to_write_.size() : 0;
    if (step == Step::write_half) size = (bytes_to_write_.size() + 1) / 2;
    if (!arrived_) {
      for (const char byte : bytes_to_write_.substr(0, size)) receive(byte);
    }
    arrived_ = false;
    pipeline_.end_write(size);
    const bool incomplete = size < bytes_to_write_.size();
    bytes_to_write_.clear();
    if (caller.at == At::writing) {
      caller.at = At::deciding;
    } else if (incomplete) {
      caller.at = At::gone;
      left_half_ = true;
    } else {
      leave(caller);
    }
  }

  // The server's side.
  void receive(char byte) {
    ++received_;
    unfinished_ += byte;
    if (unfinished_.front() == '*') return receive_frame();
    if (unfinished_.size() < command_size) return;
    ASSERT_EQ(unfinished_[0], unfinished_[1]) << "a command was torn: " << unfinished_;
    unfinished_.clear();
    if (in_transaction_) {
      answers_ += 'q';
      queued_ += byte;
      return;
    }
    for (std::size_t i = 0; i < replies_to(static_cast<std::size_t>(byte - 'A')); ++i) {
      answers_ += byte;
    }
    executed_ += byte;
  }
  void receive_frame() {
    if (unfinished_ == "*1\r\n$5\r\nMULTI\r\n") {
      ASSERT_FALSE(in_transaction_);
      in_transaction_ = true;
      answers_ += 'm';
      unfinished_.clear();
    } else if (unfinished_ == "*1\r\n$4\r\nEXEC\r\n") {
      ASSERT_TRUE(in_transaction_);
      in_transaction_ = false;
      answers_ += 'e';
      executed_ += queued_;
      transactions_done_.push_back(std::exchange(queued_, {}));
      unfinished_.clear();
    }
    ASSERT_LT(unfinished_.size(), 16U) << unfinished_;
  }
  // The next answer, as the parser gives it.
  Reply take_answer() {
    const char answer = answers_.front();
    answers_.erase(0, 1);
    if (answer == 'm' || answer == 'q') return Reply({Reply::Type::status, 0, "QUEUED"});
    if (answer != 'e') return Reply({Reply::Type::string, 0, std::string_view(&answer, 1)});
    const std::string executed = transactions_done_.front();
    transactions_done_.erase(transactions_done_.begin());
    std::vector<Reply::Element> elements;
    for (const char& part : executed) {
      elements.push_back({Reply::Type::string, 0, std::string_view(&part, 1)});
    }
    return Reply({Reply::Type::array, 0, {}}, elements);
  }

  void end_read(Caller& caller, Step step) {
    pipeline_.end_read();
    std::size_t count = step == Step::read_part ? 0 : 1;
    if (step == Step::read_all) count = answers_.size();
    for (std::size_t i = 0; i < count && !pipeline_.has_failed(); ++i) {
      EXPECT_TRUE(pipeline_.on_reply(take_answer())) << "a reply nobody asked for";
    }
    caller.at = At::deciding;
  }

  void lose(Caller& caller) {
    const bool was_reading = caller.at == At::reading;
    if (was_reading) {
      pipeline_.end_read();
    } else {
      pipeline_.end_write(0);
      arrived_ = false;
      bytes_to_write_.clear();
    }
    if (!pipeline_.has_failed()) pipeline_.fail(make_error(Errc::unavailable, "lost"));
    lost_ = true;
    if (caller.at == At::last_write) {
      caller.at = At::gone;
    } else {
      caller.at = At::deciding;
    }
  }

  void check_completed(Caller& caller) {
    const std::size_t i = index_of(caller);
    if (caller.request.error) {
      caller.knows_not_applied = !caller.request.error->maybe_applied;
      return;
    }
    if (transactions_ && parts_of(i) > 0) return check_parts(caller.request.replies, i);
    ASSERT_EQ(caller.request.replies.size(), replies_to(i));
    EXPECT_EQ(caller.request.replies.way(), Way::plain);
    for (std::size_t r = 0; r < replies_to(i); ++r) {
      EXPECT_EQ(caller.request.replies[r].text(), std::string(1, name_of(i))) << "another's reply";
    }
  }

  static void check_parts(const Replies& replies, std::size_t i) {
    ASSERT_EQ(replies.size(), 1U);
    EXPECT_EQ(replies.way(), Way::transaction);
    ASSERT_EQ(replies[0].elements().size(), parts_of(i));
    for (const Reply::Element& element : replies[0].elements()) {
      EXPECT_EQ(element.text, std::string(1, name_of(i))) << "another's answer";
    }
  }

  void check() {
    std::size_t writers = 0;
    std::size_t readers = 0;
    for (const Caller& caller : callers_) {
      writers += caller.at == At::writing || caller.at == At::last_write ? 1 : 0;
      readers += caller.at == At::reading ? 1 : 0;
      if (caller.knows_not_applied) {
        EXPECT_EQ(executed_.find(name_of(index_of(caller))), std::string::npos)
            << "it was told that its command was not applied";
      }
    }
    EXPECT_LE(writers, 1U);
    EXPECT_LE(readers, 1U);
  }

  Pipeline pipeline_;
  std::array<Caller, callers> callers_;
  std::string bytes_to_write_;  // by whoever writes
  std::string unfinished_;      // of a command, at the server
  std::string answers_;         // that nobody has read yet, one byte each
  std::string executed_;
  bool transactions_;
  bool in_transaction_ = false;
  std::string queued_;                          // in the transaction
  std::vector<std::string> transactions_done_;  // whose answers nobody has read yet
  std::string order_;                           // of entering
  std::size_t received_ = 0;                    // bytes, by the server
  std::size_t staged_ = 0;                      // bytes that cannot be taken back
  bool arrived_ = false;
  bool lost_ = false;
  bool left_half_ = false;
};

using Path = std::vector<Choice>;

std::string text_of(const Path& path) {
  constexpr std::array names{"enter",     "decide",     "reach_deadline", "arrive",
                             "write_all", "write_half", "write_nothing",  "read_part",
                             "read_one",  "read_all",   "lose",           "wake"};
  std::string text;
  for (const Choice& choice : path) {
    text += std::string(1, static_cast<char>('A' + choice.caller)) + " " +
            names.at(static_cast<std::size_t>(choice.step)) + ", ";
  }
  return text;
}

class PipelineOrders : public ::testing::TestWithParam<std::tuple<std::size_t, std::size_t>> {};

TEST_P(PipelineOrders, AllEndWellForThreeCallers) {
  std::set<std::string> seen;
  std::vector<Path> paths{{}};
  std::size_t ends = 0;
  while (!paths.empty()) {
    const Path path = std::move(paths.back());
    paths.pop_back();
    // A world cannot be copied, since its callers point into it; it can be lived through again.
    World world(std::get<0>(GetParam()), std::get<1>(GetParam()));
    for (const Choice& choice : path) world.take(choice);
    ASSERT_FALSE(::testing::Test::HasFailure()) << text_of(path);
    if (!seen.insert(world.signature()).second) continue;
    ASSERT_FALSE(world.is_stuck()) << text_of(path);
    const std::vector<Choice> choices = world.choices(false);
    ends += choices.empty() ? 1 : 0;
    for (const Choice& choice : choices) {
      paths.push_back(path);
      paths.back().push_back(choice);
    }
  }
  EXPECT_GT(ends, 0U);
  std::cout << seen.size() << " states, " << ends << " ends\n";
}

// How many batches may be unanswered, and how many parts are in a transaction (2: one of the two
// that there are has to wait for the next). A sanitizer would take too long for those, and
// pipeline_test has each of their steps.
using Case = std::tuple<std::size_t, std::size_t>;
#ifdef __SANITIZE_ADDRESS__
INSTANTIATE_TEST_SUITE_P(Batches, PipelineOrders, ::testing::Values(Case(2, 0)));
#else
INSTANTIATE_TEST_SUITE_P(Batches, PipelineOrders,
                         ::testing::Values(Case(1, 0), Case(2, 0), Case(SIZE_MAX, 0), Case(1, 2),
                                           Case(SIZE_MAX, 100)));
#endif

}  // namespace
}  // namespace websession::redis
