#include "websession/adapters/exchange.hpp"

#include <algorithm>

#include "http_words.hpp"

namespace websession::adapters {
namespace {

using websession::internal::equal_words;
using websession::internal::trim;

// What stands before the separator, quoted ones aside (RFC 9110 §5.6.4), and takes both away.
std::string_view take_part(std::string_view& text, char separator) {
  bool is_quoted = false;
  std::size_t end = 0;
  for (; end < text.size() && (is_quoted || text[end] != separator); ++end) {
    if (text[end] == '"') is_quoted = !is_quoted;
    if (is_quoted && text[end] == '\\') ++end;
  }
  end = std::min(end, text.size());
  const std::string_view part = trim(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

// The last element of a list: that of the nearest proxy.
std::string_view last_of(std::string_view list) {
  std::string_view last;
  while (!list.empty()) last = take_part(list, ',');
  return last;
}

// The value of `proto` in an element of Forwarded (RFC 7239 §4 and §5.4).
std::string_view proto_of(std::string_view element) {
  std::optional<std::string_view> proto;
  while (!element.empty()) {
    std::string_view value = take_part(element, ';');
    const std::string_view name = take_part(value, '=');
    if (!equal_words(name, "proto")) continue;
    if (proto) return {};  // it may stand there once
    value = trim(value);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    proto = value;
  }
  return proto.value_or("");
}

}  // namespace

bool forwarded_https_line(std::string_view line, ForwardedHeader header) {
  const bool ends_in_comma = trim(line).ends_with(',');  // with an empty element, that is
  const std::string_view element = ends_in_comma ? std::string_view() : last_of(line);
  switch (header) {
    case ForwardedHeader::x_forwarded_ssl:
      return equal_words(element, "on");
    case ForwardedHeader::forwarded:
      return equal_words(proto_of(element), "https");
    case ForwardedHeader::x_forwarded_proto:
    case ForwardedHeader::cloudfront_forwarded_proto:
      break;
  }
  return equal_words(element, "https");
}

bool forwarded_https(std::string_view lines, ForwardedHeader header) {
  bool https = !lines.empty();
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    https = https && forwarded_https_line(lines.substr(0, end), header);
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return https;
}

const char* to_text(ForwardedHeader header) noexcept {
  switch (header) {
    case ForwardedHeader::x_forwarded_ssl:
      return "X-Forwarded-Ssl";
    case ForwardedHeader::forwarded:
      return "Forwarded";
    case ForwardedHeader::cloudfront_forwarded_proto:
      return "CloudFront-Forwarded-Proto";
    case ForwardedHeader::x_forwarded_proto:
      break;
  }
  return "X-Forwarded-Proto";
}

internal::Thrown internal::thrown_by(void* self, void (*run)(void* self)) {
  try {
    run(self);
  } catch (const Exception& exception) {
    return {exception.error(), nullptr};
  } catch (...) {
    return {std::nullopt, std::current_exception()};
  }
  return {};
}

}  // namespace websession::adapters
