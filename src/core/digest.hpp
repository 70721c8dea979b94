// SHA-256 and what is made of it, by OpenSSL. All digests are 32 bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace websession::internal {

inline constexpr std::size_t digest_bytes = 32;

// These throw std::runtime_error if OpenSSL cannot compute them, which means that it is broken or
// out of memory.
[[nodiscard]] std::string sha256(std::string_view bytes);
[[nodiscard]] std::string hmac_sha256(std::string_view key, std::string_view bytes);

// A key of its own for each purpose, so that what one of them gives away says nothing about the
// others: HKDF-SHA256 (RFC 5869) without salt, `purpose` as its info.
[[nodiscard]] std::string derive_key(std::string_view secret, std::string_view purpose);

}  // namespace websession::internal
