// How stores follow marks, which lead from one to the next.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "websession/result.hpp"

namespace websession::internal {

// Regenerations that fit into a grace: a longer chain is not followed. Whoever regenerates all the
// time must not make one request cost hundreds of round trips.
inline constexpr std::size_t successors_max = 16;

// What can be read under a key.
template <class Key>
struct Link {
  bool exists = false;             // false, too: a mark alone, that it is over
  std::optional<Key> successor{};  // set: it is frozen
};

// The way from a frozen record to the session that it leads to:
//
//   Walk walk(successor);
//   while (!walk.is_alive()) walk.found(look(walk.at()));
template <class Key>
class Walk {
 public:
  // `first`: the record's successor.
  explicit Walk(Key first) : at_(std::move(first)) {}
  // What to look at next.
  [[nodiscard]] const Key& at() const noexcept { return at_; }
  // What is there.
  void found(Link<Key> link) {
    const bool leads_on = link.exists && link.successor;
    if (leads_on && ++steps_ < successors_max) {
      at_ = *std::move(link.successor);
    } else {
      is_alive_ = link.exists && !leads_on;
    }
  }
  // Whether the session is still there, once that is known.
  [[nodiscard]] const std::optional<bool>& is_alive() const noexcept { return is_alive_; }

 private:
  Key at_;
  std::size_t steps_ = 0;
  std::optional<bool> is_alive_{};
};

// What came of a try to end a chain.
template <class Key>
struct Ended {
  bool any = false;
  std::optional<Key> successor{};  // the chain is longer; nothing was ended yet
};
// For those who ask what a call has come to.
template <class Key>
[[nodiscard]] bool has_written(const Result<Ended<Key>>& result) {
  return result && result->any;
}

// Ends the session that a key leads to:
//
//   Chain chain(key);
//   while (!chain.result()) chain.tried(end(chain.keys()));
//
// `end` gets keys each of which is the successor of the one before it. If the last one is a
// session, it ends that, and takes from the marks before it what can be read in them; if it is a
// mark that leads on, it says where to.
template <class Key>
class Chain {
 public:
  explicit Chain(Key first) { keys_.push_back(std::move(first)); }
  [[nodiscard]] std::span<const Key> keys() const noexcept { return keys_; }
  void tried(Result<Ended<Key>> ended) {
    if (!ended) {
      result_ = std::move(ended).error();
    } else if (!ended->successor) {
      result_ = ended->any;
    } else if (keys_.size() == successors_max) {
      result_ = make_error(Errc::corrupt, "a chain of replaced sessions has no end");
    } else {
      keys_.push_back(*std::move(ended->successor));
    }
  }
  // False: it leads to none.
  [[nodiscard]] const std::optional<Result<bool>>& result() const noexcept { return result_; }

 private:
  std::vector<Key> keys_;
  std::optional<Result<bool>> result_{};
};

}  // namespace websession::internal
