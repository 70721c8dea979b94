#include "pipeline.hpp"

#include <algorithm>
#include <utility>

namespace websession::redis {

namespace {

constexpr std::string_view multi = "*1\r\n$5\r\nMULTI\r\n";
constexpr std::string_view exec = "*1\r\n$4\r\nEXEC\r\n";

}  // namespace

void Pipeline::enqueue(Request& request, const Commands& commands) {
  const Shortcuts& shortcuts = commands.shortcuts;
  if (abilities_.guarded && shortcuts.guarded) {
    request.replies = Replies(Way::guarded);
    enqueue_plain(request, shortcuts.guarded->replies, shortcuts.guarded->append);
  } else if (abilities_.parts_max > 0 && shortcuts.transaction) {
    request.replies = Replies(Way::transaction);
    enqueue_parts(request, *shortcuts.transaction);
  } else {
    enqueue_plain(request, commands.replies, commands.append);
  }
}

void Pipeline::enqueue_plain(Request& request, ReplyCount replies, Appender append) {
  // Bytes without a slot would give every later caller somebody else's reply.
  const std::size_t size_before = queued_.size();
  try {
    slots_.push_back({&request, replies.value(), stream_end_, stream_end_});
    append(queued_);
  } catch (...) {
    if (!slots_.empty() && slots_.back().request == &request) slots_.pop_back();
    queued_.resize(size_before);
    throw;
  }
  stream_end_ += queued_.size() - size_before;
  slots_.back().end = stream_end_;
}

void Pipeline::enqueue_parts(Request& request, const Shortcuts::Transaction& commands) {
  const std::size_t before = queued_parts_.size();
  parts_.push_back({&request, commands.parts, before, before});
  try {
    commands.append(queued_parts_);
  } catch (...) {
    parts_.pop_back();
    queued_parts_.resize(before);
    throw;
  }
  parts_.back().end = queued_parts_.size();
}

bool Pipeline::may_write() const noexcept {
  if (writing_) return false;
  if (staged_offset_ < staged_.size()) return true;  // a batch that has begun goes on
  return has_queued() && batch_ends_.size() < batches_max_;
}

Turn Pipeline::turn_of(const Request& request) const noexcept {
  if (request.done) return Turn::leave;
  if (may_write()) return Turn::write;
  return reading_ ? Turn::wait : Turn::read;
}

std::string_view Pipeline::begin_write() {
  writing_ = true;
  if (staged_offset_ == staged_.size()) {
    staged_.clear();
    staged_offset_ = 0;
    std::swap(staged_, queued_);
    if (!parts_.empty()) stage_transaction();
    stream_staged_ = stream_end_;
    batch_ends_.push_back(stream_end_);
  }
  return std::string_view(staged_).substr(staged_offset_);
}

// If memory is short in the midst of it, the connection is of no use any more: fail() finds each
// request, in one place or the other.
void Pipeline::stage_transaction() {
  std::size_t members = 0;
  std::size_t parts = 0;
  std::size_t size = 0;
  for (const Part& part : parts_) {
    if (members > 0 && parts + part.parts > abilities_.parts_max) break;
    ++members;
    parts += part.parts;
    size = part.end;
  }
  staged_.append(multi).append(queued_parts_, 0, size).append(exec);
  queued_parts_.erase(0, size);
  const std::uint64_t begin = stream_end_;
  stream_end_ += multi.size() + size + exec.size();
  // MULTI and EXEC are answered, too.
  slots_.push_back({nullptr, parts + 2, begin, stream_end_, members});
  ++transactions_in_flight_;
  for (std::size_t i = 0; i < members; ++i) {
    const Part& part = parts_.front();
    slots_.push_back({part.request, 0, begin, stream_end_, 0, false, part.parts});
    parts_.pop_front();
  }
  for (Part& part : parts_) {
    part.begin -= size;
    part.end -= size;
  }
}

void Pipeline::end_write(std::size_t bytes_written) noexcept {
  writing_ = false;
  staged_offset_ += bytes_written;
  stream_written_ += bytes_written;
}

void Pipeline::finish(Request& request) noexcept {
  request.done = true;
  if (request.completed != nullptr) request.completed(request);
}

Result<void> Pipeline::on_reply(Reply reply) {
  if (has_lost_track_) return make_error(Errc::corrupt, "nobody knows whose reply this is");
  Result<void> given = give(std::move(reply));
  has_lost_track_ = !given;
  return given;
}

Result<void> Pipeline::give(Reply reply) {
  if (slots_.empty()) return make_error(Errc::corrupt, "Redis sent a reply nobody asked for");
  Slot& slot = slots_.front();
  if (slot.begin >= stream_staged_) {
    return make_error(Errc::corrupt, "Redis sent a reply before it was asked");
  }
  if (slot.members > 0) return on_transaction_reply(reply);
  if (slot.request != nullptr) slot.request->replies.push_back(std::move(reply));
  if (--slot.replies_left > 0) return {};
  Request* completed = slot.request;
  if (slot.end == batch_ends_.front()) batch_ends_.pop_front();
  slots_.pop_front();
  if (completed != nullptr) finish(*completed);
  return {};
}

// To MULTI, to each part that it is queued, and last to EXEC: what all parts gave.
Result<void> Pipeline::on_transaction_reply(const Reply& reply) {
  Slot& own = slots_.front();
  if (!std::exchange(own.has_begun, true) && reply.type() == Reply::Type::error) {
    // So the parts were executed one by one, those that have been written at least; and the next
    // ones will be.
    for (Slot& slot : slots_) {
      if (slot.parts > 0) slot.end = slot.begin;
    }
    return make_error(Errc::corrupt, "Redis refused a transaction, which it had allowed before");
  }
  if (--own.replies_left > 0) return {};
  const std::size_t members = own.members;
  std::size_t parts = 0;
  for (std::size_t i = 1; i <= members; ++i) parts += slots_[i].parts;
  const bool executed = reply.type() == Reply::Type::array;
  // Refused, it applied nothing. After any other error the server would go on queuing.
  const bool refused = reply.type() == Reply::Type::error && reply.text().starts_with("EXECABORT");
  if (executed ? reply.elements().size() != parts : !refused) {
    return make_error(Errc::corrupt, "Redis gave a reply that EXEC does not have");
  }
  if (own.end == batch_ends_.front()) batch_ends_.pop_front();
  slots_.pop_front();
  --transactions_in_flight_;
  std::size_t taken = 0;
  for (std::size_t i = 0; i < members; ++i) {
    const Slot member = slots_.front();
    if (member.request != nullptr) {
      member.request->replies.push_back(
          executed
              ? Reply({Reply::Type::array, 0, {}}, reply.elements().subspan(taken, member.parts))
              : Reply({Reply::Type::error, 0, reply.text()}));
    }
    taken += member.parts;
    slots_.pop_front();
    if (member.request != nullptr) finish(*member.request);
  }
  return {};
}

bool Pipeline::take_back_part(const Request& request) {
  const auto found = std::find_if(parts_.begin(), parts_.end(),
                                  [&](const Part& part) { return part.request == &request; });
  if (found == parts_.end()) return false;
  const std::size_t size = found->end - found->begin;
  queued_parts_.erase(found->begin, size);
  const auto next = parts_.erase(found);
  std::for_each(next, parts_.end(), [size](Part& part) {
    part.begin -= size;
    part.end -= size;
  });
  return true;
}

bool Pipeline::abandon(const Request& request) {
  if (take_back_part(request)) return false;
  const auto found = std::find_if(slots_.begin(), slots_.end(),
                                  [&](const Slot& slot) { return slot.request == &request; });
  if (found == slots_.end()) return true;
  if (found->begin < stream_staged_) {
    found->request = nullptr;
    return true;
  }
  const std::uint64_t size = found->end - found->begin;
  queued_.erase(static_cast<std::size_t>(found->begin - stream_staged_),
                static_cast<std::size_t>(size));
  stream_end_ -= size;
  const auto next = slots_.erase(found);
  std::for_each(next, slots_.end(), [size](Slot& slot) {
    slot.begin -= size;
    slot.end -= size;
  });
  return false;
}

void Pipeline::fail(const Error& error) noexcept {
  failed_ = true;
  // A reply that makes no sense is the fault of whoever it was for, or of all in a transaction; the
  // others have only lost their connection.
  std::size_t at_fault = slots_.empty() ? 0 : 1 + slots_.front().members;
  if (error.code != Errc::corrupt) at_fault = slots_.size();
  for (const Slot& slot : slots_) {
    const bool own_fault = at_fault > 0;
    if (own_fault) --at_fault;
    if (slot.request == nullptr) continue;
    Error& its = slot.request->error.emplace();
    its.code = own_fault ? error.code : make_error_code(Errc::unavailable);
    // Somebody may be writing all that was staged right now.
    its.maybe_applied = writing_ ? slot.begin < stream_staged_ : slot.end <= stream_written_;
    try {
      its.detail = own_fault ? error.detail : "the connection to Redis was lost";
    } catch (...) {  // out of memory: the code has to do
    }
    finish(*slot.request);
  }
  for (const Part& part : parts_) {
    Error& its = part.request->error.emplace();
    its.code = make_error_code(Errc::unavailable);
    try {
      its.detail = error.code == Errc::corrupt ? "the connection to Redis was lost" : error.detail;
    } catch (...) {  // as above
    }
    finish(*part.request);
  }
  slots_.clear();
  transactions_in_flight_ = 0;
  parts_.clear();
  queued_parts_.clear();
  batch_ends_.clear();
}

bool Pipeline::has_callers() const noexcept {
  return !parts_.empty() || std::any_of(slots_.begin(), slots_.end(),
                                        [](const Slot& slot) { return slot.request != nullptr; });
}

Request* Pipeline::youngest_waiting() const noexcept {
  const auto waits = [](const auto& place) {
    return place.request != nullptr && place.request->waiting;
  };
  const auto part = std::find_if(parts_.rbegin(), parts_.rend(), waits);
  if (part != parts_.rend()) return part->request;
  const auto slot = std::find_if(slots_.rbegin(), slots_.rend(), waits);
  return slot != slots_.rend() ? slot->request : nullptr;
}

Pipeline::Farewell Pipeline::farewell() noexcept {
  const bool unwritten = may_write();
  if (failed_ || (reading_ && !unwritten)) return {};
  // The youngest: its answer comes last, so that it can read for most of the others.
  if (Request* heir = youngest_waiting()) {
    heir->waiting = false;  // it is on its way; the next one to leave wakes another
    return {Turn::leave, heir};
  }
  // With nobody waiting, the only one left may be the reader, who waits for an answer to what is
  // not written yet: a request that was queued while the one who leaves was writing.
  return {unwritten ? Turn::write : Turn::leave, nullptr};
}

}  // namespace websession::redis
