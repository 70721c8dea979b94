// SQLite's way to its files, with faults: one of its calls fails.
#pragma once

#include <cstddef>

namespace websession::testing {

// While it lives, what SQLite opens goes through it. One at a time; from one thread.
class FailingVfs {
 public:
  enum class Fault {
    disk_fails,    // reads, writes, syncs, locks… give an I/O error
    disk_is_full,  // writes find no room; syncs, too
  };
  FailingVfs();
  ~FailingVfs();
  FailingVfs(const FailingVfs&) = delete;
  FailingVfs& operator=(const FailingVfs&) = delete;

  // The n-th call from now on fails (from 1), and, if `forever`, all after it.
  void fail(std::size_t n, Fault fault, bool forever = false);
  void work();
  // Whether it has come to that.
  [[nodiscard]] bool has_failed() const;
};

}  // namespace websession::testing
