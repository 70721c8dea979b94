// Waiting for replicas to have what was written.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "resp.hpp"
#include "websession/result.hpp"

namespace websession::redis {

struct Replicas {
  std::size_t count = 0;  // of which a write waits for; 0: for none
  std::chrono::milliseconds operation_timeout{};
};

// Behind the command that writes.
void append_wait(std::string& out, const Replicas& replicas);
// None: so many have it.
std::optional<Error> decode_wait(const Reply& reply, const Replicas& replicas);

}  // namespace websession::redis
