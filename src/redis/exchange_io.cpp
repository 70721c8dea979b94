#include "exchange_io.hpp"

#include <array>
#include <string_view>

namespace websession::redis {
namespace {

// Reads until `count` replies have come. The error, if any, comes beside what had come before it.
std::optional<Error> read_replies(Transport& transport, ReplyParser& parser, std::size_t count,
                                  SteadyTime deadline, std::vector<Reply>& replies) {
  std::array<char, 4096> buffer;
  while (replies.size() < count) {
    const Result<std::size_t> received = transport.read_some(buffer, deadline);
    if (!received) return received.error();
    Result<void> parsed = parser.feed({buffer.data(), *received}, replies);
    if (!parsed) return std::move(parsed).error();
  }
  if (replies.size() == count) return std::nullopt;
  return make_error(Errc::corrupt, "Redis sent a reply nobody asked for");
}

std::optional<Error> write_all(Transport& transport, std::string_view bytes, SteadyTime deadline) {
  while (!bytes.empty()) {
    const Result<std::size_t> written = transport.write_some(bytes, deadline);
    if (!written) return written.error();
    bytes.remove_prefix(*written);
  }
  return std::nullopt;
}

}  // namespace

std::optional<Error> run(Transport& transport, ReplyParser& parser, const Exchange& exchange,
                         SteadyTime deadline, std::vector<Reply>& replies) {
  std::optional<Error> failed = write_all(transport, exchange.bytes(), deadline);
  std::optional<Error> cut = read_replies(transport, parser, exchange.size(), deadline, replies);
  return failed ? failed : cut;
}

}  // namespace websession::redis
