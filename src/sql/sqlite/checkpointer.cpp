#include "checkpointer.hpp"

#include <utility>

namespace websession::sqlite {
namespace {

// Somebody who reads for long keeps the rest of the log from the file. It is tried again, not each
// time.
constexpr int pages_between_tries = 16;

}  // namespace

Checkpointer::Checkpointer(std::unique_ptr<Connection> connection) noexcept
    : connection_(std::move(connection)) {}

void Checkpointer::look(int pages, int step) noexcept {
  if (pages < tried_) done_ = tried_ = 0;  // the log has begun anew
  const auto is_due = [&] {
    return pages >= done_ + step && pages >= tried_ + pages_between_tries;
  };
  if (!is_due()) return;
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || !is_due()) return;
  done_ = connection_->checkpoint();
  tried_ = pages;
}

}  // namespace websession::sqlite
