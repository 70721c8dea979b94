#include "tcp_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <future>
#include <stdexcept>
#include <utility>

#include "reserved_port.hpp"

namespace websession::testing {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t read_size = std::size_t{64} * 1024;
// A flow that holds this much reads no more, as a full socket would not.
constexpr std::size_t queued_max = std::size_t{4} * 1024 * 1024;

int tcp_socket() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) throw std::runtime_error("proxy: no socket");
  return fd;
}

void send_at_once(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

// One direction of a link.
struct TcpProxy::Flow {
  struct Chunk {
    Time due;
    std::string bytes;
  };

  Flow(Way its_way, int its_source, int its_sink)
      : way(its_way), source(its_source), sink(its_sink) {}

  Way way;
  int source;
  int sink;
  std::deque<Chunk> chunks{};
  std::size_t offset = 0;  // what of the first chunk has gone
  std::size_t queued = 0;
  Time next_byte{};      // when trickling
  bool ended = false;    // the source has: the link ends when all is delivered
  bool blocked = false;  // the sink takes no more for now

  [[nodiscard]] bool wants_more() const { return !ended && queued < queued_max; }
  [[nodiscard]] std::optional<Time> due() const {
    if (chunks.empty() || blocked) return std::nullopt;
    return std::max(chunks.front().due, next_byte);
  }
};

struct TcpProxy::Link {
  Link(int its_client, int its_server)
      : client(its_client),
        server(its_server),
        requests(Way::requests, client, server),
        replies(Way::replies, server, client) {}
  ~Link() {
    ::close(client);
    ::close(server);
  }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  int client;
  int server;
  Flow requests;
  Flow replies;
  bool stalled = false;
  bool babbles = false;
  bool over = false;
};

TcpProxy::TcpProxy(int server_port) : server_port_(server_port), buffer_(read_size) {
  reservation_ = reserve_port(port_);
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0) throw std::runtime_error("proxy: no eventfd");
  listen();
  thread_ = std::thread([this] { run(); });
}

TcpProxy::~TcpProxy() {
  perform([this] { stopping_ = true; });
  thread_.join();
  links_.clear();
  if (listener_ >= 0) ::close(listener_);
  ::close(reservation_);
  ::close(wake_);
}

void TcpProxy::forward() {
  perform([this] {
    if (listener_ < 0) listen();
    silent_ = false;
    cut_.reset();
    pause_.reset();
    replacement_.reset();
    babbling_ = false;
    std::erase_if(links_, [](const auto& link) { return link->babbles; });
    for (const auto& link : links_) link->stalled = false;
  });
}

void TcpProxy::refuse() {
  perform([this] {
    if (listener_ >= 0) ::close(std::exchange(listener_, -1));
  });
}

void TcpProxy::stay_silent() {
  perform([this] { silent_ = true; });
}

void TcpProxy::cut(Way way, std::size_t bytes, End end) {
  perform([=, this] { cut_ = Cut{way, bytes, end}; });
}

void TcpProxy::trickle(std::chrono::nanoseconds pause) {
  perform([=, this] { pause_ = pause; });
}

void TcpProxy::replace_next_reply(std::string bytes) {
  perform([&] { replacement_ = std::move(bytes); });
}

void TcpProxy::inject(std::string bytes) {
  perform([&] {
    for (const auto& link : links_) {
      link->replies.queued += bytes.size();
      link->replies.chunks.push_back({SteadyClock::now(), bytes});
    }
  });
}

void TcpProxy::forget_all() {
  perform([this] {
    for (const auto& link : links_) link->stalled = true;
  });
}

void TcpProxy::babble() {
  perform([this] { babbling_ = true; });
}

void TcpProxy::close_all() {
  perform([this] { end_all(End::close); });
}

void TcpProxy::reset_all() {
  perform([this] { end_all(End::reset); });
}

void TcpProxy::delay(std::chrono::nanoseconds each_way) {
  perform([=, this] { delay_ = each_way; });
}

TcpProxy::Counters TcpProxy::counters() {
  Counters now;
  perform([&] { now = counters_; });
  return now;
}

void TcpProxy::perform(const std::function<void()>& task) {
  std::promise<void> done;
  {
    const std::lock_guard lock(mutex_);
    tasks_.emplace_back([&] {
      task();
      done.set_value();
    });
  }
  ::eventfd_write(wake_, 1);
  done.get_future().get();
}

void TcpProxy::run_tasks() {
  eventfd_t ignored = 0;
  ::eventfd_read(wake_, &ignored);
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (const auto& task : tasks) task();
}

void TcpProxy::run() {
  ::prctl(PR_SET_TIMERSLACK, 1UL);  // a delay of 250 µs must not become 300
  while (!stopping_) wait();
}

// Waits until there is something to do, and does it.
void TcpProxy::wait() {
  static constexpr std::size_t fixed = 2;
  std::vector<pollfd> waiting = {{wake_, POLLIN, 0}, {listener_, POLLIN, 0}};
  std::optional<Time> next;
  for (const auto& link : links_) {
    // poll() passes over a negative descriptor: a stalled link is not even watched for its end.
    const bool still = silent_ || link->stalled;
    const auto watch = [&](int fd, const Flow& in, const Flow& out) {
      const int events = (in.wants_more() ? POLLIN : 0) | (out.blocked ? POLLOUT : 0);
      waiting.push_back({still || events == 0 ? -1 : fd, static_cast<short>(events), 0});
      const std::optional<Time> due = still ? std::nullopt : out.due();
      if (due) next = std::min(*due, next.value_or(*due));
    };
    watch(link->client, link->requests, link->replies);
    watch(link->server, link->replies, link->requests);
  }
  timespec timeout{};
  if (next) {
    const auto left = std::max(*next - SteadyClock::now(), SteadyClock::duration(0));
    const auto whole = std::chrono::floor<std::chrono::seconds>(left);
    timeout = {static_cast<time_t>(whole.count()),
               static_cast<long>(std::chrono::nanoseconds(left - whole).count())};
  }
  if (::ppoll(waiting.data(), waiting.size(), next ? &timeout : nullptr, nullptr) < 0) return;

  for (std::size_t i = 0; i < links_.size(); ++i) {
    if (silent_ || links_[i]->stalled) continue;
    serve(*links_[i], waiting[fixed + 2 * i].revents != 0, waiting[fixed + 2 * i + 1].revents != 0);
  }
  std::erase_if(links_, [](const auto& link) { return link->over; });
  if (waiting[1].revents != 0) accept_all();
  // Last, since tasks change what the descriptors above belong to.
  if (waiting[0].revents != 0) run_tasks();
}

void TcpProxy::listen() {
  listener_ = tcp_socket();
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = local_address(port_);
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_, 512) != 0) {
    throw std::runtime_error("proxy: cannot listen");
  }
}

void TcpProxy::accept_all() {
  while (true) {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) return;
    const int server = tcp_socket();
    send_at_once(client);
    send_at_once(server);
    const sockaddr_in address = local_address(server_port_);
    // If it fails, reading from it says so, and the client loses its connection.
    ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    links_.push_back(std::make_unique<Link>(client, server));
    if (babbling_) {
      links_.back()->babbles = true;
      links_.back()->replies.chunks.push_back({SteadyClock::now(), "+"});
      links_.back()->replies.queued = 1;
    }
    ++counters_.connections;
  }
}

void TcpProxy::serve(Link& link, bool client_ready, bool server_ready) {
  if (client_ready) {
    link.replies.blocked = false;
    if (link.requests.wants_more()) receive(link, link.requests);
  }
  if (server_ready) {
    link.requests.blocked = false;
    if (link.replies.wants_more()) receive(link, link.replies);
  }
  deliver(link, link.requests);
  deliver(link, link.replies);
}

void TcpProxy::receive(Link& link, Flow& flow) {
  const ssize_t size = ::recv(flow.source, buffer_.data(), buffer_.size(), 0);
  if (size < 0 && would_block()) return;
  if (size <= 0) {
    flow.ended = true;
    if (flow.chunks.empty()) link.over = true;
    return;
  }
  if (link.babbles && flow.way == Way::replies) return;
  std::string bytes(buffer_.data(), static_cast<std::size_t>(size));
  if (flow.way == Way::replies && replacement_) {
    bytes = *std::exchange(replacement_, std::nullopt);
    if (bytes.empty()) return;
  }
  flow.queued += bytes.size();
  flow.chunks.push_back({SteadyClock::now() + delay_, std::move(bytes)});
}

void TcpProxy::add_babble(Flow& replies) {
  if (!replies.chunks.empty()) return;
  replies.chunks.push_back({SteadyClock::now(), std::string(read_size, 'a')});
  replies.queued = read_size;
}

void TcpProxy::deliver(Link& link, Flow& flow) {
  if (link.babbles && flow.way == Way::replies) add_babble(flow);
  const bool trickles = pause_ && flow.way == Way::replies;
  while (!link.over && !link.stalled && flow.due() && *flow.due() <= SteadyClock::now()) {
    const std::string& bytes = flow.chunks.front().bytes;
    std::size_t size = bytes.size() - flow.offset;
    if (trickles) size = 1;
    const bool counts = cut_ && cut_->way == flow.way;
    if (counts) size = std::min(size, cut_->bytes_left);
    const ssize_t sent =
        size == 0 ? 0 : ::send(flow.sink, bytes.data() + flow.offset, size, MSG_NOSIGNAL);
    if (sent < 0) {
      // Not connected yet counts as full.
      if (would_block()) {
        flow.blocked = true;
      } else {
        link.over = true;
      }
      return;
    }
    const auto gone = static_cast<std::size_t>(sent);
    (flow.way == Way::requests ? counters_.request_bytes : counters_.reply_bytes) += gone;
    flow.offset += gone;
    flow.queued -= gone;
    if (flow.offset == bytes.size()) {
      flow.chunks.pop_front();
      flow.offset = 0;
    }
    if (trickles) flow.next_byte = SteadyClock::now() + *pause_;
    if (counts) {
      cut_->bytes_left -= gone;
      if (cut_->bytes_left == 0) end(link, std::exchange(cut_, std::nullopt)->end);
    }
  }
  if (flow.ended && flow.chunks.empty()) link.over = true;
}

void TcpProxy::end(Link& link, End how) {
  if (how == End::stall) {
    link.stalled = true;
    return;
  }
  if (how == End::reset) {
    const linger now{1, 0};
    ::setsockopt(link.client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  link.over = true;
}

void TcpProxy::end_all(End how) {
  for (const auto& link : links_) end(*link, how);
  links_.clear();
}

}  // namespace websession::testing
