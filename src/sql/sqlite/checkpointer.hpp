// Brings the log into the file while others read and write: that waits for the disk, and is
// nobody's turn in the queue of those who write.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "connection.hpp"

namespace websession::sqlite {

// Safe to call from many threads at once.
class Checkpointer {
 public:
  // A connection of its own.
  explicit Checkpointer(std::unique_ptr<Connection> connection) noexcept;

  // For whoever has written: the log has so many pages now. Once it has grown by `step` of them,
  // one thread brings them into the file, and the others go on. What goes wrong, the next one who
  // writes hears of, if it concerns him.
  void look(int pages, int step) noexcept;

 private:
  const std::unique_ptr<Connection> connection_;
  std::mutex mutex_;
  std::atomic<int> done_ = 0;   // pages of the log that are in the file
  std::atomic<int> tried_ = 0;  // that there were the last time
};

}  // namespace websession::sqlite
