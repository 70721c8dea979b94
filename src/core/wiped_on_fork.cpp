#include "wiped_on_fork.hpp"

#include <sys/mman.h>
#include <unistd.h>

namespace websession::internal {

#ifdef MADV_WIPEONFORK
void* map_wiped_on_fork(std::size_t size) noexcept {
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  // An emulator may answer yes to any advice and do nothing, so no advice is tried first.
  constexpr int no_advice = -1;
  if (madvise(memory, size, no_advice) != 0 && madvise(memory, size, MADV_WIPEONFORK) == 0) {
    return memory;
  }
  munmap(memory, size);
  return nullptr;
}
#else
void* map_wiped_on_fork(std::size_t) noexcept { return nullptr; }
#endif

ForkGuard::ForkGuard() noexcept
    : here_(static_cast<unsigned char*>(map_wiped_on_fork(1))), owner_(::getpid()) {
  if (here_ != nullptr) *here_ = 1;
}

ForkGuard::~ForkGuard() {
  if (here_ != nullptr) munmap(const_cast<unsigned char*>(here_), 1);  // NOLINT(*-const-cast)
}

bool ForkGuard::is_another_process() const noexcept { return owner_ != ::getpid(); }

}  // namespace websession::internal
