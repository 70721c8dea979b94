// What those who are taken for Sentinels answer, one after the other. The input is "rounds|" and
// RESP.

#include "sentinels.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "fuzz_target.hpp"
#include "input.hpp"
#include "printable.hpp"
#include "resp.hpp"

namespace {

using websession::fuzz::Input;
using websession::fuzz::require;
using namespace websession::redis;  // NOLINT(google-build-using-namespace): a program of one file

void check_place(const Place& place) {
  require(is_host(place.host), "a place that was told can be one");
  const int port = std::atoi(place.port.c_str());
  require(port >= 1 && port <= 65535 && std::to_string(port) == place.port, "a port is a port");
}

void check_known(const Sentinels& sentinels, const std::vector<Place>& named) {
  const std::vector<Place>& known = sentinels.known();
  require(known.size() <= 32, "so many are kept at most");
  for (const Place& place : known) {
    check_place(place);
    require(std::count(known.begin(), known.end(), place) == 1, "each is kept once");
  }
  for (const Place& place : named) {
    require(std::count(known.begin(), known.end(), place) == 1, "those of the URL stay");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const auto rounds = std::clamp<std::int64_t>(input.number().value_or(1), 1, 4);
  const std::vector<Place> named = {{.host = "s1", .port = "1"}, {.host = "s2", .port = "2"}};
  Sentinels sentinels(named, "m", {.user = "u", .password = "p"});
  ReplyParser parser(4096);
  std::vector<Reply> all;
  static_cast<void>(parser.feed(input.rest(), all));
  for (const Reply& reply : all) static_cast<void>(sentinels.tells_of_move(reply));
  std::size_t next = 0;
  for (std::int64_t round = 0; round < rounds; ++round) {
    sentinels.begin();
    std::size_t asked = 0;
    while (sentinels.next() == Sentinels::Next::ask) {
      require(++asked <= sentinels.known().size(), "nobody is asked twice in an attempt");
      std::vector<Reply> replies;
      while (next < all.size() && replies.size() < sentinels.question().size()) {
        replies.push_back(std::move(all[next++]));
      }
      const bool whole = replies.size() == sentinels.question().size();
      const auto cut =
          whole ? std::nullopt
                : std::optional(websession::make_error(websession::Errc::unavailable, "lost"));
      const bool told = sentinels.came(replies, cut);
      require(!told || sentinels.next() == Sentinels::Next::connect, "who tells is believed");
      check_known(sentinels, named);
    }
    if (sentinels.next() == Sentinels::Next::connect) check_place(sentinels.place());
    if (sentinels.next() == Sentinels::Next::failed) {
      websession::fuzz::require_printable(sentinels.error());
    }
  }
  return 0;
}
