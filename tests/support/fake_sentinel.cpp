#include "fake_sentinel.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

namespace websession::testing {
namespace {

std::string text(std::string_view word) {
  return "$" + std::to_string(word.size()) + "\r\n" + std::string(word) + "\r\n";
}

void say(const redis::Descriptor& socket, const std::string& bytes) {
  static_cast<void>(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
}

}  // namespace

FakeSentinel::FakeSentinel(std::string answer)
    : listener_(reserve_port(port_)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      answer_(std::move(answer)) {
  if (::listen(listener_.get(), 64) != 0) throw std::runtime_error("cannot listen");
  thread_ = std::thread([this] { run(); });
}

FakeSentinel::~FakeSentinel() { end(); }

void FakeSentinel::end() {
  if (!thread_.joinable()) return;
  is_over_ = true;
  ::eventfd_write(wake_.get(), 1);
  thread_.join();
  clients_.clear();
  listener_ = redis::Descriptor();
}

void FakeSentinel::answer_with(std::string answer) {
  const std::lock_guard lock(mutex_);
  answer_ = std::move(answer);
}

void FakeSentinel::tell(const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  for (const Client& client : clients_) say(client.socket, bytes);
}

std::string FakeSentinel::names(int port) {
  return "*2\r\n" + text("127.0.0.1") + text(std::to_string(port)) + "*0\r\n" + "*3\r\n" +
         text("subscribe") + text("+switch-master") + ":1\r\n";
}

std::string FakeSentinel::moved() {
  return "*3\r\n" + text("message") + text("+switch-master") +
         text("mymaster 127.0.0.1 1 127.0.0.1 2");
}

void FakeSentinel::run() {
  while (!is_over_) {
    std::vector<pollfd> polled{{wake_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    for (const Client& client : clients_) polled.push_back({client.socket.get(), POLLIN, 0});
    ::poll(polled.data(), polled.size(), -1);
    const std::lock_guard lock(mutex_);
    std::size_t i = 2;
    for (Client& client : clients_) {
      if (polled[i++].revents != 0) hear(client);
    }
    std::erase_if(clients_, [](const Client& client) { return !client.socket; });
    if ((polled[1].revents & POLLIN) != 0) {
      clients_.push_back({redis::Descriptor(::accept(listener_.get(), nullptr, nullptr))});
    }
  }
}

void FakeSentinel::hear(Client& client) {
  std::array<char, 4096> buffer;
  const ssize_t size = ::recv(client.socket.get(), buffer.data(), buffer.size(), 0);
  if (size <= 0) {
    client.socket = redis::Descriptor();
    return;
  }
  client.heard.append(buffer.data(), static_cast<std::size_t>(size));
  if (client.heard.find("+switch-master\r\n") == std::string::npos) return;
  client.heard.clear();
  ++asked_;
  if (!answer_.empty()) say(client.socket, answer_);
}

}  // namespace websession::testing
