#include "random_bytes.hpp"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <new>

#include "wiped_on_fork.hpp"

namespace websession::internal {
namespace {

// Whether OpenSSL can be used; begins it when nobody has yet. (It has to be asked for something,
// and everybody who uses it gets the texts of its errors.)
bool begin_openssl() noexcept {
  return OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS, nullptr) == 1;
}

// OpenSSL ends itself at exit, and whoever uses it afterwards crashes. What began first ends last:
// so it begins before the static objects of the application, whose destructors may wait for threads
// that serve until then.
//
// And it notes the process that the library was loaded in.
pid_t loading_process = 0;
[[gnu::constructor(101)]] void begin_openssl_first() noexcept {
  static_cast<void>(begin_openssl());
  loading_process = ::getpid();
}

// OpenSSL's generators are seeded from one that all threads share, behind a lock. A child of a fork
// finds that lock as another thread held it, maybe locked for ever, so it asks the kernel.
// docs/decisions.md#ids-signatures-and-keys
bool generate(unsigned char* bytes, std::size_t size) noexcept {
  if (loading_process == ::getpid()) {
    return begin_openssl() && RAND_bytes(bytes, static_cast<int>(size)) == 1;
  }
  constexpr std::size_t piece = 256;  // getentropy gives no more at once
  for (; size > piece; bytes += piece, size -= piece) {
    if (::getentropy(bytes, piece) != 0) return false;
  }
  return ::getentropy(bytes, size) == 0;
}

// Bytes drawn ahead. A fork gives the child zeros in place of this page (MADV_WIPEONFORK), and with
// it a buffer in which nothing is left: it cannot repeat what its parent has, whoever forks and
// however, and nobody has to be told of the fork.
struct Buffer {
  std::atomic<std::uint32_t> left;  // bytes[0, left) were given to nobody yet
  std::array<unsigned char, std::size_t{85} * 24>
      bytes;  // enough to make a refill cheap; secrets, so no more
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

// Null when the system cannot promise the wiping.
Buffer* make_buffer() noexcept {
  void* page = map_wiped_on_fork(sizeof(Buffer));
  if (page == nullptr) return nullptr;
#ifdef MADV_DONTDUMP
  // Ids to be have no place in a core dump. Without this it works all the same.
  static_cast<void>(madvise(page, sizeof(Buffer), MADV_DONTDUMP));
#endif
  return new (page) Buffer{};
}

// A plain pointer and a plain flag outlive the thread's destructors; the owner does not.
thread_local Buffer* buffer = nullptr;
thread_local bool unbuffered = false;

struct BufferOwner {
  BufferOwner() noexcept : buffer_(make_buffer()) {
    buffer = buffer_;
    unbuffered = buffer_ == nullptr;
  }
  BufferOwner(const BufferOwner&) = delete;
  BufferOwner& operator=(const BufferOwner&) = delete;
  ~BufferOwner() {
    buffer = nullptr;
    unbuffered = true;
    if (buffer_ == nullptr) return;
    OPENSSL_cleanse(buffer_, sizeof(Buffer));
    munmap(buffer_, sizeof(Buffer));
  }

 private:
  Buffer* buffer_;
};

// The thread's buffer. Null: it has none, or not any more.
Buffer* buffer_of_thread() noexcept {
  if (buffer == nullptr && !unbuffered) {
    thread_local const BufferOwner owner;
    static_cast<void>(owner);
  }
  return buffer;
}

}  // namespace

bool fill_random(std::span<unsigned char> out) noexcept {
  Buffer* const ahead = buffer_of_thread();
  if (ahead == nullptr) return generate(out.data(), out.size());

  // Only this thread and signal handlers in it touch the buffer, hence no stronger order. A handler
  // may fork anywhere in here, and the child then reads zeros. So the count is set before the bytes
  // are there, and what was read holds only if the count has not been wiped since.
  std::uint32_t left = ahead->left.load(std::memory_order_relaxed);
  if (left < out.size()) {
    left = static_cast<std::uint32_t>(ahead->bytes.size());
    ahead->left.store(left, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (!generate(ahead->bytes.data(), ahead->bytes.size())) {
      ahead->left.store(0, std::memory_order_relaxed);
      return false;
    }
  }
  const auto rest = static_cast<std::uint32_t>(left - out.size());
  std::copy_n(ahead->bytes.data() + rest, out.size(), out.data());
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (!ahead->left.compare_exchange_strong(left, rest, std::memory_order_relaxed)) {
    return generate(out.data(), out.size());
  }
  // A dump of the memory later on must not tell which ids were given out.
  OPENSSL_cleanse(ahead->bytes.data() + rest, out.size());
  return true;
}

Result<std::string> random_string(std::size_t size) {
  std::string bytes(size, '\0');
  if (!fill_random({reinterpret_cast<unsigned char*>(bytes.data()), bytes.size()})) {
    return make_error(Errc::no_randomness, "the system's random source failed");
  }
  return bytes;
}

}  // namespace websession::internal
