#include "pipeline.hpp"

#include <algorithm>
#include <utility>

namespace websession::redis {

void Pipeline::enqueue(Request& request, std::string_view bytes) {
  // Whatever runs out of memory here, nothing has changed: bytes without a slot would give every
  // later caller somebody else's reply.
  request.replies.reserve(request.replies_expected);
  queued_.reserve(queued_.size() + bytes.size());
  const std::uint64_t end = stream_end_ + bytes.size();
  slots_.push_back({&request, request.replies_expected, stream_end_, end});
  queued_ += bytes;
  stream_end_ = end;
}

std::string_view Pipeline::stage() {
  if (staged_offset_ == staged_.size()) {
    staged_.clear();
    staged_offset_ = 0;
    std::swap(staged_, queued_);
    stream_staged_ = stream_end_;
  }
  return std::string_view(staged_).substr(staged_offset_);
}

void Pipeline::wrote(std::size_t bytes) {
  staged_offset_ += bytes;
  stream_written_ += bytes;
}

Result<void> Pipeline::on_reply(Reply reply, Request*& completed) {
  completed = nullptr;
  if (slots_.empty()) return make_error(Errc::corrupt, "Redis sent a reply nobody asked for");
  Slot& slot = slots_.front();
  if (slot.begin >= stream_staged_) {
    return make_error(Errc::corrupt, "Redis sent a reply before it was asked");
  }
  if (slot.request != nullptr) slot.request->replies.push_back(std::move(reply));
  if (--slot.replies_left > 0) return {};
  if (slot.request != nullptr) {
    slot.request->done = true;
    completed = slot.request;
  }
  slots_.pop_front();
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

void Pipeline::fail_all(const Error& error, bool writing) noexcept {
  bool first = true;
  for (const Slot& slot : slots_) {
    // A reply that makes no sense is the fault of whoever it was for; the others have only lost
    // their connection.
    const bool own_fault = std::exchange(first, false) || error.code != Errc::corrupt;
    if (slot.request == nullptr) continue;
    Error& its = slot.request->error.emplace();
    its.code = own_fault ? error.code : make_error_code(Errc::unavailable);
    its.maybe_applied = writing ? slot.begin < stream_staged_ : slot.end <= stream_written_;
    try {
      its.detail = own_fault ? error.detail : "the connection to Redis was lost";
    } catch (...) {  // out of memory: the code has to do
    }
    slot.request->done = true;
    if (slot.request->parked) slot.request->parker.unpark();
  }
  slots_.clear();
}

bool Pipeline::has_callers() const noexcept {
  return std::any_of(slots_.begin(), slots_.end(),
                     [](const Slot& slot) { return slot.request != nullptr; });
}

Request* Pipeline::last_parked() const noexcept {
  const auto found = std::find_if(slots_.rbegin(), slots_.rend(), [](const Slot& slot) {
    return slot.request != nullptr && slot.request->parked;
  });
  return found == slots_.rend() ? nullptr : found->request;
}

}  // namespace websession::redis
