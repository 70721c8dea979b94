#include "certificates.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace websession::testing {
namespace {

struct Free {
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
  void operator()(X509_EXTENSION* extension) const noexcept { X509_EXTENSION_free(extension); }
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using File = std::unique_ptr<std::FILE, Free>;

void require(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string("certificates: ") + what);
}

void add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, Free> extension(
      X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  require(extension && X509_add_ext(certificate, extension.get(), -1) == 1, "extension");
}

void write_pem(const Identity& identity, X509* certificate, EVP_PKEY* key) {
  const File certificate_file(std::fopen(identity.certificate_file.c_str(), "w"));
  const File key_file(std::fopen(identity.key_file.c_str(), "w"));
  require(certificate_file && PEM_write_X509(certificate_file.get(), certificate) == 1, "write");
  require(key_file &&
              PEM_write_PrivateKey(key_file.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1,
          "write");
}

// A certificate with a name of its own, not signed yet.
Certificate draft(EVP_PKEY* key, const std::string& common_name, long serial,
                  const CertificateWish& wish) {
  Certificate made(X509_new());
  require(made != nullptr, "X509");
  X509_set_version(made.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), wish.begins.count());
  X509_gmtime_adj(X509_getm_notAfter(made.get()), wish.ends.count());
  X509_set_pubkey(made.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  return made;
}

}  // namespace

struct Authority::Keys {
  Key key;
  Certificate certificate;
};

Authority::Authority() {
  identity_ = {folder_.path() + "/ca.pem", folder_.path() + "/ca.key"};
  Key key(EVP_EC_gen("P-256"));
  // Each authority has a name of its own, as in life: with one name, OpenSSL would complain about
  // the signature instead of the unknown issuer.
  const std::string name = "CA " + std::filesystem::path(folder_.path()).filename().string();
  Certificate made = draft(key.get(), name, 1, {});
  X509_set_issuer_name(made.get(), X509_get_subject_name(made.get()));
  add_extension(made.get(), made.get(), NID_basic_constraints, "critical,CA:TRUE");
  add_extension(made.get(), made.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  require(X509_sign(made.get(), key.get(), EVP_sha256()) > 0, "sign");
  write_pem(identity_, made.get(), key.get());
  char hashed[16];
  std::snprintf(hashed, sizeof hashed, "/%08lx.0", X509_subject_name_hash(made.get()));
  std::filesystem::copy_file(identity_.certificate_file, folder_.path() + hashed);
  keys_ = std::make_unique<Keys>(Keys{std::move(key), std::move(made)});
}

Authority::~Authority() = default;

Identity Authority::issue(const CertificateWish& wish) {
  const std::string number = std::to_string(++issued_);
  const std::string name = wish.common_name.empty() ? "certificate " + number : wish.common_name;
  const std::string path = folder_.path() + "/" + number;
  Identity identity{path + ".pem", path + ".key"};
  const Key key(EVP_EC_gen("P-256"));
  const Certificate made = draft(key.get(), name, issued_ + 1, wish);
  X509* issuer = keys_->certificate.get();
  X509_set_issuer_name(made.get(), X509_get_subject_name(issuer));
  std::string names;
  for (const std::string& one : wish.names) names += (names.empty() ? "" : ",") + one;
  if (!names.empty()) add_extension(made.get(), issuer, NID_subject_alt_name, names);
  require(X509_sign(made.get(), keys_->key.get(), EVP_sha256()) > 0, "sign");
  write_pem(identity, made.get(), key.get());
  return identity;
}

Identity Authority::issue_for_localhost() {
  return issue({{"DNS:localhost", "IP:127.0.0.1", "IP:::1"}});
}

std::string Authority::write(const std::string& name, const std::string& text) const {
  const std::string path = folder_.path() + "/" + name;
  std::ofstream(path) << text;
  return path;
}

std::string lock_key(const Identity& identity, const std::string& passphrase) {
  const File plain(std::fopen(identity.key_file.c_str(), "r"));
  require(plain != nullptr, "read");
  const Key key(PEM_read_PrivateKey(plain.get(), nullptr, nullptr, nullptr));
  std::string path = identity.key_file + ".locked";
  const File locked(std::fopen(path.c_str(), "w"));
  require(locked && PEM_write_PKCS8PrivateKey(
                        locked.get(), key.get(), EVP_aes_128_cbc(), passphrase.data(),
                        static_cast<int>(passphrase.size()), nullptr, nullptr) == 1,
          "write");
  return path;
}

}  // namespace websession::testing
