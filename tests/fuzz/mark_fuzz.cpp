// What is under the key of a session that was replaced or has ended. The input is the text that
// Redis holds.

#include <string>

#include "answers.hpp"
#include "fuzz_target.hpp"
#include "input.hpp"
#include "mark.hpp"
#include "printable.hpp"
#include "websession/session_store.hpp"

namespace {

using namespace websession;  // NOLINT(google-build-using-namespace): a program of one file
using fuzz::require;
using redis::Reply;

// As mark.lua writes it, but for the relation, which only scripts look at.
std::string written(const redis::Mark& mark, const std::string& relation) {
  std::string text = mark.is_frozen ? "@frozen 1 " : "@over 1 ";
  text += std::to_string(mark.ends.time_since_epoch().count()) + " " + relation + " ";
  text += std::to_string(mark.successor.size()) + ":" + std::string(mark.successor) + "\n";
  for (std::size_t i = 0; i < mark.flat.size(); i += 2) {
    const std::string name(mark.flat[i].text);
    const std::string value(mark.flat[i + 1].text);
    text += std::to_string(name.size()) + ":" + std::to_string(value.size()) + ":" + name + value;
  }
  return text;
}

std::string word(const std::string& text, int number) {
  std::size_t begin = 0;
  for (int i = 0; i < number; ++i) begin = text.find(' ', begin) + 1;
  return text.substr(begin, text.find(' ', begin) - begin);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::optional<redis::Mark> mark = redis::parse_mark(text);
  if (mark) require(written(*mark, word(text, 3)) == text, "what was read is all that was written");

  const std::array<Reply::Element, 2> time = {Reply::Element{Reply::Type::string, 0, "1700000000"},
                                              Reply::Element{Reply::Type::string, 0, "0"}};
  std::vector<Reply> replies;
  replies.emplace_back(Reply::Element{Reply::Type::string, 0, text});
  replies.emplace_back(Reply::Element{Reply::Type::array}, time);
  const WallTime now{std::chrono::milliseconds(1'700'000'000'000)};
  const auto loaded = redis::decode_mark({"sid_"}, replies, now);
  if (!loaded.has_value()) {
    require(loaded.error().code == Errc::corrupt, "what is no mark is corrupt");
    fuzz::require_printable(loaded.error());
    return 0;
  }
  require(mark.has_value(), "only a mark can be loaded");
  require(loaded->has_value() == (mark->ends > now), "it ends when it says so");
  if (!*loaded) return 0;
  const Record& record = (*loaded)->record;
  require(record.frozen, "nothing can be written under a mark");
  require(mark->is_frozen || record.is_over(), "one that is over has nothing to read");
  require(record.remaining > std::chrono::milliseconds(0), "a mark that is there has an end");
  require((*loaded)->successor.empty() || mark->is_frozen, "only a frozen one hangs on another");
  return 0;
}
