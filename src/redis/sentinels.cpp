#include "sentinels.hpp"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "server_error.hpp"

namespace websession::redis {
namespace {

using Element = Reply::Element;

constexpr std::string_view moved = "+switch-master";
constexpr std::size_t known_max = 32;

// Of one that was asked, and is none or does not talk to us.
Error refusal(std::string_view step, std::string_view text) {
  if (is_unknown_command(text)) {
    return make_error(Errc::rejected,
                      "this is no Sentinel; the URL of a Redis itself begins with redis://");
  }
  if (text.starts_with("NOAUTH")) {
    return make_error(Errc::rejected,
                      "the Sentinel wants a password: set RedisOptions::sentinel.password");
  }
  if (text.starts_with("WRONGPASS")) {
    return make_error(Errc::rejected,
                      "the Sentinel refused RedisOptions::sentinel's user or password");
  }
  if (text.starts_with("NOPERM")) {
    return make_error(Errc::rejected,
                      "the Sentinel's user lacks a right: it needs the commands of "
                      "docs/operations.md");
  }
  if (step == "AUTH") {
    return make_error(Errc::rejected,
                      "the Sentinel has no password set, but RedisOptions::sentinel brings one");
  }
  return server_error(text, false);
}

Exchange make_question(const std::string& primary, const SentinelLogin& login) {
  Exchange question;
  if (!login.password.empty() && login.user.empty()) {
    question.add({"AUTH", login.password}, "AUTH");
  } else if (!login.password.empty()) {
    question.add({"AUTH", login.user, login.password}, "AUTH");
  }
  question.add({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", primary}, "GET-MASTER-ADDR-BY-NAME");
  question.add({"SENTINEL", "SENTINELS", primary}, "SENTINELS");
  question.add({"SUBSCRIBE", moved}, "SUBSCRIBE");
  return question;
}

}  // namespace

Sentinels::Sentinels(std::vector<Place> named, std::string primary, const SentinelLogin& login)
    : named_(std::move(named)),
      primary_(std::move(primary)),
      question_(make_question(primary_, login)),
      steps_before_(login.password.empty() ? 0 : 1),
      known_(named_) {}

void Sentinels::begin() {
  asked_in_vain_ = 0;
  error_.reset();
  next_ = Next::ask;
}

bool Sentinels::came(const std::vector<Reply>& replies, const std::optional<Error>& failed) {
  std::optional<Error> refused = failed ? failed : take(replies);
  if (!refused) {
    next_ = Next::connect;
    return true;
  }
  turn_down(*refused);
  return false;
}

void Sentinels::turn_down(const Error& error) {
  // What somebody has to mend is worth more than one that is away.
  if (!error_ || error_->code != Errc::rejected) error_ = error;
  ask_another_first();
  if (++asked_in_vain_ < known_.size()) return;
  // While none of them tells, it may be where it was.
  next_ = place_ ? Next::connect : Next::failed;
  error_->detail = "no Sentinel of the URL tells where Redis is: " + error_->detail;
}

void Sentinels::disprove() {
  if (next_ != Next::ask) ask_another_first();
}

void Sentinels::ask_another_first() {
  std::rotate(known_.begin(), known_.begin() + 1, known_.end());
}

// None: it has told.
std::optional<Error> Sentinels::take(const std::vector<Reply>& replies) {
  for (std::size_t i = 0; i <= steps_before_; ++i) {
    if (replies[i].type() == Reply::Type::error) {
      return refusal(question_.name(i), replies[i].text());
    }
  }
  const Reply& address = replies[steps_before_];
  if (address.type() == Reply::Type::nil) {
    return make_error(Errc::rejected,
                      "the Sentinels watch no Redis of the name behind the URL's '#'");
  }
  const std::span<const Element> parts = address.elements();
  const std::optional<Place> place =
      parts.size() == 2 ? told_place(parts[0].text, parts[1].text) : std::nullopt;
  if (!place) return unexpected_reply();
  place_ = place;
  learn(replies[steps_before_ + 1]);
  return std::nullopt;
}

// Names and values of each one in turn.
void Sentinels::learn(const Reply& others) {
  std::vector<Place> known{known_.front()};
  const auto add = [&known](const Place& place) {
    const bool is_new = std::find(known.begin(), known.end(), place) == known.end();
    if (is_new && known.size() < known_max) known.push_back(place);
  };
  for (const Place& place : named_) add(place);
  std::span<const Element> rest = others.elements();
  while (!rest.empty() && rest[0].type == Reply::Type::array) {
    const std::size_t size = static_cast<std::size_t>(std::max<std::int64_t>(rest[0].integer, 0));
    if (size >= rest.size()) break;
    std::string_view host;
    std::string_view port;
    for (std::size_t i = 1; i + 1 <= size; i += 2) {
      if (rest[i].text == "ip") host = rest[i + 1].text;
      if (rest[i].text == "port") port = rest[i + 1].text;
    }
    if (const std::optional<Place> place = told_place(host, port)) add(*place);
    rest = rest.subspan(size + 1);
  }
  // Who has not answered lately stays behind the others.
  std::stable_sort(known.begin() + 1, known.end(), [this](const Place& a, const Place& b) {
    const auto rank = [this](const Place& place) {
      return std::find(known_.begin(), known_.end(), place) - known_.begin();
    };
    return rank(a) < rank(b);
  });
  known_ = std::move(known);
}

// "message", the channel, and "name old-host old-port host port".
bool Sentinels::tells_of_move(const Reply& reply) const {
  const std::span<const Element> parts = reply.elements();
  return parts.size() == 3 && parts[0].text == "message" && parts[1].text == moved &&
         parts[2].text.starts_with(primary_ + " ");
}

}  // namespace websession::redis
