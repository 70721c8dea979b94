#include "replicas.hpp"

#include <algorithm>

#include "server_error.hpp"

namespace websession::redis {

void append_wait(std::string& out, const Replicas& replicas) {
  // The server answers in time that it was too long, though it looks ten times a second only, and a
  // verb may take two rounds; and 0 would be without an end.
  const auto most = std::max(replicas.operation_timeout / 3, std::chrono::milliseconds(1));
  append_command(out, [&](auto& sink) {
    sink.word("WAIT");
    sink.number(static_cast<std::int64_t>(replicas.count));
    sink.number(most.count());
  });
}

std::optional<Error> decode_wait(const Reply& reply, const Replicas& replicas) {
  Error error = unexpected_reply();
  if (reply.type() == Reply::Type::error) {
    error = server_error(reply.text(), false);
  } else if (reply.type() == Reply::Type::integer) {
    if (reply.integer() >= static_cast<std::int64_t>(replicas.count)) return std::nullopt;
    error = make_error(Errc::unavailable,
                       "the write is on " + std::to_string(reply.integer()) + " replicas, and " +
                           std::to_string(replicas.count) +
                           " were to be waited for (RedisOptions::replicas_to_wait_for)");
  }
  error.maybe_applied = true;
  return error;
}

}  // namespace websession::redis
