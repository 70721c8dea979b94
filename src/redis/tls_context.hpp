// What all connections over TLS have in common: whom to trust, and who we are; for one server.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "place.hpp"
#include "websession/redis_store.hpp"
#include "websession/result.hpp"

namespace websession::redis {

struct FreeSsl {
  void operator()(SSL* ssl) const noexcept;
  void operator()(SSL_CTX* context) const noexcept;
};
using SslPointer = std::unique_ptr<SSL, FreeSsl>;

// What OpenSSL has made of the files; others may put what they hold by now in its place.
class TlsFiles {
 public:
  // As TlsContext::load, which see; known to the options' reloader from then on.
  static Result<std::shared_ptr<TlsFiles>> load(const TlsOptions& options);
  Result<void> reload();
  [[nodiscard]] std::shared_ptr<SSL_CTX> context() const;

 private:
  explicit TlsFiles(TlsOptions options) : options_(std::move(options)) {}

  const TlsOptions options_;
  std::mutex reading_;  // one after the other, so that what is read last stays
  mutable std::mutex mutex_;
  std::shared_ptr<SSL_CTX> context_{};
};

// Safe to share between threads: nothing but the files changes after load.
class TlsContext {
 public:
  // Reads the files of the options; a folder of CAs is looked into later, when a certificate is
  // checked.
  // Error: invalid_argument, which names the option and shows nothing of a file.
  static Result<std::shared_ptr<const TlsContext>> load(const TlsOptions& options,
                                                        const Place& server);
  // The same for another server. Precondition: is_host(server.host), or the options name one.
  [[nodiscard]] std::shared_ptr<const TlsContext> at(const Place& server) const;

  // The client's side of a new connection. It reads and writes in memory only.
  [[nodiscard]] SslPointer open() const;

  // The name or address that the server's certificate must hold.
  [[nodiscard]] const std::string& server_name() const noexcept { return server_name_; }
  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  [[nodiscard]] bool has_certificate() const noexcept { return has_certificate_; }

 private:
  TlsContext() = default;
  void set_server(const Place& server);

  std::shared_ptr<const TlsFiles> files_{};
  std::string only_name_{};  // of the options; empty: each server's own
  std::string server_name_{};
  std::string address_{};
  bool has_certificate_ = false;
};

}  // namespace websession::redis

// Of the stores that have the reloader.
struct websession::TlsReloader::Contexts {
  void add(const std::shared_ptr<redis::TlsFiles>& files);
  Result<void> reload();

 private:
  std::mutex mutex_;
  std::vector<std::weak_ptr<redis::TlsFiles>> all_{};
};
