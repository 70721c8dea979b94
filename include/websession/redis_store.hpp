// Sessions in Redis (6.2 or newer, Valkey 7.2 or newer), one hash each: docs/redis-layout.md.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "websession/clock.hpp"
#include "websession/config.hpp"
#include "websession/credentials.hpp"
#include "websession/principal_index.hpp"
#include "websession/session_directory.hpp"
#include "websession/session_store.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// Reads the files of TlsOptions anew when they have been replaced, as a certificate is before it
// expires. One serves any number of stores: give it to their TlsOptions.
//
//   options.tls.reloader = std::make_shared<websession::TlsReloader>();
//   …
//   if (auto done = options.tls.reloader->reload(); !done) log(done.error().message());
//
// Safe to call from many threads at once.
class TlsReloader {
 public:
  TlsReloader();
  ~TlsReloader();
  TlsReloader(const TlsReloader&) = delete;
  TlsReloader& operator=(const TlsReloader&) = delete;

  // For the stores that have it: connections that are made from now on use what the files hold now;
  // those that are there go on, since what they were begun with was good then. Blocks for reading
  // the files, so not on a loop whose disk is slow. Error: invalid_argument, as when the store was
  // made, the first of them; then that store goes on with what it has, and the others have the new.
  Result<void> reload();

  struct Contexts;  // private to the library
  [[nodiscard]] Contexts& contexts() noexcept { return *contexts_; }

 private:
  std::unique_ptr<Contexts> contexts_;
};

// How rediss:// connects: TLS 1.2 or newer. All paths are of files in PEM format, which are read
// when the store is made, and by TlsReloader::reload.
struct TlsOptions {
  // Who may have signed the server's certificate; none: those whom the system trusts.
  std::string ca_file{};
  std::string ca_folder{};  // prepared by `openssl rehash`; looked into when connecting
  // The client's own certificate, with those between it and its CA, for servers that ask for one
  // (tls-auth-clients); and its key, without a passphrase. Both or none.
  std::string certificate_file{};
  std::string key_file{};
  // The name or address that the server's certificate must hold; empty: the URL's host.
  std::string server_name{};
  // Whether the server must prove who it is. Without that, whoever sits between can read and change
  // all sessions: for experiments only.
  bool verify_peer = true;
  // None: the files are not read again.
  std::shared_ptr<TlsReloader> reloader{};

  bool operator==(const TlsOptions&) const = default;
};

// Of the Sentinels that a redis-sentinel:// URL names. What else the URL holds (user, password,
// database) is for the Redis that they watch.
struct SentinelOptions {
  std::string user{};      // empty: the default user
  std::string password{};  // empty: they ask for none
  // With rediss-sentinel://, how to connect to them; none: as to Redis.
  std::optional<TlsOptions> tls{};

  bool operator==(const SentinelOptions&) const = default;
};

// How to use a Redis. The URL says where it is.
struct RedisOptions {
  // Of every key. On a Cluster it has no brace, or one {tag}, which puts all keys on one node.
  std::string prefix = "sid_";
  // Bounds connect() below, and each attempt to connect again (name resolution aside, which is the
  // system's). An operation that must connect first has operation_timeout for all of it. A first
  // packet that is lost is sent again after a second (Linux), so less than that gives up on it.
  std::chrono::milliseconds connect_timeout = std::chrono::milliseconds(1500);
  // Every operation returns by then.
  std::chrono::milliseconds operation_timeout = std::chrono::milliseconds(500);
  // Every write is answered when so many replicas have it as well (WAIT), at most 16: 0, as soon as
  // the primary has it. When too few have it in time the write is there all the same, and
  // `unavailable`, `maybe_applied`. What is acknowledged survives a failover to a replica that has
  // it. Whatever is asked on a connection waits for its writes then, and nothing is repeated: what
  // that costs is in docs/operations.md.
  std::size_t replicas_to_wait_for = 0;
  std::size_t pending_max = 4096;  // operations in flight; more are refused as overloaded
  // Connections to the server (on a Cluster, to each), made when they are first needed; 1 to 64.
  // While no more threads than this are inside, each has one of its own; more share one, which is
  // faster.
  std::size_t connections = 8;
  // A larger record is `corrupt`; on a Cluster 65,536 at least. Keep it at four times
  // SessionOptions::session_bytes_max, as the defaults are: raise both together.
  std::size_t record_bytes_max = std::size_t{256} * 1024;
  std::string client_name = "websession";  // shown by CLIENT LIST; empty: none
  // Takes hashes that other programs wrote, without `@created`, as sessions. Off, they are none.
  bool adopt_foreign_hashes = false;
  // What each new connection to Redis logs in with, in place of the URL's user and password (one of
  // both is an error): for passwords that change, such as the tokens of a cloud. Not for Sentinels.
  CredentialsSource credentials{};
  TlsOptions tls{};                      // with a rediss:// URL only
  SentinelOptions sentinel{};            // with a redis-sentinel:// URL only
  std::shared_ptr<const Clock> clock{};  // none: system_clock()
};

// All threads share a few connections: whoever comes first does the I/O for all; there is no thread
// behind them. After a lost connection the next operation connects again. Safe to use on both sides
// of a fork: a child never touches its parent's connections. (What it connects with has locks of
// its own, which no fork mends: with TLS or a host's name, fork before other threads use OpenSSL or
// resolve names, or the child may wait for ever.) Never raises SIGPIPE.
//
// Its PrincipalIndex is a sorted set a principal, which trims itself; nothing of it outlives a
// session by more than the time to live that the session was last given (on a Cluster, and 20 s and
// the operation timeout).
class RedisStore final : public SessionStore, public PrincipalIndex, public SessionDirectory {
 public:
  // Connects and logs in.
  //
  // URLs: redis://[[user]:password@]host[:port][/database]
  //       rediss://…  the same over TLS, see TlsOptions
  //       unix://[[user]:password@]/path/to/socket[?db=database]
  //       redis-sentinel://[[user]:password@]sentinel[:port][,sentinel[:port]…][/database]#name
  //       rediss-sentinel://…  the same over TLS
  //       redis-cluster://[[user]:password@]node[:port][,node[:port]…]
  //       rediss-cluster://…  the same over TLS
  // Percent-encode special characters of user and password.
  //
  // Errors: invalid_argument (URL, options), unavailable, timeout, rejected (password, rights,
  // certificates).
  // None of them shows the user or the password.
  static Result<std::shared_ptr<RedisStore>> connect(std::string_view url,
                                                     RedisOptions options = {});
  // The same without trying: the first operation connects. For a server that may start before its
  // Redis does. Error: invalid_argument.
  static Result<std::shared_ptr<RedisStore>> connect_later(std::string_view url,
                                                           RedisOptions options = {});
  ~RedisStore() override;

  Result<std::optional<Record>> load(const StoreKey& key) override;
  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override;
  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override;
  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override;
  Result<bool> erase(const StoreKey& key, Grace grace = {}) override;
  [[nodiscard]] PrincipalIndex* index() noexcept override { return this; }
  [[nodiscard]] SessionDirectory* directory() noexcept override { return this; }
  // On a Cluster.
  [[nodiscard]] std::shared_ptr<const KeyPlacement> placement() const override;

  Result<std::vector<StoreKey>> entries(std::string_view principal) override;
  Result<void> forget(std::string_view principal, std::span<const StoreKey> keys,
                      BeingMade made) override;
  Result<void> end_frozen(const StoreKey& key) override;

  Result<DirectoryPage> page(const DirectoryCursor& after, std::size_t about) override;
  Result<SessionCount> count() override;

  struct Impl;  // private to the library
  explicit RedisStore(std::unique_ptr<Impl> impl) noexcept;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace websession
WEBSESSION_API_END
