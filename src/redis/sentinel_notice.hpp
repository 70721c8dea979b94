// What a Sentinel tells by itself, on the connection on which it was asked.
#pragma once

#include <memory>
#include <vector>

#include "resp.hpp"
#include "sentinels.hpp"
#include "transport.hpp"

namespace websession::redis {

// A Sentinel's replies are short; those of a host that is none are not read to their end.
inline constexpr std::size_t sentinel_reply_bytes_max = std::size_t{64} * 1024;

class SentinelNotice {
 public:
  explicit SentinelNotice(std::unique_ptr<Transport> transport)
      : transport_(std::move(transport)), parser_(sentinel_reply_bytes_max) {}

  enum class Seen { nothing, moved, ended };
  // Takes in what has come, without waiting. Ended: it is of no use any more.
  Seen look(const Sentinels& sentinels) noexcept;
  [[nodiscard]] int descriptor() const noexcept { return transport_->descriptor(); }

 private:
  const std::unique_ptr<Transport> transport_;
  ReplyParser parser_;
};

}  // namespace websession::redis
