#include "websession/signed_cookie.hpp"

#include <utility>

#include "base64.hpp"
#include "digest.hpp"

namespace websession {
namespace {

constexpr std::size_t cookie_bytes_max = 4096;  // name and value, RFC 6265bis §5.6
constexpr std::size_t signature_characters = (internal::digest_bytes * 4 + 2) / 3;
constexpr std::string_view express_mark = "s:";

// What encodeURIComponent leaves as it is (ECMA-262, "uriUnescaped").
bool is_unescaped(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
         std::string_view("-_.!~*'()").find(c) != std::string_view::npos;
}

std::string encode_uri_component(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size() + 16);
  for (const char c : text) {
    if (is_unescaped(c)) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += digits[byte >> 4U];
    encoded += digits[byte & 0xfU];
  }
  return encoded;
}

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  return std::nullopt;
}

// Takes only what encode_uri_component makes, but for the case of hex digits; a text without any
// '%' is taken as it is.
std::optional<std::string> decode_uri_component(std::string_view text) {
  if (text.find('%') == std::string_view::npos) return std::string(text);
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_unescaped(text[i])) {
      decoded += text[i];
      continue;
    }
    if (text[i] != '%' || text.size() - i < 3) return std::nullopt;
    const std::optional<unsigned> high = hex_digit(text[i + 1]);
    const std::optional<unsigned> low = hex_digit(text[i + 2]);
    if (!high || !low) return std::nullopt;
    const auto byte = static_cast<unsigned char>(*high << 4U | *low);
    if (is_unescaped(static_cast<char>(byte))) return std::nullopt;
    decoded += static_cast<char>(byte);
    i += 2;
  }
  return decoded;
}

// The most that a value can have: an encoded character takes three.
std::size_t value_bytes_max(CookieFormat format, const IdFormat& id_format) {
  const std::size_t plain = id_format.length_max + 1 + signature_characters;
  return format == CookieFormat::express ? 3 * (express_mark.size() + plain) : plain;
}

}  // namespace

Result<CookieSigner> CookieSigner::make(const std::string& cookie_name,
                                        const CookieSigning& signing, IdFormat id_format) {
  if (signing.keys.empty()) {
    return make_error(Errc::invalid_argument, "signing.keys: must hold a secret");
  }
  if (auto valid = validate(id_format); !valid) return std::move(valid).error();
  if (cookie_name.size() + value_bytes_max(signing.format, id_format) > cookie_bytes_max) {
    return make_error(Errc::invalid_argument,
                      "cookie.name: leaves no room for a signed id within the 4,096 bytes of a "
                      "cookie");
  }
  CookieSigner signer;
  for (const std::string& secret : signing.keys.secrets()) {
    signer.keys_.push_back(signing.format == CookieFormat::express
                               ? secret
                               : internal::derive_key(secret, "websession signed cookie v1"));
  }
  // A name holds no '=', so no other name and id make the same text.
  if (signing.format == CookieFormat::websession) signer.signed_before_id_ = cookie_name + '=';
  signer.format_ = signing.format;
  signer.id_format_ = std::move(id_format);
  return signer;
}

std::string CookieSigner::signature(const std::string& key, const SessionId& id) const {
  const auto alphabet =
      format_ == CookieFormat::express ? internal::Base64::standard : internal::Base64::url;
  const std::string digest = internal::hmac_sha256(key, signed_before_id_ + id.secret());
  return internal::encode_base64(digest, alphabet);
}

std::string CookieSigner::sign(const SessionId& id) const {
  std::string text = id.secret() + '.' + signature(keys_.front(), id);
  if (format_ == CookieFormat::websession) return text;
  return encode_uri_component(std::string(express_mark) + text);
}

std::optional<SessionId> CookieSigner::verify(std::string_view value) const {
  if (value.size() > value_bytes_max(format_, id_format_)) return std::nullopt;
  std::string decoded;
  if (format_ == CookieFormat::express) {
    std::optional<std::string> text = decode_uri_component(value);
    if (!text || !text->starts_with(express_mark)) return std::nullopt;
    decoded = *std::move(text);
    value = std::string_view(decoded).substr(express_mark.size());
  }
  // An id may hold dots, a signature never does.
  if (value.size() <= signature_characters) return std::nullopt;
  const std::size_t dot = value.size() - signature_characters - 1;
  if (value[dot] != '.') return std::nullopt;
  std::optional<SessionId> id = SessionId::parse(value.substr(0, dot), id_format_);
  if (!id) return std::nullopt;
  // Texts are compared, not what they decode to: a digest has one text only.
  for (const std::string& key : keys_) {
    if (equal_in_constant_time(signature(key, *id), value.substr(dot + 1))) return id;
  }
  return std::nullopt;
}

}  // namespace websession
