// Memory that tells a forked child from its parent.
#pragma once

#include <sys/types.h>

#include <cstddef>

#include "websession/config.hpp"

// Exported, as MemoryStore, a component of its own, uses it.
WEBSESSION_API_BEGIN
namespace websession::internal {

// Memory that a fork gives the child as zeros (MADV_WIPEONFORK), whoever forks and however, and
// nobody has to be told. Null when the system cannot promise it. It ends with munmap.
[[nodiscard]] void* map_wiped_on_fork(std::size_t size) noexcept;

// Knows whether the process is a child of the one that it was made in. Asking costs a load (where
// the system cannot wipe: a system call), takes no lock and is safe in any thread.
class ForkGuard {
 public:
  ForkGuard() noexcept;
  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;
  ~ForkGuard();

  [[nodiscard]] bool in_child() const noexcept {
    return here_ != nullptr ? *here_ == 0 : is_another_process();
  }

 private:
  [[nodiscard]] bool is_another_process() const noexcept;

  volatile unsigned char* here_;  // 1 in the process that made it, and 0 in its children
  pid_t owner_;
};

}  // namespace websession::internal
WEBSESSION_API_END
