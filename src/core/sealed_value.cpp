#include "sealed_value.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cstdint>
#include <optional>
#include <stdexcept>

#include "base64.hpp"
#include "digest.hpp"
#include "random_bytes.hpp"

namespace websession::internal {
namespace {

// OpenSSL counts bytes in ints.
constexpr std::size_t value_bytes_max = std::size_t{1} << 30U;

unsigned char* raw(std::string& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }
const unsigned char* raw(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

void require(bool succeeded) {
  if (!succeeded) throw std::runtime_error("OpenSSL could not compute AES-256-GCM");
}

Error corrupt(std::string detail) { return make_error(Errc::corrupt, std::move(detail)); }

Error altered_error() {
  return corrupt(
      "an encrypted field does not open: it or its deadline was altered, or it was moved here from "
      "another session or field");
}

std::string big_endian(std::uint64_t number) {
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8)
    bytes += static_cast<char>((number >> shift) & 0xffU);
  return bytes;
}

Result<void> check_size(const Field& field) {
  if (field.value.size() <= value_bytes_max) return {};
  return make_error(Errc::too_large, "a value of more than 1 GiB cannot be encrypted");
}

}  // namespace

SealingKeys::SealingKeys(const KeyRing& ring) {
  keys_.reserve(ring.secrets().size());
  for (const std::string& secret : ring.secrets()) {
    // The id comes from a key of its own, so it can be public.
    const std::string fingerprint = derive_key(secret, "websession encrypted value v2 key id");
    keys_.push_back({encode_base64(fingerprint).substr(0, key_id_length),
                     derive_key(secret, "websession encrypted value v2"),
                     derive_key(secret, "websession encrypted value v2 nonce")});
  }
}

SealingKeys::~SealingKeys() {
  for (Key& key : keys_) {
    OPENSSL_cleanse(key.bytes.data(), key.bytes.size());
    OPENSSL_cleanse(key.for_nonces.data(), key.for_nonces.size());
  }
}

// AES-256-GCM with the session's key in one direction, for any number of values.
class SessionCipher::Gcm {
 public:
  enum class Direction { open = 0, seal = 1 };

  Gcm(const SealingKeys::Key& key, std::string_view session, Direction direction) {
    std::string session_key = hmac_sha256(key.bytes, session);
    const bool ready = context_ != nullptr &&
                       EVP_CipherInit_ex2(context_.get(), EVP_aes_256_gcm(), raw(session_key),
                                          nullptr, static_cast<int>(direction), nullptr) == 1;
    OPENSSL_cleanse(session_key.data(), session_key.size());
    require(ready);
  }

  // Writes as many bytes as it reads, to `out`, and then the tag.
  void seal(std::string_view nonce, std::string_view place, std::string_view value,
            unsigned char* out) {
    begin(nonce, place);
    update(out, value);
    unsigned char* const tag = out + value.size();
    require(finish(tag));
    require(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, int{tag_bytes}, tag) == 1);
  }

  // Nullopt when the tag is not that of these bytes at this place.
  std::optional<std::string> open(std::string_view nonce, std::string_view place,
                                  std::string_view ciphertext, std::string tag) {
    std::string value(ciphertext.size(), '\0');
    begin(nonce, place);
    update(raw(value), ciphertext);
    require(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, int{tag_bytes},
                                tag.data()) == 1);
    if (!finish(raw(tag))) return std::nullopt;
    return value;
  }

 private:
  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
  };

  void begin(std::string_view nonce, std::string_view place) {
    constexpr int same_direction = -1;
    require(EVP_CipherInit_ex2(context_.get(), nullptr, nullptr, raw(nonce), same_direction,
                               nullptr) == 1);
    update(nullptr, place);
  }

  // Without `out` the bytes are associated data.
  void update(unsigned char* out, std::string_view bytes) {
    if (bytes.empty()) return;
    require(bytes.size() <= value_bytes_max);
    int written = 0;
    require(EVP_CipherUpdate(context_.get(), out, &written, raw(bytes),
                             static_cast<int>(bytes.size())) == 1);
  }

  // GCM writes nothing here, so any pointer will do.
  bool finish(unsigned char* out) {
    int written = 0;
    return EVP_CipherFinal_ex(context_.get(), out, &written) == 1;
  }

  std::unique_ptr<EVP_CIPHER_CTX, Free> context_{EVP_CIPHER_CTX_new()};
};

SessionCipher::SessionCipher(const SealingKeys& keys, const StoreKey& session)
    : keys_(keys),
      session_(session.secret()),
      sealing_(keys.newest_first().size()),
      opening_(keys.newest_first().size()) {}

SessionCipher::~SessionCipher() = default;

SessionCipher::Gcm& SessionCipher::sealing(std::size_t key) {
  std::unique_ptr<Gcm>& gcm = sealing_[key];
  if (!gcm) {
    gcm = std::make_unique<Gcm>(keys_.newest_first()[key], session_, Gcm::Direction::seal);
  }
  return *gcm;
}

SessionCipher::Gcm& SessionCipher::opening(std::size_t key) {
  std::unique_ptr<Gcm>& gcm = opening_[key];
  if (!gcm) {
    gcm = std::make_unique<Gcm>(keys_.newest_first()[key], session_, Gcm::Direction::open);
  }
  return *gcm;
}

std::string SessionCipher::place_of(const Field& field) const {
  const std::int64_t deadline = field.deadline ? field.deadline->time_since_epoch().count() : 0;
  std::string place = big_endian(session_.size());
  place.append(session_).append(big_endian(field.name.size())).append(field.name);
  place += field.deadline ? '\1' : '\0';
  return place.append(big_endian(static_cast<std::uint64_t>(deadline)));
}

std::string SessionCipher::seal_with(std::size_t key, const Field& field, std::string_view place,
                                     std::string_view nonce) {
  std::string bytes(nonce_bytes + field.value.size() + tag_bytes, '\0');
  nonce.copy(bytes.data(), nonce_bytes);
  sealing(key).seal(nonce, place, field.value, raw(bytes) + nonce_bytes);
  std::string text;
  text.reserve(sealed_bytes(field.value.size()));
  return text.append(sealed_prefix)
      .append(keys_.newest_first()[key].id)
      .append(1, '.')
      .append(encode_base64(bytes));
}

Result<std::string> SessionCipher::seal(const Field& field) {
  if (auto fits = check_size(field); !fits) return std::move(fits).error();
  const Result<std::string> nonce = random_string(nonce_bytes);
  if (!nonce) {
    return make_error(Errc::no_randomness,
                      "OpenSSL's random generator failed; nothing was written");
  }
  return seal_with(0, field, place_of(field), *nonce);
}

std::string SessionCipher::seal_alike_with(std::size_t key, const Field& field) {
  const std::string place = place_of(field);
  std::string nonce_key = hmac_sha256(keys_.newest_first()[key].for_nonces, session_);
  const std::string nonce = hmac_sha256(nonce_key, place + std::string(field.value));
  OPENSSL_cleanse(nonce_key.data(), nonce_key.size());
  return seal_with(key, field, place, std::string_view(nonce).substr(0, nonce_bytes));
}

Result<std::string> SessionCipher::seal_alike(const Field& field) {
  if (auto fits = check_size(field); !fits) return std::move(fits).error();
  return seal_alike_with(0, field);
}

Result<std::vector<std::string>> SessionCipher::seal_alike_with_each(const Field& field) {
  if (auto fits = check_size(field); !fits) return std::move(fits).error();
  std::vector<std::string> texts;
  for (std::size_t key = 0; key < sealing_.size(); ++key) {
    texts.push_back(seal_alike_with(key, field));
  }
  return texts;
}

Result<std::string> SessionCipher::open(const Field& field) {
  constexpr std::size_t payload_at = sealed_prefix.size() + key_id_length + 1;
  const std::string_view text = field.value;
  if (!text.starts_with(sealed_prefix)) {
    return corrupt("a field is not encrypted, and is none of EncryptionOptions::countable");
  }
  if (text.size() < sealed_bytes(0) || text[payload_at - 1] != '.') return altered_error();
  const std::string_view id = text.substr(sealed_prefix.size(), key_id_length);
  const std::optional<std::string> payload = decode_base64(text.substr(payload_at));
  if (!payload || payload->size() < nonce_bytes + tag_bytes) return altered_error();
  const std::string_view bytes = *payload;
  const std::string_view ciphertext =
      bytes.substr(nonce_bytes, bytes.size() - nonce_bytes - tag_bytes);
  if (ciphertext.size() > value_bytes_max) return altered_error();

  const std::string place = place_of(field);
  bool known = false;
  for (std::size_t key = 0; key < opening_.size(); ++key) {
    if (keys_.newest_first()[key].id != id) continue;
    known = true;
    std::optional<std::string> value =
        opening(key).open(bytes.substr(0, nonce_bytes), place, ciphertext,
                          std::string(bytes.substr(bytes.size() - tag_bytes)));
    if (value) return *std::move(value);
  }
  if (known) return altered_error();
  return corrupt(
      "an encrypted field was sealed with a secret that is not in EncryptionOptions::keys");
}

}  // namespace websession::internal
