#include "resp.hpp"

#include <hiredis/hiredis.h>

#include <new>

namespace websession::redis {
namespace {

constexpr std::size_t elements_max = 65'536;  // of one reply, nested ones included
constexpr int depth_max = 7;                  // hiredis 1.x has no limit of its own
constexpr std::size_t buffered_per_reply = 16;

#if HIREDIS_MAJOR >= 1
using ElementCount = std::size_t;
#else
using ElementCount = int;
#endif

ReplyParser::Budget& budget_of(const redisReadTask* task) {
  return *static_cast<ReplyParser::Budget*>(task->privdata);
}

// Counts towards the limit. False: the reply is over it already, so nothing more of it is kept.
bool fits(const redisReadTask* task, std::size_t bytes) {
  ReplyParser::Budget& budget = budget_of(task);
  budget.bytes += bytes;
  return budget.bytes <= budget.bytes_max;
}

// The place of this reply: an element of its parent (which was given its size when it began), or
// the root. The elements of an array that was too large have one place together, and are not kept.
Reply* place(const redisReadTask* task) {
  if (task->parent == nullptr) return new Reply;
  auto* parent = static_cast<Reply*>(task->parent->obj);
  const auto index = static_cast<std::size_t>(task->idx);
  if (index < parent->elements.size()) return &parent->elements[index];
  return &budget_of(task).scratch;
}

// hiredis is C: no exception may pass through it. A null pointer stops it with an error.
template <class Fill>
void* guarded(const redisReadTask* task, Fill fill) noexcept {
  Reply* reply = nullptr;
  try {
    reply = place(task);
    fill(*reply);
    return reply;
  } catch (...) {
    if (task->parent == nullptr) delete reply;
    return nullptr;
  }
}

void* create_string(const redisReadTask* task, char* text, std::size_t size) {
  return guarded(task, [&](Reply& reply) {
    reply.type = task->type == REDIS_REPLY_ERROR    ? Reply::Type::error
                 : task->type == REDIS_REPLY_STATUS ? Reply::Type::status
                                                    : Reply::Type::string;
    if (fits(task, size)) reply.text.assign(text, size);
  });
}

bool is_too_deep(const redisReadTask* task) {
  int depth = 0;
  for (; task != nullptr; task = task->parent) ++depth;
  return depth > depth_max;
}

void* create_array(const redisReadTask* task, ElementCount count) {
  const auto size = static_cast<std::size_t>(count);
  if (is_too_deep(task)) return nullptr;
  ReplyParser::Budget& budget = budget_of(task);
  const bool kept = size <= elements_max - budget.elements && fits(task, 0);
  if (kept) {
    budget.elements += size;
  } else {
    budget.bytes = budget.bytes_max + 1;  // oversized
  }
  return guarded(task, [&](Reply& reply) {
    reply.type = Reply::Type::array;
    reply.elements.clear();
    if (kept) reply.elements.resize(size);
  });
}

void* create_integer(const redisReadTask* task, long long value) {
  return guarded(task, [&](Reply& reply) {
    reply.type = Reply::Type::integer;
    reply.integer = value;
  });
}

void* create_nil(const redisReadTask* task) {
  return guarded(task, [](Reply&) {});
}

#if HIREDIS_MAJOR >= 1
// RESP3 types: never asked for, so whoever sends them is not the server we know.
void* create_double(const redisReadTask*, double, char*, std::size_t) { return nullptr; }
void* create_bool(const redisReadTask*, int) { return nullptr; }
#endif

// hiredis frees only the root; its elements go with it.
void free_object(void* root) { delete static_cast<Reply*>(root); }

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

void append_command(std::string& out, std::span<const std::string_view> words) {
  out += '*';
  out += std::to_string(words.size());
  out += "\r\n";
  for (const std::string_view word : words) {
    out += '$';
    out += std::to_string(word.size());
    out += "\r\n";
    out += word;
    out += "\r\n";
  }
}

void append_command(std::string& out, std::initializer_list<std::string_view> words) {
  append_command(out, std::span(words.begin(), words.size()));
}

void ReplyParser::Free::operator()(redisReader* reader) const noexcept { redisReaderFree(reader); }

ReplyParser::ReplyParser(std::size_t reply_bytes_max)
    : budget_(std::make_unique<Budget>(Budget{reply_bytes_max})),
      reader_(redisReaderCreateWithFunctions(&functions)) {
  if (!reader_) throw std::bad_alloc();
  reader_->privdata = budget_.get();
}

ReplyParser::~ReplyParser() = default;

Result<void> ReplyParser::feed(std::string_view bytes, std::vector<Reply>& replies) {
  const auto corrupt = [] {
    return make_error(Errc::corrupt,
                      "what Redis sent is not its protocol, or far too large; is this the port of "
                      "a Redis server, without TLS?");
  };
  if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) != REDIS_OK) return corrupt();
  while (true) {
    void* root = nullptr;
    if (redisReaderGetReply(reader_.get(), &root) != REDIS_OK) return corrupt();
    if (root == nullptr) break;
    const std::unique_ptr<Reply> reply(static_cast<Reply*>(root));
    const bool oversized = budget_->bytes > budget_->bytes_max;
    budget_->bytes = 0;
    budget_->elements = 0;
    replies.push_back(oversized ? Reply{.type = Reply::Type::oversized} : std::move(*reply));
  }
  const std::size_t unparsed = reader_->len - reader_->pos;
  if (unparsed > buffered_per_reply * budget_->bytes_max) return corrupt();
  return {};
}

}  // namespace websession::redis
