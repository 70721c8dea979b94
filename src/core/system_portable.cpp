// On POSIX alone: slower where there are many descriptors, and the same otherwise.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "system.hpp"
#include "websession/async/reactor.hpp"

namespace websession::internal {
namespace {

bool add_flags(int fd, int of_descriptor, int of_file) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && ::fcntl(fd, F_SETFD, of_descriptor) == 0 &&
         ::fcntl(fd, F_SETFL, flags | of_file) == 0;
}

void close_if_open(int fd) noexcept {
  if (fd >= 0) ::close(fd);
}

// Rounded up, so that nobody is woken before the time.
int milliseconds_until(SteadyTime deadline) noexcept {
  using std::chrono::milliseconds;
  const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
  constexpr milliseconds::rep most = std::numeric_limits<int>::max();
  return static_cast<int>(std::clamp(left.count(), milliseconds::rep{0}, most));
}

// Those who sleep on a word, and on others with the same place.
struct Dormitory {
  std::mutex mutex{};
  std::condition_variable woken{};
};

Dormitory& dormitory_of(const void* word) {
  // Threads may need it until the process ends, so it is never destroyed.
  static auto& all = *new std::array<Dormitory, 64>;
  constexpr unsigned within_a_line = 6;  // the addresses of two words differ in the bits above
  return all[(reinterpret_cast<std::uintptr_t>(word) >> within_a_line) % all.size()];
}

}  // namespace

int poll_until(pollfd& waiting, SteadyTime deadline) noexcept {
  const int left = milliseconds_until(deadline);
  return left == 0 ? 0 : ::poll(&waiting, 1, left);
}

bool has_hung_up(int fd) noexcept {
  pollfd now{fd, POLLIN, 0};
  if (::poll(&now, 1, 0) <= 0) return false;
  if ((now.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) return true;
  char next = 0;
  return ::recv(fd, &next, 1, MSG_PEEK) == 0;
}

// Between the two calls a fork with an exec in another thread may leak the descriptor: POSIX 2008
// has nothing against that.
int make_stream_socket(int family, bool blocks) noexcept {
  const int fd = ::socket(family, SOCK_STREAM, 0);
  if (fd >= 0 && !add_flags(fd, FD_CLOEXEC, blocks ? 0 : O_NONBLOCK)) {
    const int error = errno;
    ::close(fd);
    errno = error;
    return -1;
  }
#ifdef SO_NOSIGPIPE  // where send has no MSG_NOSIGNAL
  const int on = 1;
  if (fd >= 0) ::setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
  return fd;
}

ssize_t send_quietly(int fd, const void* bytes, std::size_t size) noexcept {
#ifdef MSG_NOSIGNAL
  return ::send(fd, bytes, size, MSG_NOSIGNAL);
#else
  return ::send(fd, bytes, size, 0);
#endif
}

void keep_alive(int fd, std::chrono::seconds first, [[maybe_unused]] std::chrono::seconds next,
                [[maybe_unused]] int probes) noexcept {
  const auto set = [fd](int level, int option, int value) {
    ::setsockopt(fd, level, option, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
#ifdef TCP_KEEPIDLE
  set(IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(first.count()));
#elif defined(TCP_KEEPALIVE)  // macOS' name of it
  set(IPPROTO_TCP, TCP_KEEPALIVE, static_cast<int>(first.count()));
#endif
#ifdef TCP_KEEPINTVL
  set(IPPROTO_TCP, TCP_KEEPINTVL, static_cast<int>(next.count()));
#endif
#ifdef TCP_KEEPCNT
  set(IPPROTO_TCP, TCP_KEEPCNT, probes);
#endif
}

void sleep_while(const std::atomic<std::uint32_t>& word, std::uint32_t value,
                 SteadyTime deadline) noexcept {
  Dormitory& dormitory = dormitory_of(&word);
  std::unique_lock lock(dormitory.mutex);
  if (word.load(std::memory_order_acquire) == value) dormitory.woken.wait_until(lock, deadline);
}

void wake_sleeper(const void* word) noexcept {
  Dormitory& dormitory = dormitory_of(word);
  // Under the lock, so that nobody is between looking at the word and falling asleep.
  const std::lock_guard lock(dormitory.mutex);
  dormitory.woken.notify_all();
}

struct Poller::Parts {
  struct Watched {
    unsigned interest = Reactor::none;
    void* what = nullptr;
  };
  int sender = -1;  // of a pipe, whose other end is waited for
  int receiver = -1;
  std::map<int, Watched> watched{};
  std::optional<SteadyTime> time{};
  int last = -1;  // the descriptor that was told of last
};

Poller::Poller() : parts_(std::make_unique<Parts>()) {
  int ends[2] = {-1, -1};
  if (::pipe(ends) != 0) return;
  parts_->receiver = ends[0];
  parts_->sender = ends[1];
}

Poller::~Poller() {
  close_if_open(parts_->sender);
  close_if_open(parts_->receiver);
}

bool Poller::open() noexcept {
  if (parts_->receiver < 0) {
    errno = EMFILE;
    return false;
  }
  return add_flags(parts_->receiver, FD_CLOEXEC, O_NONBLOCK) &&
         add_flags(parts_->sender, FD_CLOEXEC, O_NONBLOCK);
}

int Poller::descriptor() const noexcept { return -1; }

bool Poller::watch(int fd, unsigned before, unsigned now, void* watched) noexcept {
  if (now == Reactor::none) {
    parts_->watched.erase(fd);
    return true;
  }
  if (before == Reactor::none) {
    // poll takes what is no descriptor, or is a file that is always ready, and epoll refuses it.
    struct stat status {};
    if (::fstat(fd, &status) != 0) return false;
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) {
      errno = EPERM;
      return false;
    }
    if (parts_->watched.contains(fd)) {
      errno = EEXIST;
      return false;
    }
  }
  try {
    parts_->watched[fd] = {now, watched};
  } catch (const std::bad_alloc&) {
    errno = ENOMEM;
    return false;
  }
  return true;
}

void Poller::set_time(SteadyTime at) noexcept { parts_->time = at; }

void Poller::wake() const noexcept {
  const char one = 1;
  [[maybe_unused]] const ssize_t size = ::write(parts_->sender, &one, 1);  // full: it wakes
}

std::span<const Poller::Event> Poller::wait(int milliseconds, Room& room) {
  std::vector<pollfd> all;
  all.reserve(parts_->watched.size() + 1);
  all.push_back({parts_->receiver, POLLIN, 0});
  // Those behind the last one that was told of come first, so that nobody waits for ever for room.
  const auto add = [&all](const auto& entry) {
    short events = 0;
    if ((entry.second.interest & Reactor::readable) != 0) events |= POLLIN;
    if ((entry.second.interest & Reactor::writable) != 0) events |= POLLOUT;
    all.push_back({entry.first, events, 0});
  };
  const auto middle = parts_->watched.upper_bound(parts_->last);
  std::for_each(middle, parts_->watched.end(), add);
  std::for_each(parts_->watched.begin(), middle, add);

  if (parts_->time) {
    const int left = milliseconds_until(*parts_->time);
    milliseconds = milliseconds < 0 ? left : std::min(milliseconds, left);
  }
  const int count = ::poll(all.data(), static_cast<nfds_t>(all.size()), milliseconds);
  std::size_t told = 0;
  if (parts_->time && *parts_->time <= std::chrono::steady_clock::now()) {
    parts_->time.reset();
    room[told++] = {};
  }
  if (count <= 0) return std::span(room).first(told);
  if (all.front().revents != 0) {
    std::array<char, 64> taken;
    while (::read(parts_->receiver, taken.data(), taken.size()) > 0) {
    }
  }
  for (const pollfd& entry : std::span(all).subspan(1)) {
    if (entry.revents == 0) continue;
    if (told == room.size()) break;
    constexpr short broken = POLLERR | POLLHUP | POLLNVAL;
    Event& event = room[told++] = {parts_->watched[entry.fd].what, Reactor::none};
    if ((entry.revents & (POLLIN | broken)) != 0) event.ready |= Reactor::readable;
    if ((entry.revents & (POLLOUT | broken)) != 0) event.ready |= Reactor::writable;
    parts_->last = entry.fd;
  }
  return std::span(room).first(told);
}

}  // namespace websession::internal
