#include "tls_context.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <new>
#include <utility>

#include "socket.hpp"

namespace websession::redis {
namespace {

Error invalid(std::string detail) {
  ERR_clear_error();
  return make_error(Errc::invalid_argument, std::move(detail));
}

// A file that OpenSSL did not take: because it is not there, or because of what is in it.
Error unusable(const std::string& option, const std::string& file, const std::string& expected) {
  if (::access(file.c_str(), R_OK) != 0) {
    return invalid(option + ": the file cannot be read (" + words(errno) + ")");
  }
  return invalid(option + ": " + expected);
}

Result<void> load_authorities(SSL_CTX* context, const TlsOptions& options) {
  if (options.ca_file.empty() && options.ca_folder.empty()) {
    // A system without any is no mistake yet: the server's certificate tells.
    SSL_CTX_set_default_verify_paths(context);
    return {};
  }
  if (!options.ca_file.empty() && SSL_CTX_load_verify_file(context, options.ca_file.c_str()) != 1) {
    return unusable("tls.ca_file", options.ca_file, "holds no certificate in PEM format");
  }
  if (options.ca_folder.empty()) return {};
  std::error_code ignored;
  if (!std::filesystem::is_directory(options.ca_folder, ignored) ||
      SSL_CTX_load_verify_dir(context, options.ca_folder.c_str()) != 1) {
    return invalid("tls.ca_folder: there is no such folder");
  }
  return {};
}

Result<void> load_identity(SSL_CTX* context, const TlsOptions& options) {
  if (options.certificate_file.empty() && options.key_file.empty()) return {};
  if (options.certificate_file.empty()) {
    return invalid("tls.certificate_file: must be given with tls.key_file");
  }
  if (options.key_file.empty()) {
    return invalid("tls.key_file: must be given with tls.certificate_file");
  }
  // OpenSSL would ask for a passphrase on the terminal.
  SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void*) { return -1; });
  if (SSL_CTX_use_certificate_chain_file(context, options.certificate_file.c_str()) != 1) {
    return unusable("tls.certificate_file", options.certificate_file,
                    "holds no certificate in PEM format");
  }
  if (SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    const unsigned long error = ERR_peek_last_error();
    const bool other = ERR_GET_LIB(error) == ERR_LIB_X509;
    return other ? invalid("tls.key_file: is not the key of tls.certificate_file")
                 : unusable("tls.key_file", options.key_file,
                            "holds no private key in PEM format, without a passphrase");
  }
  return {};
}

Result<std::shared_ptr<SSL_CTX>> make_context(const TlsOptions& options) {
  ERR_clear_error();
  std::unique_ptr<SSL_CTX, FreeSsl> owned(SSL_CTX_new(TLS_client_method()));
  if (!owned) throw std::bad_alloc();
  SSL_CTX* context = owned.get();
  // The system's configuration may ask for more.
  if (SSL_CTX_get_min_proto_version(context) < TLS1_2_VERSION) {
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  }
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(context, options.verify_peer ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (auto loaded = load_authorities(context, options); !loaded) return std::move(loaded).error();
  if (auto loaded = load_identity(context, options); !loaded) return std::move(loaded).error();
  ERR_clear_error();
  return std::shared_ptr<SSL_CTX>(std::move(owned));
}

}  // namespace

void FreeSsl::operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
void FreeSsl::operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }

Result<std::shared_ptr<TlsFiles>> TlsFiles::load(const TlsOptions& options) {
  TlsOptions kept = options;
  kept.reloader.reset();  // which knows this one
  std::shared_ptr<TlsFiles> files(new TlsFiles(std::move(kept)));
  // Before they are read, so that nothing is missed that is replaced meanwhile.
  if (options.reloader != nullptr) options.reloader->contexts().add(files);
  if (auto done = files->reload(); !done) return std::move(done).error();
  return files;
}

Result<void> TlsFiles::reload() {
  const std::lock_guard alone(reading_);
  Result<std::shared_ptr<SSL_CTX>> context = make_context(options_);
  if (!context) return std::move(context).error();
  const std::lock_guard lock(mutex_);
  context_ = *std::move(context);
  return {};
}

std::shared_ptr<SSL_CTX> TlsFiles::context() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

void TlsContext::set_server(const Place& server) {
  server_name_ = only_name_.empty() ? server.host : only_name_;
  // A name written with its root, "redis.example.", stands in certificates without the dot.
  if (server_name_.ends_with('.')) server_name_.pop_back();
  address_ = server.display();
}

std::shared_ptr<const TlsContext> TlsContext::at(const Place& server) const {
  std::shared_ptr<TlsContext> made(new TlsContext(*this));
  made->set_server(server);
  return made;
}

Result<std::shared_ptr<const TlsContext>> TlsContext::load(const TlsOptions& options,
                                                           const Place& server) {
  std::shared_ptr<TlsContext> made(new TlsContext);
  made->only_name_ = options.server_name;
  made->set_server(server);
  if (!is_host(made->server_name_)) {
    return invalid("tls.server_name: is no host name, and no address");
  }
  made->has_certificate_ = !options.certificate_file.empty();

  Result<std::shared_ptr<TlsFiles>> files = TlsFiles::load(options);
  if (!files) return std::move(files).error();
  made->files_ = *files;
  return std::shared_ptr<const TlsContext>(std::move(made));
}

SslPointer TlsContext::open() const {
  SslPointer ssl(SSL_new(files_->context().get()));  // holds on to it
  BIO* incoming = BIO_new(BIO_s_mem());
  BIO* outgoing = BIO_new(BIO_s_mem());
  if (!ssl || incoming == nullptr || outgoing == nullptr) {
    BIO_free(incoming);
    BIO_free(outgoing);
    throw std::bad_alloc();
  }
  SSL_set_bio(ssl.get(), incoming, outgoing);  // they are its own from here on
  SSL_set_connect_state(ssl.get());
  X509_VERIFY_PARAM* expected = SSL_get0_param(ssl.get());
  // What a certificate is for stands in its alternative names, never in its subject (RFC 9525, 2).
  X509_VERIFY_PARAM_set_hostflags(
      expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (X509_VERIFY_PARAM_set1_ip_asc(expected, server_name_.c_str()) == 1) return ssl;
  // A name, then; only names are sent ahead (RFC 6066, 3).
  if (X509_VERIFY_PARAM_set1_host(expected, server_name_.data(), server_name_.size()) != 1 ||
      SSL_set_tlsext_host_name(ssl.get(), server_name_.c_str()) != 1) {
    throw std::bad_alloc();
  }
  return ssl;
}

}  // namespace websession::redis

namespace websession {

TlsReloader::TlsReloader() : contexts_(std::make_unique<Contexts>()) {}
TlsReloader::~TlsReloader() = default;

void TlsReloader::Contexts::add(const std::shared_ptr<redis::TlsFiles>& files) {
  const std::lock_guard lock(mutex_);
  std::erase_if(all_, [](const auto& weak) { return weak.expired(); });
  all_.push_back(files);
}

// Files are read while no lock is held.
Result<void> TlsReloader::Contexts::reload() {
  std::vector<std::weak_ptr<redis::TlsFiles>> all;
  {
    const std::lock_guard lock(mutex_);
    all = all_;
  }
  Result<void> first;
  for (const auto& weak : all) {
    const std::shared_ptr<redis::TlsFiles> files = weak.lock();
    if (files == nullptr) continue;
    Result<void> done = files->reload();
    if (!done && first) first = std::move(done);
  }
  return first;
}

Result<void> TlsReloader::reload() { return contexts_->reload(); }

}  // namespace websession
