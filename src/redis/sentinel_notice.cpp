#include "sentinel_notice.hpp"

#include <algorithm>
#include <array>

namespace websession::redis {
namespace {

// It says little: whoever goes on and on is none.
constexpr int reads_at_a_look = 8;

}  // namespace

SentinelNotice::Seen SentinelNotice::look(const Sentinels& sentinels) noexcept try {
  std::array<char, 4096> buffer;
  std::vector<Reply> replies;
  for (int i = 0; i < reads_at_a_look; ++i) {
    const Result<std::size_t> received = transport_->read_ready(buffer);
    if (!received) return Seen::ended;
    if (!parser_.feed({buffer.data(), *received}, replies)) return Seen::ended;
    const bool moved = std::any_of(replies.begin(), replies.end(), [&](const Reply& reply) {
      return sentinels.tells_of_move(reply);
    });
    if (moved) return Seen::moved;
    replies.clear();
    if (*received == 0) return Seen::nothing;
  }
  return Seen::ended;
} catch (...) {  // out of memory
  return Seen::ended;
}

}  // namespace websession::redis
