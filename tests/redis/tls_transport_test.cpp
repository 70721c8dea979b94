// TLS between the transport and a peer in the same process.
#include "tls_transport.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <functional>
#include <thread>

#include "random.hpp"
#include "tls_peer.hpp"

namespace websession::redis {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Authority;
using testing::Identity;
using testing::Random;
using testing::TlsPeer;
using testing::TlsPeerOptions;

// What a loaded machine may add to a deadline before a thread runs again.
constexpr milliseconds scheduling_margin{2000};

SteadyTime in(milliseconds time) { return std::chrono::steady_clock::now() + time; }
SteadyTime soon() { return in(seconds(20)); }
SteadyTime at_once() { return in(milliseconds(0)); }

struct Ends {
  Descriptor client;
  Descriptor server;
};

// buffer_bytes: what the kernel keeps between the ends, one way; 0: much.
Ends make_ends(int buffer_bytes = 0) {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0) std::abort();
  for (const int fd : fds) {
    if (buffer_bytes == 0) continue;
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
  }
  ::fcntl(fds[0], F_SETFL, O_NONBLOCK);
  return {Descriptor(fds[0]), Descriptor(fds[1])};
}

// Whatever is read, until the connection ends or the deadline passes.
std::string read_all(Transport& transport, std::size_t size, std::size_t at_most = 16 * 1024) {
  std::string all;
  std::string buffer(at_most, '\0');
  while (all.size() < size) {
    const Result<std::size_t> some = transport.read_some(buffer, soon());
    if (!some) {
      ADD_FAILURE() << some.error().message();
      break;
    }
    all += buffer.substr(0, *some);
  }
  return all;
}

void write_all(Transport& transport, std::string_view bytes) {
  while (!bytes.empty()) {
    const Result<std::size_t> some = transport.write_some(bytes, soon());
    ASSERT_TRUE(some) << some.error().message();
    bytes.remove_prefix(*some);
  }
}

class TlsTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::shared_ptr<const TlsContext> context(const std::string& host = "localhost") {
    TlsOptions options;
    options.ca_file = authority.certificate_file();
    return TlsContext::load(options, {.host = host}).value();
  }
  [[nodiscard]] TlsPeerOptions peer_options() { return {authority.issue_for_localhost()}; }

  // Both sides of a connection whose handshake is done; the peer does not block.
  struct Link {
    std::unique_ptr<Transport> client;
    std::unique_ptr<TlsPeer> peer;
  };
  Link link(const TlsPeerOptions& options, int buffer_bytes = 0) {
    Ends ends = make_ends(buffer_bytes);
    Link made;
    made.peer = std::make_unique<TlsPeer>(std::move(ends.server), options);
    std::thread accepting([&] { EXPECT_TRUE(made.peer->accept()); });
    auto client = start_tls(context(), std::move(ends.client), soon());
    accepting.join();
    EXPECT_TRUE(client) << client.error().message();
    made.client = *std::move(client);
    made.peer->set_blocking(false);
    return made;
  }

  // The error of a handshake with a server that this is all of.
  Error refusal(const std::function<void(Descriptor)>& server, milliseconds time = seconds(20)) {
    Ends ends = make_ends();
    std::thread serving([&] { server(std::move(ends.server)); });
    const auto start = std::chrono::steady_clock::now();
    auto client = start_tls(context(), std::move(ends.client), in(time));
    EXPECT_LT(std::chrono::steady_clock::now() - start, time + scheduling_margin) << "P7";
    serving.join();
    EXPECT_FALSE(client);
    return client ? Error{} : client.error();
  }

  Authority authority;
};

class TlsVersions : public TlsTest, public ::testing::WithParamInterface<int> {
 protected:
  [[nodiscard]] TlsPeerOptions of_version() {
    TlsPeerOptions options = peer_options();
    options.version = GetParam();
    return options;
  }
};

INSTANTIATE_TEST_SUITE_P(Version, TlsVersions, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& tested) {
                           return tested.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

// An echo over a narrow pipe: the peer stops reading while it cannot write, so that writing ends
// only because another thread reads.
TEST_P(TlsVersions, OneThreadWritesWhileAnotherReads) {
  Random random;
  const std::string sent = random.bytes(std::size_t{4} * 1024 * 1024);
  Link link = this->link(of_version(), 8 * 1024);
  link.peer->set_blocking(true);
  std::thread echo([&] {
    for (int i = 0;; ++i) {
      const std::string bytes = link.peer->read_some();
      if (bytes.empty() || !link.peer->write(bytes)) return;
      if (GetParam() == TLS1_3_VERSION && i % 16 == 0) link.peer->update_keys();
    }
  });
  std::thread writer([&] { write_all(*link.client, sent); });
  EXPECT_TRUE(read_all(*link.client, sent.size()) == sent);
  writer.join();
  link.client.reset();
  echo.join();
  EXPECT_TRUE(link.peer->heard_goodbye());
}

// Whatever the order of reads, writes and deadlines: what write_some() has not counted has not
// arrived, and what it has counted has arrived as soon as the peer looks.
TEST_P(TlsVersions, AWriteThatReachesItsDeadlineHasNotPassed) {
  Random random;
  const std::string sent = random.bytes(std::size_t{1024} * 1024);
  const std::string answers = random.bytes(sent.size());
  Link link = this->link(of_version(), 4 * 1024);
  std::size_t passed = 0;
  std::size_t timeouts = 0;
  std::size_t answered = 0;
  std::size_t answers_read = 0;
  std::string arrived;
  std::string buffer(16 * 1024, '\0');
  while (passed < sent.size()) {
    const std::size_t step = random.below(8);
    if (step < 4) {
      // What is retried may have grown meanwhile, and never shrinks.
      const std::size_t size = std::min(sent.size() - passed, 20'000 + random.below(20'000));
      const auto written =
          link.client->write_some(std::string_view(sent).substr(passed, size), at_once());
      if (written) {
        passed += *written;
      } else {
        ASSERT_EQ(written.error().code, Errc::timeout) << written.error().message();
        ++timeouts;
      }
    } else if (step == 4) {
      arrived += link.peer->read_available();
      ASSERT_EQ(arrived.size(), passed);
    } else if (step == 5) {
      arrived += link.peer->read_some(1 + random.below(1000));
      ASSERT_LE(arrived.size(), passed);
    } else if (step == 6 && answered == answers_read) {
      // One at a time, so that the peer's way is never full: it could not even read until its new
      // keys are on their way.
      if (GetParam() == TLS1_3_VERSION && random.below(4) == 0) link.peer->update_keys();
      const std::size_t size = 1 + random.below(100);
      ASSERT_TRUE(link.peer->write(std::string_view(answers).substr(answered, size)));
      answered += size;
    } else {
      const auto read = link.client->read_some(buffer, at_once());
      if (!read) {
        ASSERT_EQ(read.error().code, Errc::timeout) << read.error().message();
      } else {
        ASSERT_EQ(buffer.substr(0, *read), answers.substr(answers_read, *read));
        answers_read += *read;
      }
    }
  }
  arrived += link.peer->read_available();
  EXPECT_TRUE(arrived == sent);
  EXPECT_GT(timeouts, 10U) << "the case has been tried";
}

// A record that was given up half-way is never completed, not even by the farewell: its bytes were
// reported as not sent.
TEST_P(TlsVersions, WhatWasGivenUpNeverArrives) {
  Link link = this->link(of_version(), 4 * 1024);
  const std::string bytes(16 * 1024, 'x');
  std::size_t passed = 0;
  while (true) {
    const auto written = link.client->write_some(bytes, at_once());
    if (!written) break;
    passed += *written;
  }
  std::string arrived = link.peer->read_available();
  EXPECT_EQ(arrived.size(), passed);
  std::string buffer(100, '\0');
  ASSERT_TRUE(link.peer->write("answer"));
  ASSERT_TRUE(link.client->read_some(buffer, soon()));
  EXPECT_EQ(link.client->read_some(buffer, at_once()).error().code, Errc::timeout);
  link.client.reset();
  arrived += link.peer->read_available();
  EXPECT_EQ(arrived.size(), passed);
}

TEST_P(TlsVersions, WhatIsDecryptedAlreadyIsReadWithoutWaiting) {
  Link link = this->link(of_version());
  Random random;
  const std::string sent = random.bytes(10'000);
  ASSERT_TRUE(link.peer->write(sent));
  EXPECT_TRUE(read_all(*link.client, sent.size(), 7) == sent);
  std::string buffer(10, '\0');
  EXPECT_EQ(link.client->read_some(buffer, at_once()).error().code, Errc::timeout);
}

// The tickets of TLS 1.3, and new keys, come unasked and are no reason to leave a connection.
TEST_P(TlsVersions, IsStaleWhenThereIsDataOrTheEnd) {
  Link link = this->link(of_version());
  EXPECT_FALSE(link.client->is_stale());
  EXPECT_FALSE(link.client->has_ended());
  ASSERT_TRUE(link.peer->write("?"));
  EXPECT_TRUE(link.client->is_stale());
  EXPECT_FALSE(link.client->has_ended());
  if (GetParam() == TLS1_3_VERSION) link.peer->update_keys();
  ASSERT_TRUE(link.peer->write("!"));
  EXPECT_EQ(read_all(*link.client, 2), "?!") << "looking has taken nothing away";
  EXPECT_FALSE(link.client->is_stale());
  link.peer->say_goodbye();
  EXPECT_TRUE(link.client->is_stale());
  EXPECT_TRUE(link.client->has_ended());
  std::string buffer(10, '\0');
  EXPECT_EQ(link.client->read_some(buffer, soon()).error().code, Errc::unavailable);
}

TEST_P(TlsVersions, ABareEndIsAnEnd) {
  Link link = this->link(of_version());
  ASSERT_TRUE(link.peer->write("last words"));
  link.peer->close();
  EXPECT_TRUE(link.client->is_stale());
  EXPECT_TRUE(link.client->has_ended());
  EXPECT_EQ(read_all(*link.client, 10), "last words");
  std::string buffer(10, '\0');
  const auto read = link.client->read_some(buffer, soon());
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::unavailable) << read.error().message();
}

// SIGPIPE would end this process.
TEST_P(TlsVersions, WritingToAClosedConnectionIsAnErrorAndNoSignal) {
  Link link = this->link(of_version());
  link.peer->close();
  std::thread with_signals([&] {
    for (int i = 0; i < 3; ++i) {
      const auto written = link.client->write_some("x", soon());
      ASSERT_FALSE(written);
      EXPECT_EQ(written.error().code, Errc::unavailable) << written.error().message();
    }
    link.client.reset();
  });
  with_signals.join();
}

TEST_P(TlsVersions, ShuttingDownWakesReaderAndWriter) {
  Link link = this->link(of_version(), 4 * 1024);
  std::atomic<int> inside = 0;
  std::thread reader([&] {
    std::string buffer(10, '\0');
    ++inside;
    const auto read = link.client->read_some(buffer, soon());
    EXPECT_EQ(read.error().code, Errc::unavailable);
  });
  std::thread writer([&] {
    const std::string bytes(16 * 1024, 'x');
    while (true) {
      const auto written = link.client->write_some(bytes, in(milliseconds(1)));
      if (!written) break;  // the pipe is full
    }
    ++inside;
    const auto written = link.client->write_some(bytes, soon());
    EXPECT_EQ(written.error().code, Errc::unavailable);
  });
  while (inside < 2) std::this_thread::yield();
  const auto start = std::chrono::steady_clock::now();
  link.client->shut_down();
  reader.join();
  writer.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, scheduling_margin);
}

// The parent goes on using what a forked child lets go of.
TEST_P(TlsVersions, DisowningSaysNothing) {
  Link link = this->link(of_version());
  link.client->disown();
  link.client.reset();
  link.peer->set_blocking(true);
  EXPECT_EQ(link.peer->read_some(), "");
  EXPECT_FALSE(link.peer->heard_goodbye());
}

// Byte by byte, both ways, with the handshake.
TEST_P(TlsVersions, PiecesOfRecordsArePutTogether) {
  Ends near = make_ends();
  Ends far = make_ends();
  const auto pump = [](int from, int to) {
    char byte = 0;
    const auto pass = [&](auto act) {
      while (act() < 0) {
        if (errno != EAGAIN) return false;
        std::this_thread::yield();
      }
      return true;
    };
    ssize_t got = 0;
    while (pass([&] { return got = ::recv(from, &byte, 1, 0); }) && got == 1) {
      if (!pass([&] { return ::send(to, &byte, 1, MSG_NOSIGNAL); })) break;
    }
    ::shutdown(to, SHUT_WR);
  };
  std::thread up([&] { pump(near.server.get(), far.client.get()); });
  std::thread down([&] { pump(far.client.get(), near.server.get()); });
  TlsPeer peer(std::move(far.server), of_version());
  std::thread serving([&] {
    ASSERT_TRUE(peer.accept());
    while (true) {
      const std::string bytes = peer.read_some();
      if (bytes.empty() || !peer.write(bytes)) break;
    }
    peer.close();
  });
  auto client = start_tls(context(), std::move(near.client), soon());
  ASSERT_TRUE(client) << client.error().message();
  Random random;
  const std::string sent = random.bytes(5000);
  write_all(**client, sent);
  EXPECT_TRUE(read_all(**client, sent.size()) == sent);
  client->reset();
  serving.join();
  up.join();
  down.join();
}

TEST_F(TlsTest, TheNameIsSentAheadAndAnAddressIsNot) {
  for (const auto& [host, expected] :
       {std::pair<std::string, std::string>("localhost", "localhost"),
        {"localhost.", "localhost"},
        {"127.0.0.1", ""},
        {"::1", ""}}) {
    Ends ends = make_ends();
    TlsPeer peer(std::move(ends.server), peer_options());
    std::thread accepting([&] { EXPECT_TRUE(peer.accept()); });
    auto client = start_tls(context(host), std::move(ends.client), soon());
    accepting.join();
    EXPECT_TRUE(client) << host << ": " << client.error().message();
    EXPECT_EQ(peer.server_name(), expected) << host;
    EXPECT_EQ(peer.version(), "TLSv1.3");
  }
}

TEST_F(TlsTest, ACertificateThatProvesNothingIsRejected) {
  Authority stranger;
  const auto hours = [](int n) { return std::chrono::hours(n); };
  const auto named = [&](const std::string& common_name, std::vector<std::string> names) {
    testing::CertificateWish wish{std::move(names)};
    wish.common_name = common_name;
    return authority.issue(wish);
  };
  struct Case {
    Identity identity;
    std::string advice;
  };
  for (const Case& wrong : {
           Case{stranger.issue_for_localhost(), "tls.ca_file"},
           Case{authority.issue({{"DNS:elsewhere.example", "IP:127.0.0.1"}}), "tls.server_name"},
           Case{authority.issue({{"DNS:l*calhost"}}), "tls.server_name"},
           // The subject is not consulted (RFC 9525), whatever kinds of names stand beside it.
           Case{named("localhost", {}), "tls.server_name"},
           Case{named("localhost", {"email:a@localhost"}), "tls.server_name"},
           Case{named("localhost", {"IP:127.0.0.1"}), "tls.server_name"},
           Case{authority.issue({{"DNS:localhost"}, -hours(2), -hours(1)}), "has expired"},
           Case{authority.issue({{"DNS:localhost"}, hours(1), hours(2)}), "not valid yet"},
       }) {
    const Error error = refusal([&](Descriptor socket) {
      TlsPeer peer(std::move(socket), {wrong.identity});
      EXPECT_FALSE(peer.accept()) << "the server learns that it was refused";
    });
    EXPECT_EQ(error.code, Errc::rejected) << error.message();
    EXPECT_NE(error.detail.find(wrong.advice), std::string::npos) << error.detail;
    EXPECT_NE(error.detail.find("localhost:6379"), std::string::npos) << error.detail;
  }
}

TEST_F(TlsTest, AServerOfOldVersionsIsRejected) {
  const Error error = refusal([&](Descriptor socket) {
    TlsPeerOptions options = peer_options();
    options.version = TLS1_1_VERSION;
    TlsPeer peer(std::move(socket), options);
    EXPECT_FALSE(peer.accept());
  });
  EXPECT_EQ(error.code, Errc::rejected) << error.message();
  EXPECT_NE(error.detail.find("TLS 1.2"), std::string::npos) << error.detail;
}

// P7
TEST_F(TlsTest, AServerThatStallsInTheHandshakeCostsTheDeadline) {
  for (const std::string said : {"", "\x16\x03\x03"}) {
    Descriptor kept;
    const Error error = refusal(
        [&](Descriptor socket) {
          EXPECT_EQ(::send(socket.get(), said.data(), said.size(), MSG_NOSIGNAL),
                    static_cast<ssize_t>(said.size()));
          kept = std::move(socket);
        },
        milliseconds(50));
    EXPECT_EQ(error.code, Errc::timeout) << error.message();
    EXPECT_NE(error.detail.find(said.empty() ? "use redis://" : "did not finish"),
              std::string::npos)
        << error.detail;
  }
}

TEST_F(TlsTest, AServerThatLeavesInTheHandshakeIsUnavailable) {
  for (const std::string said : {"", "\x16", "\x16\x03\x03\x00\x40\x02"}) {
    const Error error = refusal([&](Descriptor socket) {
      char hello = 0;
      EXPECT_EQ(::recv(socket.get(), &hello, 1, 0), 1);
      EXPECT_EQ(::send(socket.get(), said.data(), said.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(said.size()));
    });
    EXPECT_EQ(error.code, Errc::unavailable) << error.message();
    EXPECT_NE(error.detail.find("tls-port"), std::string::npos) << error.detail;
  }
}

TEST_F(TlsTest, AServerWithoutTlsIsRejected) {
  for (const std::string said : {"-ERR unknown command\r\n", "-DENIED Redis is running in\r\n",
                                 "HTTP/1.1 400 Bad Request\r\n\r\n"}) {
    const Error error = refusal([&](Descriptor socket) {
      char hello = 0;
      EXPECT_EQ(::recv(socket.get(), &hello, 1, 0), 1);
      EXPECT_EQ(::send(socket.get(), said.data(), said.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(said.size()));
    });
    EXPECT_EQ(error.code, Errc::rejected) << error.message();
    EXPECT_NE(error.detail.find("use redis://"), std::string::npos) << error.detail;
  }
}

class TlsOptionsTest : public TlsTest {
 protected:
  static void expect_refused(const std::string& option, const TlsOptions& options) {
    const auto loaded = RedisStore::connect_later("rediss://localhost", {.tls = options});
    ASSERT_FALSE(loaded) << option;
    EXPECT_EQ(loaded.error().code, Errc::invalid_argument);
    EXPECT_TRUE(loaded.error().detail.starts_with(option + ":")) << loaded.error().detail;
    EXPECT_EQ(loaded.error().detail.find("MII"), std::string::npos) << "a file's contents";
  }
};

TEST_F(TlsOptionsTest, BadFilesAreRefusedByTheNameOfTheOption) {
  const Identity identity = authority.issue_for_localhost();
  const Identity other = authority.issue_for_localhost();
  const std::string nowhere = authority.certificate_folder() + "/nowhere.pem";
  const std::string text = authority.write("text", "no certificate\n");
  const std::string empty = authority.write("empty", "");
  const std::string cut = authority.write(
      "cut", "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmg\n-----END CERTIFICATE-----\n");
  const std::string& certificate = identity.certificate_file;
  for (const std::string& bad : {nowhere, text, empty, cut}) {
    expect_refused("tls.ca_file", {.ca_file = bad});
    expect_refused("tls.ca_folder", {.ca_folder = bad});
    expect_refused("tls.certificate_file", {.certificate_file = bad, .key_file = other.key_file});
    expect_refused("tls.key_file", {.certificate_file = certificate, .key_file = bad});
  }
  expect_refused("tls.key_file", {.certificate_file = certificate});
  expect_refused("tls.certificate_file", {.key_file = identity.key_file});
  expect_refused("tls.key_file", {.certificate_file = certificate, .key_file = other.key_file});
  expect_refused("tls.server_name", {.server_name = std::string(300, 'x')});
  expect_refused("tls.server_name", {.server_name = ".localhost"});
  EXPECT_TRUE(RedisStore::connect_later(
      "rediss://localhost",
      {.tls = {.certificate_file = certificate, .key_file = identity.key_file}}));
}

// It must not ask for the passphrase on the terminal, either.
TEST_F(TlsOptionsTest, AKeyWithAPassphraseIsRefused) {
  const Identity identity = authority.issue_for_localhost();
  const std::string locked = testing::lock_key(identity, "secret");
  expect_refused("tls.key_file",
                 {.certificate_file = identity.certificate_file, .key_file = locked});
}

TEST_F(TlsOptionsTest, AreNotIgnoredWithoutTls) {
  for (const char* url : {"redis://localhost", "unix:///run/redis.sock"}) {
    const auto store =
        RedisStore::connect_later(url, {.tls = {.ca_file = authority.certificate_file()}});
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, Errc::invalid_argument);
    EXPECT_TRUE(store.error().detail.starts_with("tls:")) << store.error().detail;
  }
}

}  // namespace
}  // namespace websession::redis
