// P7 against a peer that never stops sending: in each state of a connection, plain and over TLS,
// every call ends by its deadline, and the next ones succeed when the server is well again.
#include <gtest/gtest.h>

#include <openssl/ssl.h>
#include <sys/socket.h>

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "certificates.hpp"
#include "connect_redis.hpp"
#include "random.hpp"
#include "reserved_port.hpp"
#include "socket.hpp"
#include "tls_peer.hpp"
#include "websession/redis_store.hpp"

namespace websession::testing {
namespace {

using redis::Descriptor;
using std::chrono::milliseconds;
using std::chrono::seconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds timeout{200};
// What a loaded machine, or a sanitizer, may add to it.
constexpr seconds margin{4};

struct Stream {
  const char* name;
  std::string_view head;  // once
  std::string_view body;  // for ever
  bool of_tls = false;    // records of TLS without data, made by the peer
};
constexpr Stream streams[] = {
    {"an array", "*2147483647\r\n", ":1\r\n"},
    {"a line", "+", "aaaa"},
    {"an error", "-ERR ", "a\r"},
    {"a text", "$536870912\r\n", "aaaa"},
    {"replies", "", "+PONG\r\n"},
    {"new keys", "", "", true},
};
// Of TLS before there are keys: HelloRequest, which a client ignores (RFC 5246, 7.4.1.1).
constexpr Stream hello_requests{"HelloRequest", "",
                                std::string_view("\x16\x03\x03\x00\x04\x00\x00\x00\x00", 9)};

// When it begins: in place of the answer to this word, or after it.
struct State {
  const char* name;
  std::string_view word;
  int occurrence = 1;
  bool answered = false;
};
constexpr State connected{"connected", ""};
constexpr State login_states[] = {
    {"AUTH", "AUTH"},     {"SELECT", "SELECT"},         {"PING", "PING"},
    {"CLIENT", "CLIENT"}, {"SCRIPT LOAD", "SCRIPT", 3}, {"measuring", "PING", 2},
    {"trying", "HSETEX"}, {"trying on", "EXEC", 2},
};
constexpr State in_flight{"load in flight", "HGETALL"};
constexpr State between{"between two replies", "HGETALL", 1, true};
constexpr State idle{"idle", "PTTL", 1, true};

// One end of a connection, in a thread of its own; its calls wait.
class Channel {
 public:
  Channel(Descriptor socket, const TlsPeerOptions* tls) {
    if (tls != nullptr) {
      tls_.emplace(std::move(socket), *tls);
    } else {
      socket_ = std::move(socket);
    }
  }
  bool accept() { return !tls_ || tls_->accept(); }
  std::string read() {
    if (tls_) return tls_->read_some();
    std::string bytes(4096, '\0');
    const ssize_t size = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    return bytes;
  }
  bool write(std::string_view bytes) {
    return tls_ ? tls_->write(bytes) : send_all(socket_.get(), bytes);
  }
  bool send_keys() { return tls_ && tls_->send_keys(); }

  static bool send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

 private:
  std::optional<TlsPeer> tls_;
  Descriptor socket_;
};

// A server that knows no session, and begins a stream when it is told to.
class Peer {
 public:
  explicit Peer(std::optional<TlsPeerOptions> tls) : tls_(std::move(tls)) {
    const int on = 1;
    listener_ = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address = local_address(0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 64), 0);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    accepting_ = std::thread([this] { accept_all(); });
  }
  // After all clients: a stream ends when its client is gone.
  ~Peer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    accepting_.join();
    for (std::thread& thread : serving_) thread.join();
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  [[nodiscard]] int port() const { return port_; }

  void stream_at(const State& state, const Stream& stream) {
    const std::lock_guard lock(mutex_);
    plan_ = Plan{state, stream};
    streaming_ = false;
  }
  void be_well() {
    const std::lock_guard lock(mutex_);
    plan_.reset();
  }
  [[nodiscard]] bool is_streaming() const { return streaming_; }

 private:
  struct Plan {
    State state;
    Stream stream;
  };
  std::optional<Plan> plan() {
    const std::lock_guard lock(mutex_);
    return plan_;
  }

  void accept_all() {
    while (true) {
      Descriptor client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!client) return;
      serving_.emplace_back(
          [this, taken = std::move(client)]() mutable { serve(std::move(taken)); });
    }
  }

  void serve(Descriptor client) {
    if (const auto now = plan(); now && now->state.word.empty()) {
      flood(now->stream,
            [&](std::string_view bytes) { return Channel::send_all(client.get(), bytes); });
      return;
    }
    Channel channel(std::move(client), tls_ ? &*tls_ : nullptr);
    if (!channel.accept()) return;
    std::map<std::string, int> seen;
    std::string unread;
    for (std::string bytes = channel.read(); !bytes.empty(); bytes = channel.read()) {
      unread += bytes;
      while (const std::optional<std::string> word = take_command(unread)) {
        const auto now = plan();
        const bool turn = now && *word == now->state.word && ++seen[*word] == now->state.occurrence;
        if ((!turn || now->state.answered) && !channel.write(answer(*word))) return;
        if (!turn) continue;
        if (now->stream.of_tls) return flood_keys(channel);
        return flood(now->stream, [&](std::string_view part) { return channel.write(part); });
      }
    }
  }

  template <class Write>
  void flood(const Stream& stream, const Write& write) {
    std::string body;
    while (body.size() < 8192) body += stream.body;
    bool open = stream.head.empty() || write(stream.head);
    for (; open; open = write(body)) streaming_ = true;
  }
  void flood_keys(Channel& channel) {
    while (channel.send_keys()) streaming_ = true;
  }

  // The first word of the first whole command: arrays of texts, each with its length.
  static std::optional<std::string> take_command(std::string& bytes) {
    std::size_t at = 0;
    const auto number = [&]() -> std::optional<std::size_t> {
      const std::size_t end = bytes.find("\r\n", at);
      if (end == std::string::npos) return std::nullopt;
      const std::size_t found = std::stoul(bytes.substr(at + 1, end - at - 1));
      at = end + 2;
      return found;
    };
    const std::optional<std::size_t> words = number();
    std::string first;
    for (std::size_t i = 0; words && i < *words; ++i) {
      const std::optional<std::size_t> size = number();
      if (!size || at + *size + 2 > bytes.size()) return std::nullopt;
      if (i == 0) first = bytes.substr(at, *size);
      at += *size + 2;
    }
    if (!words) return std::nullopt;
    bytes.erase(0, at);
    return first;
  }
  static std::string answer(const std::string& word) {
    if (word == "HGETALL") return "*0\r\n";
    if (word == "PTTL") return ":-2\r\n";
    return word == "PING" ? "+PONG\r\n" : "+OK\r\n";
  }

  const std::optional<TlsPeerOptions> tls_;
  Descriptor listener_;
  int port_ = 0;
  std::mutex mutex_;
  std::optional<Plan> plan_;
  std::atomic<bool> streaming_ = false;
  std::vector<std::thread> serving_;
  std::thread accepting_;
};

class EndlessStreams : public ::testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] bool over_tls() const { return GetParam(); }
  void SetUp() override {
    std::optional<TlsPeerOptions> tls;
    if (over_tls()) {
      authority.emplace();
      tls = TlsPeerOptions{authority->issue_for_localhost()};
    }
    peer.emplace(std::move(tls));
  }
  StorePtr make_store() {
    RedisOptions options;
    options.connect_timeout = timeout;
    options.operation_timeout = timeout;
    options.connections = 2;
    if (over_tls()) options.tls.ca_file = authority->certificate_file();
    const std::string scheme = over_tls() ? "rediss" : "redis";
    return connect_redis_later(scheme + "://u:pw@127.0.0.1:" + std::to_string(peer->port()) + "/1",
                               options)
        .value();
  }
  template <class Call>
  static void expect_in_time(const Call& call) {
    const auto start = SteadyClock::now();
    call();
    EXPECT_LT(SteadyClock::now() - start, timeout + margin) << "P7";
  }
  // Three callers at once: one may be first, and the others must not have to wait for it.
  static void load_in_time(SessionStore& store) {
    std::vector<std::thread> callers;
    for (int i = 0; i < 3; ++i) {
      callers.emplace_back([&] { expect_in_time([&] { (void)store.load(key); }); });
    }
    for (std::thread& caller : callers) caller.join();
  }
  void expect_well_again(SessionStore& store) {
    peer->be_well();
    const auto until = SteadyClock::now() + seconds(30);
    Result<std::optional<Record>> loaded = store.load(key);
    while (!loaded.has_value() && SteadyClock::now() < until) {
      std::this_thread::sleep_for(milliseconds(5));
      loaded = store.load(key);
    }
    EXPECT_TRUE(loaded.has_value()) << loaded.error().message();
  }
  void wait_for_stream() {
    while (!peer->is_streaming()) std::this_thread::yield();
  }
  [[nodiscard]] std::vector<Stream> all_streams() const {
    std::vector<Stream> all;
    for (const Stream& stream : streams) {
      if (over_tls() || !stream.of_tls) all.push_back(stream);
    }
    return all;
  }

  inline static const StoreKey key{"key"};
  std::optional<Authority> authority;
  std::optional<Peer> peer;
};

INSTANTIATE_TEST_SUITE_P(Over, EndlessStreams, ::testing::Bool(),
                         [](const auto& tested) { return tested.param ? "Tls" : "Tcp"; });

TEST_P(EndlessStreams, BeforeAWordIsSaid) {
  std::vector<Stream> all = all_streams();
  std::erase_if(all, [](const Stream& stream) { return stream.of_tls; });
  all.push_back(hello_requests);
  for (const Stream& stream : all) {
    SCOPED_TRACE(stream.name);
    peer->stream_at(connected, stream);
    const auto store = make_store();
    load_in_time(*store);
    expect_well_again(*store);
  }
}

TEST_P(EndlessStreams, InEachStepOfTheLogin) {
  Random random;
  const std::vector<Stream> all = all_streams();
  for (const State& state : login_states) {
    SCOPED_TRACE(state.name);
    for (int i = 0; i < 2; ++i) {
      const Stream& stream = all[random.below(all.size())];
      SCOPED_TRACE(stream.name);
      peer->stream_at(state, stream);
      const auto store = make_store();
      load_in_time(*store);
      expect_well_again(*store);
    }
  }
}

TEST_P(EndlessStreams, WhileALoadIsInFlight) {
  for (const State& state : {in_flight, between}) {
    SCOPED_TRACE(state.name);
    for (const Stream& stream : all_streams()) {
      SCOPED_TRACE(stream.name);
      peer->stream_at(state, stream);
      const auto store = make_store();
      load_in_time(*store);
      load_in_time(*store);
      expect_well_again(*store);
    }
  }
}

TEST_P(EndlessStreams, WhileNobodyAsks) {
  for (const Stream& stream : all_streams()) {
    SCOPED_TRACE(stream.name);
    peer->stream_at(idle, stream);
    const auto store = make_store();
    while (!store->load(key).has_value()) {
    }
    wait_for_stream();
    load_in_time(*store);
    expect_well_again(*store);
  }
}

TEST_P(EndlessStreams, DuringTheFarewell) {
  for (const Stream& stream : all_streams()) {
    SCOPED_TRACE(stream.name);
    peer->stream_at(idle, stream);
    auto store = make_store();
    while (!store->load(key).has_value()) {
    }
    wait_for_stream();
    expect_in_time([&] { store.reset(); });
  }
}

}  // namespace
}  // namespace websession::testing
