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

// Whether the session that a frozen record leads to is still there. `key`: the record's successor;
// `look(key)` gives a Result<Link<Key>>.
template <class Key, class Look>
Result<bool> ends_alive(Key key, const Look& look) {
  for (std::size_t i = 0; i < successors_max; ++i) {
    Result<Link<Key>> link = look(std::as_const(key));
    if (!link) return std::move(link).error();
    if (!link->exists) return false;
    if (!link->successor) return true;
    key = *std::move(link->successor);
  }
  return false;
}

// What came of a try to end a chain.
template <class Key>
struct Ended {
  bool any = false;
  std::optional<Key> successor{};  // the chain is longer; nothing was ended yet
};

// Ends the session that a key leads to. False: it leads to none. `end(chain)`, a
// Result<Ended<Key>>, gets keys each of which is the successor of the one before it. If the last
// one is a session, it ends that, and takes from the marks before it what can be read in them; if
// it is a mark that leads on, it says where to.
template <class Key, class End>
Result<bool> end_chain(Key first, const End& end) {
  std::vector<Key> chain{std::move(first)};
  while (chain.size() <= successors_max) {
    Result<Ended<Key>> ended = end(std::span<const Key>(chain));
    if (!ended) return std::move(ended).error();
    if (!ended->successor) return ended->any;
    chain.push_back(*std::move(ended->successor));
  }
  return make_error(Errc::corrupt, "a chain of replaced sessions has no end");
}

}  // namespace websession::internal
