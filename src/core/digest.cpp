#include "digest.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <stdexcept>

namespace websession::internal {
namespace {

unsigned char* raw(std::string& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }
const unsigned char* raw(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

}  // namespace

std::string sha256(std::string_view bytes) {
  std::string digest(digest_bytes, '\0');
  if (EVP_Digest(bytes.data(), bytes.size(), raw(digest), nullptr, EVP_sha256(), nullptr) != 1) {
    throw std::runtime_error("OpenSSL could not compute SHA-256");
  }
  return digest;
}

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
  std::string digest(digest_bytes, '\0');
  // OpenSSL takes no null pointer for an empty key.
  const unsigned char* const key_bytes = raw(key.empty() ? std::string_view("") : key);
  if (HMAC(EVP_sha256(), key_bytes, static_cast<int>(key.size()), raw(bytes), bytes.size(),
           raw(digest), nullptr) == nullptr) {
    throw std::runtime_error("OpenSSL could not compute HMAC-SHA256");
  }
  return digest;
}

// RFC 5869 with one block of output, which is all that 32 bytes need.
std::string derive_key(std::string_view secret, std::string_view purpose) {
  const std::string no_salt(digest_bytes, '\0');
  std::string info(purpose);
  info += '\1';
  return hmac_sha256(hmac_sha256(no_salt, secret), info);
}

}  // namespace websession::internal
