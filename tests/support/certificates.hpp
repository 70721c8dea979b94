// Certificates for tests, made on the spot. Their keys are of EC P-256, which is quick.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "temporary_folder.hpp"

namespace websession::testing {

// A certificate and its key, in files of PEM format.
struct Identity {
  std::string certificate_file;
  std::string key_file;
};

struct CertificateWish {
  // As OpenSSL writes them: "DNS:localhost", "IP:127.0.0.1".
  std::vector<std::string> names{};
  // Both from now.
  std::chrono::seconds begins = -std::chrono::hours(1);
  std::chrono::seconds ends = std::chrono::hours(1);
  std::string common_name{};  // empty: one that is no host's
};

// A certificate authority with a folder of its own, which is gone with it.
class Authority {
 public:
  Authority();
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  [[nodiscard]] Identity issue(const CertificateWish& wish);
  // For localhost, by name and by address.
  [[nodiscard]] Identity issue_for_localhost();

  [[nodiscard]] const std::string& certificate_file() const { return identity_.certificate_file; }
  // Where the certificate is found by the hash of its name.
  [[nodiscard]] const std::string& certificate_folder() const { return folder_.path(); }
  // A file of the folder, made with this text.
  [[nodiscard]] std::string write(const std::string& name, const std::string& text) const;

 private:
  struct Keys;  // of OpenSSL

  TemporaryFolder folder_{"ca"};
  std::unique_ptr<Keys> keys_;
  Identity identity_;
  int issued_ = 0;
};

// The same key in a file that needs a passphrase. Gives the file's path.
std::string lock_key(const Identity& identity, const std::string& passphrase);

}  // namespace websession::testing
