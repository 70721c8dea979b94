#include "resp.hpp"

#include <array>
#include <charconv>
#include <cstring>
#include <new>

#include "hiredis.hpp"

namespace websession::redis {
namespace {

constexpr std::size_t elements_max = 65'536;
constexpr std::size_t oversized_at_most = 16;  // times the limit
// A draft that has grown beyond this gives its memory back.
constexpr std::size_t draft_kept_max = std::size_t{64} * 1024;

#if HIREDIS_MAJOR >= 1
using ElementCount = std::size_t;
#else
using ElementCount = int;
#endif

using Draft = ReplyParser::Draft;
using Type = Reply::Type;

Draft& draft_of(const redisReadTask* task) { return *static_cast<Draft*>(task->privdata); }

// Adds a part, or counts it only, when the reply is too large to be kept. hiredis is C: no
// exception may pass through it, and a null pointer stops it with an error. It never looks at what
// a part is.
void* add(const redisReadTask* task, Type type, std::int64_t integer,
          std::string_view text) noexcept {
  Draft& draft = draft_of(task);
  draft.bytes += text.size();
  draft.oversized =
      draft.oversized || draft.bytes > draft.bytes_max || draft.parts.size() > elements_max;
  if (draft.oversized) return &draft;
  try {
    draft.texts += text;
    draft.parts.push_back({type, integer, text.size()});
    return &draft;
  } catch (...) {
    return nullptr;
  }
}

void* create_string(const redisReadTask* task, char* text, std::size_t size) {
  const Type type = task->type == REDIS_REPLY_ERROR    ? Type::error
                    : task->type == REDIS_REPLY_STATUS ? Type::status
                                                       : Type::string;
  return add(task, type, 0, {text, size});
}

void* create_array(const redisReadTask* task, ElementCount count) {
  if (static_cast<std::size_t>(count) > elements_max) draft_of(task).oversized = true;
  const bool is_root = task->parent == nullptr;
  return add(task, Type::array, is_root ? 0 : static_cast<std::int64_t>(count), {});
}

void* create_integer(const redisReadTask* task, long long value) {
  return add(task, Type::integer, value, {});
}

void* create_nil(const redisReadTask* task) { return add(task, Type::nil, 0, {}); }

#if HIREDIS_MAJOR >= 1
// RESP3 types: never asked for, so whoever sends them is not the server we know.
void* create_double(const redisReadTask*, double, char*, std::size_t) { return nullptr; }
void* create_bool(const redisReadTask*, int) { return nullptr; }
#endif

void free_object(void*) {}  // all parts are the draft's

redisReplyObjectFunctions functions = {create_string, create_array, create_integer,
#if HIREDIS_MAJOR >= 1
                                       create_double,
#endif
                                       create_nil,
#if HIREDIS_MAJOR >= 1
                                       create_bool,
#endif
                                       free_object};

}  // namespace

void WordWriter::header(char type, std::size_t size) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), size).ptr;
  out_ += type;
  out_.append(digits.data(), end);
  out_ += "\r\n";
}

void WordWriter::word(std::string_view text, std::string_view rest) {
  header('$', text.size() + rest.size());
  out_ += text;
  out_ += rest;
  out_ += "\r\n";
}

void WordWriter::number(std::int64_t value) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  word(std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data())));
}

void append_command(std::string& out, std::initializer_list<std::string_view> words) {
  append_command(out, [&](auto& sink) {
    for (const std::string_view word : words) sink.word(word);
  });
}

Reply::Reply(Element root, std::span<const Element> elements) : root_(root) {
  // Each part of a transaction is answered so: that is not worth a block of memory.
  for (const std::string_view common : {"QUEUED", "OK", "PONG"}) {
    if (root.type != Type::status || root.text != common) continue;
    root_.text = common;
    return;
  }
  std::size_t size = elements.size_bytes() + root.text.size();
  for (const Element& element : elements) size += element.text.size();
  if (size == 0) return;
  block_ = std::make_unique_for_overwrite<std::byte[]>(size);
  std::byte* texts = block_.get() + elements.size_bytes();
  const auto keep = [&texts](std::string_view text) {
    std::memcpy(texts, text.data(), text.size());
    const std::string_view kept(reinterpret_cast<const char*>(texts), text.size());
    texts += text.size();
    return kept;
  };
  if (!root.text.empty()) root_.text = keep(root.text);
  for (std::size_t i = 0; i < elements.size(); ++i) {
    auto* element = new (block_.get() + i * sizeof(Element)) Element(elements[i]);
    if (!element->text.empty()) element->text = keep(element->text);
  }
  if (!elements.empty()) {
    elements_ = {std::launder(reinterpret_cast<const Element*>(block_.get())), elements.size()};
  }
}

void ReplyParser::Free::operator()(redisReader* reader) const noexcept { redisReaderFree(reader); }

ReplyParser::ReplyParser(std::size_t reply_bytes_max)
    : draft_(std::make_unique<Draft>(Draft{reply_bytes_max})),
      reader_(redisReaderCreateWithFunctions(&functions)) {
  if (!reader_) throw std::bad_alloc();
  reader_->privdata = draft_.get();
}

ReplyParser::~ReplyParser() = default;

Reply ReplyParser::take_draft() {
  Draft& draft = *draft_;
  Reply reply(Reply::Element{Type::oversized});
  if (!draft.oversized) {
    draft.elements.clear();
    std::string_view texts = draft.texts;
    for (const Draft::Part& part : draft.parts) {
      draft.elements.push_back({part.type, part.integer, texts.substr(0, part.text_size)});
      texts.remove_prefix(part.text_size);
    }
    reply = Reply(draft.elements.front(), std::span(draft.elements).subspan(1));
  }
  if (draft.texts.capacity() > draft_kept_max || draft.parts.capacity() > draft_kept_max / 16) {
    draft = Draft{draft.bytes_max};
  }
  draft.bytes = 0;
  draft.oversized = false;
  draft.parts.clear();
  draft.texts.clear();
  return reply;
}

Result<void> ReplyParser::feed(std::string_view bytes, std::vector<Reply>& replies) {
  const auto corrupt = [] {
    return make_error(Errc::corrupt,
                      "what Redis sent is not its protocol, or far too large; is this the port of "
                      "a Redis server, without TLS?");
  };
  if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) != REDIS_OK) return corrupt();
  begun_bytes_ += bytes.size();
  while (true) {
    void* root = nullptr;
    if (redisReaderGetReply(reader_.get(), &root) != REDIS_OK) return corrupt();
    if (root == nullptr) break;
    replies.push_back(take_draft());
    begun_bytes_ = reader_->len - reader_->pos;
  }
  if (begun_bytes_ > oversized_at_most * draft_->bytes_max) return corrupt();
  return {};
}

}  // namespace websession::redis
