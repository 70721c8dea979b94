#include "pipeline.hpp"

#include <algorithm>
#include <utility>

namespace websession::redis {

void Pipeline::enqueue(Request& request, const Commands& commands) {
  // Bytes without a slot would give every later caller somebody else's reply.
  const std::size_t size_before = queued_.size();
  try {
    slots_.push_back({&request, commands.replies(), stream_end_, stream_end_});
    commands.append_to(queued_);
  } catch (...) {
    if (!slots_.empty() && slots_.back().request == &request) slots_.pop_back();
    queued_.resize(size_before);
    throw;
  }
  stream_end_ += queued_.size() - size_before;
  slots_.back().end = stream_end_;
}

bool Pipeline::may_write() const noexcept {
  if (writing_) return false;
  if (staged_offset_ < staged_.size()) return true;  // a batch that has begun goes on
  return !queued_.empty() && batch_ends_.size() < batches_max_;
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
    stream_staged_ = stream_end_;
    batch_ends_.push_back(stream_end_);
  }
  return std::string_view(staged_).substr(staged_offset_);
}

void Pipeline::end_write(std::size_t bytes_written) noexcept {
  writing_ = false;
  staged_offset_ += bytes_written;
  stream_written_ += bytes_written;
}

void Pipeline::finish(Request& request) noexcept {
  request.done = true;
  request.parker.finish();  // from here on its caller may be gone, and the request with it
}

Result<void> Pipeline::on_reply(Reply reply) {
  if (slots_.empty()) return make_error(Errc::corrupt, "Redis sent a reply nobody asked for");
  Slot& slot = slots_.front();
  if (slot.begin >= stream_staged_) {
    return make_error(Errc::corrupt, "Redis sent a reply before it was asked");
  }
  if (slot.request != nullptr) slot.request->replies.push_back(std::move(reply));
  if (--slot.replies_left > 0) return {};
  Request* completed = slot.request;
  if (slot.end == batch_ends_.front()) batch_ends_.pop_front();
  slots_.pop_front();
  if (completed != nullptr) finish(*completed);
  return {};
}

bool Pipeline::abandon(const Request& request) {
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
  bool first = true;
  for (const Slot& slot : slots_) {
    // A reply that makes no sense is the fault of whoever it was for; the others have only lost
    // their connection.
    const bool own_fault = std::exchange(first, false) || error.code != Errc::corrupt;
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
  slots_.clear();
  batch_ends_.clear();
}

bool Pipeline::has_callers() const noexcept {
  return std::any_of(slots_.begin(), slots_.end(),
                     [](const Slot& slot) { return slot.request != nullptr; });
}

Pipeline::Farewell Pipeline::farewell() noexcept {
  const bool unwritten = may_write();
  if (failed_ || (reading_ && !unwritten)) return {};
  // The youngest: its answer comes last, so that it can read for most of the others.
  const auto found = std::find_if(slots_.rbegin(), slots_.rend(), [](const Slot& slot) {
    return slot.request != nullptr && slot.request->waiting;
  });
  if (found != slots_.rend()) {
    found->request->waiting = false;  // it is on its way; the next one to leave wakes another
    return {Turn::leave, found->request};
  }
  // With nobody waiting, the only one left may be the reader, who waits for an answer to what is
  // not written yet: a request that was queued while the one who leaves was writing.
  return {unwritten ? Turn::write : Turn::leave, nullptr};
}

}  // namespace websession::redis
