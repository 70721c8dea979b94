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

// Where the words of a command go: each is a text, a text in two parts, or an integer.
class WordCounter {
 public:
  void word(std::string_view, std::string_view = {}) noexcept { ++count_; }
  void number(std::int64_t) noexcept { ++count_; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }

 private:
  std::size_t count_ = 0;
};

class WordWriter {
 public:
  explicit WordWriter(std::string& out) noexcept : out_(out) {}
  void begin(std::size_t words) { header('*', words); }
  void word(std::string_view text, std::string_view rest = {});
  void number(std::int64_t value);

 private:
  void header(char type, std::size_t size);
  std::string& out_;
};

// Appends one command. `write_words` is called twice: with a WordCounter, as the number of words
// comes first, and with a WordWriter.
template <class WriteWords>
void append_command(std::string& out, const WriteWords& write_words) {
  WordCounter counter;
  write_words(counter);
  WordWriter writer(out);
  writer.begin(counter.count());
  write_words(writer);
}
void append_command(std::string& out, std::initializer_list<std::string_view> words);

// A reply, in at most one block of memory. Arrays in an array lie flat: each is an element that
// says how many of the next ones are its own, and those follow it.
class Reply {
 public:
  enum class Type {
    nil,
    integer,
    string,
    status,
    error,
    array,
    oversized,  // larger than the limit: read to its end, and not kept
  };
  struct Element {
    Type type = Type::nil;
    std::int64_t integer = 0;  // of an array in an array: how many elements it has
    std::string_view text{};
  };

  Reply() noexcept = default;
  // Copies the texts. The elements are those of an array.
  explicit Reply(Element root, std::span<const Element> elements = {});

  [[nodiscard]] Type type() const noexcept { return root_.type; }
  [[nodiscard]] std::int64_t integer() const noexcept { return root_.integer; }
  // Of a string, a status or an error. Views live as long as the reply, wherever it is moved.
  [[nodiscard]] std::string_view text() const noexcept { return root_.text; }
  [[nodiscard]] std::span<const Element> elements() const noexcept { return elements_; }

 private:
  Element root_{};
  std::span<const Element> elements_{};
  std::unique_ptr<std::byte[]> block_{};  // the elements, then the bytes of all texts
};

// Turns the bytes of a connection into replies; hiredis parses. Whatever a server sends, it holds
// no more than `reply_bytes_max` of a reply. One that is larger is read to its end, so that the
// connection can go on; but there is one: 16 times that.
class ReplyParser {
 public:
  explicit ReplyParser(std::size_t reply_bytes_max);
  ~ReplyParser();
  ReplyParser(const ReplyParser&) = delete;
  ReplyParser& operator=(const ReplyParser&) = delete;

  // Adds the complete replies to `replies`. Error: corrupt; the connection is of no use then.
  Result<void> feed(std::string_view bytes, std::vector<Reply>& replies);

  // The reply that is being parsed. Its memory is kept for the next one.
  struct Draft {
    struct Part {
      Reply::Type type;
      std::int64_t integer;
      std::size_t text_size;
    };
    std::size_t bytes_max;
    std::size_t bytes = 0;
    bool oversized = false;
    std::vector<Part> parts{};  // the root, then the elements
    std::string texts{};        // of all parts, one after the other
    std::vector<Reply::Element> elements{};
  };

 private:
  struct Free {
    void operator()(redisReader* reader) const noexcept;
  };
  Reply take_draft();

  std::size_t begun_bytes_ = 0;   // of the reply that is not complete yet
  std::unique_ptr<Draft> draft_;  // hiredis' callbacks hold its address
  std::unique_ptr<redisReader, Free> reader_;
};

}  // namespace websession::redis
