// Who is asked where the primary is, and what the answers mean. No I/O and no clock: whoever drives
// it carries the bytes.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "greeting.hpp"
#include "place.hpp"
#include "resp.hpp"
#include "websession/result.hpp"

namespace websession::redis {

struct SentinelLogin {
  std::string user{};      // empty: the default user
  std::string password{};  // empty: they ask for none
};

// Those that watch one primary: the ones that were named first, and the ones that those name. In
// each attempt one after the other is asked, until one tells; who did not is asked last from then
// on.
class Sentinels {
 public:
  // `primary`: what they call it.
  Sentinels(std::vector<Place> named, std::string primary, const SentinelLogin& login);

  enum class Next {
    ask,      // asked(): connect to it, send question(), and tell what came
    connect,  // to place(): it is the primary, by all that is known; ROLE tells
    failed,
  };
  // An attempt begins.
  void begin();
  [[nodiscard]] Next next() const noexcept { return next_; }
  [[nodiscard]] const Place& asked() const noexcept { return known_.front(); }
  [[nodiscard]] const Exchange& question() const noexcept { return question_; }
  // All replies to the question; or why they have not come. True: it has told.
  bool came(const std::vector<Reply>& replies, const std::optional<Error>& failed);
  [[nodiscard]] const Place& place() const noexcept { return *place_; }
  [[nodiscard]] const Error& error() const noexcept { return *error_; }

  // What was told last is not so (any more): another one is asked first. Not while one is asked.
  void disprove();

  // The question subscribes to what they tell by themselves, if that is allowed. Whether this is
  // the message that the primary is elsewhere.
  [[nodiscard]] bool tells_of_move(const Reply& reply) const;

  // All that are known, for whoever keeps something for each.
  [[nodiscard]] const std::vector<Place>& known() const noexcept { return known_; }

 private:
  [[nodiscard]] std::optional<Error> take(const std::vector<Reply>& replies);
  void learn(const Reply& others);
  void turn_down(const Error& error);
  void ask_another_first();

  const std::vector<Place> named_;
  const std::string primary_;
  Exchange question_{};
  std::size_t steps_before_ = 0;   // of the login
  std::vector<Place> known_;       // in the order in which they are asked
  std::size_t asked_in_vain_ = 0;  // in this attempt; they are the last ones
  Next next_ = Next::failed;
  std::optional<Place> place_{};
  std::optional<Error> error_{};
};

}  // namespace websession::redis
