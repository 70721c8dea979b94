// Redis' protocol (RESP2): commands to bytes, bytes to replies. No I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "websession/result.hpp"

struct redisReader;

namespace websession::redis {

// Appends one command.
void append_command(std::string& out, std::span<const std::string_view> words);
void append_command(std::string& out, std::initializer_list<std::string_view> words);

struct Reply {
  enum class Type {
    nil,
    integer,
    string,
    status,
    error,
    array,
    oversized,  // larger than the limit: read to its end, and not kept
  };
  Type type = Type::nil;
  std::int64_t integer = 0;
  std::string text{};
  std::vector<Reply> elements{};
};

// Turns the bytes of a connection into replies; hiredis parses. Whatever a server sends, it holds
// no more than `reply_bytes_max` of a reply, and no more than 16 times that of unparsed bytes.
class ReplyParser {
 public:
  explicit ReplyParser(std::size_t reply_bytes_max);
  ~ReplyParser();
  ReplyParser(const ReplyParser&) = delete;
  ReplyParser& operator=(const ReplyParser&) = delete;

  // Adds the complete replies to `replies`. Error: corrupt; the connection is of no use then.
  Result<void> feed(std::string_view bytes, std::vector<Reply>& replies);

  struct Budget {
    std::size_t bytes_max;
    // Of the reply that is being parsed:
    std::size_t bytes = 0;
    std::size_t elements = 0;
    Reply scratch{};  // for what is read and not kept
  };

 private:
  struct Free {
    void operator()(redisReader* reader) const noexcept;
  };
  std::unique_ptr<Budget> budget_;  // hiredis' callbacks hold its address
  std::unique_ptr<redisReader, Free> reader_;
};

}  // namespace websession::redis
