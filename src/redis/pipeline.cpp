#include "pipeline.hpp"

#include <algorithm>
#include <utility>

namespace websession::redis {

void Pipeline::enqueue(Request& request, std::string_view bytes) {
  const std::uint64_t begin = stream_end_;
  stream_end_ += bytes.size();
  queued_ += bytes;
  slots_.push_back({&request, request.replies_expected, begin, stream_end_});
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

std::vector<Request*> Pipeline::fail_all(const Error& error, bool writing) {
  std::vector<Request*> failed;
  for (const Slot& slot : slots_) {
    if (slot.request == nullptr) continue;
    slot.request->error = error;
    slot.request->error->maybe_applied =
        writing ? slot.begin < stream_staged_ : slot.end <= stream_written_;
    slot.request->done = true;
    failed.push_back(slot.request);
  }
  slots_.clear();
  return failed;
}

Request* Pipeline::last_parked() const noexcept {
  const auto found = std::find_if(slots_.rbegin(), slots_.rend(), [](const Slot& slot) {
    return slot.request != nullptr && slot.request->parked;
  });
  return found == slots_.rend() ? nullptr : found->request;
}

}  // namespace websession::redis
