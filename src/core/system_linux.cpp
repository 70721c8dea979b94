#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "system.hpp"
#include "websession/async/reactor.hpp"

namespace websession::internal {
namespace {

timespec timespec_of(std::chrono::nanoseconds time) noexcept {
  const auto whole = std::chrono::floor<std::chrono::seconds>(time);
  return {static_cast<time_t>(whole.count()), static_cast<long>((time - whole).count())};
}

void close_if_open(int fd) noexcept {
  if (fd >= 0) ::close(fd);
}

void take(int counter) noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t size = ::read(counter, &count, sizeof count);
}

}  // namespace

int poll_until(pollfd& waiting, SteadyTime deadline) noexcept {
  const auto left = deadline - std::chrono::steady_clock::now();
  if (left <= left.zero()) return 0;
  const timespec timeout = timespec_of(left);
  return ::ppoll(&waiting, 1, &timeout, nullptr);
}

bool has_hung_up(int fd) noexcept {
  pollfd now{fd, POLLRDHUP, 0};
  return ::poll(&now, 1, 0) != 0;
}

int make_stream_socket(int family, bool blocks) noexcept {
  return ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | (blocks ? 0 : SOCK_NONBLOCK), 0);
}

ssize_t send_quietly(int fd, const void* bytes, std::size_t size) noexcept {
  return ::send(fd, bytes, size, MSG_NOSIGNAL);
}

void keep_alive(int fd, std::chrono::seconds first, std::chrono::seconds next,
                int probes) noexcept {
  const auto set = [fd](int level, int option, int value) {
    ::setsockopt(fd, level, option, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(first.count()));
  set(IPPROTO_TCP, TCP_KEEPINTVL, static_cast<int>(next.count()));
  set(IPPROTO_TCP, TCP_KEEPCNT, probes);
}

// On a futex: std::atomic::wait has no timeout, and with a condition variable a lane of many
// callers reached less than half of the throughput.
void sleep_while(const std::atomic<std::uint32_t>& word, std::uint32_t value,
                 SteadyTime deadline) noexcept {
  static_assert(sizeof word == sizeof(std::uint32_t));
  // FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC, which steady_clock is.
  const timespec until = timespec_of(deadline.time_since_epoch());
  ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, value, &until, nullptr,
            FUTEX_BITSET_MATCH_ANY);
}

void wake_sleeper(const void* word) noexcept {
  ::syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

struct Poller::Parts {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  const int wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const int clock = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
};

Poller::Poller() : parts_(std::make_unique<Parts>()) {}

Poller::~Poller() {
  close_if_open(parts_->epoll);
  close_if_open(parts_->wake);
  close_if_open(parts_->clock);
}

bool Poller::open() noexcept {
  if (parts_->epoll < 0 || parts_->wake < 0 || parts_->clock < 0) return false;
  for (const int fd : {parts_->wake, parts_->clock}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = static_cast<std::uint64_t>(fd);  // below any pointer to what is watched
    if (::epoll_ctl(parts_->epoll, EPOLL_CTL_ADD, fd, &event) != 0) return false;
  }
  return true;
}

int Poller::descriptor() const noexcept { return parts_->epoll; }

bool Poller::watch(int fd, unsigned before, unsigned now, void* watched) noexcept {
  int operation = EPOLL_CTL_MOD;
  if (now == Reactor::none) operation = EPOLL_CTL_DEL;
  if (before == Reactor::none) operation = EPOLL_CTL_ADD;
  epoll_event event{};
  if ((now & Reactor::readable) != 0) event.events |= EPOLLIN;
  if ((now & Reactor::writable) != 0) event.events |= EPOLLOUT;
  event.data.ptr = watched;
  return ::epoll_ctl(parts_->epoll, operation, fd, &event) == 0;
}

void Poller::set_time(SteadyTime at) noexcept {
  itimerspec when{};
  when.it_value =
      timespec_of(std::max(at.time_since_epoch(), SteadyTime::duration(1)));  // 0 disarms it
  ::timerfd_settime(parts_->clock, TFD_TIMER_ABSTIME, &when, nullptr);
}

void Poller::wake() const noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t size = ::write(parts_->wake, &one, sizeof one);
}

std::span<const Poller::Event> Poller::wait(int milliseconds, Room& room) {
  std::array<epoll_event, std::tuple_size_v<Room>> happened;
  const int count =
      ::epoll_wait(parts_->epoll, happened.data(), static_cast<int>(happened.size()), milliseconds);
  std::size_t told = 0;
  for (const epoll_event& event :
       std::span(happened).first(count > 0 ? static_cast<std::size_t>(count) : 0)) {
    if (event.data.u64 == static_cast<std::uint64_t>(parts_->wake)) {
      take(parts_->wake);
      continue;
    }
    Event& to_tell = room[told++] = {};
    if (event.data.u64 == static_cast<std::uint64_t>(parts_->clock)) {
      take(parts_->clock);
      continue;
    }
    constexpr unsigned broken = EPOLLERR | EPOLLHUP;
    to_tell.watched = event.data.ptr;
    if ((event.events & (EPOLLIN | broken)) != 0) to_tell.ready |= Reactor::readable;
    if ((event.events & (EPOLLOUT | broken)) != 0) to_tell.ready |= Reactor::writable;
  }
  return std::span(room).first(told);
}

}  // namespace websession::internal
