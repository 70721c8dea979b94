// What a request brings beside cookies: Authorization, a header with a token, and what proxies say
// of https. The input is one such value.
#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

#include "brought.hpp"
#include "fuzz_target.hpp"
#include "input.hpp"
#include "websession/adapters/exchange.hpp"

namespace {

using websession::RequestInfo;
using websession::SessionOptions;
using websession::Transport;
using websession::adapters::forwarded_https;
using websession::adapters::ForwardedHeader;
using websession::fuzz::Input;
using websession::fuzz::require;
using websession::internal::Brought;
using websession::internal::brought_by;

bool is_within(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

bool is_bare(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  return text.empty() || (!is_blank(text.front()) && !is_blank(text.back()));
}

std::string lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  return lower;
}

void check_authorization(std::string_view value) {
  SessionOptions options;
  options.transport.bearer = true;
  RequestInfo request;
  request.authorization = value;
  const Brought brought = brought_by(request, options);
  if (brought.by == Transport::none) return;
  require(brought.by == Transport::bearer && brought.ids.size() == 1, "one token");
  require(brought.ids[0].empty() || is_within(brought.ids[0], value), "a view of the header");
  require(is_bare(brought.ids[0]), "without blanks around it");
  require(lower(value).find("bearer") != std::string::npos, "it says what it is");
  const std::string again = "Bearer " + std::string(brought.ids[0]);
  request.authorization = again;
  require(brought_by(request, options).ids == brought.ids, "written again, it reads the same");
}

void check_header(std::string_view value) {
  SessionOptions options;
  options.transport = {false, true, "X-Session"};
  RequestInfo request;
  request.session_header = value;
  const Brought brought = brought_by(request, options);
  require(brought.ids.empty() == (brought.by == Transport::none), "a token, or nothing");
  for (const std::string_view id : brought.ids) {
    require(is_within(id, value) && is_bare(id) && !id.empty(), "a view of the header");
  }
}

void check_forwarded(std::string_view value) {
  for (const ForwardedHeader header :
       {ForwardedHeader::x_forwarded_proto, ForwardedHeader::x_forwarded_ssl,
        ForwardedHeader::forwarded, ForwardedHeader::cloudfront_forwarded_proto}) {
    const bool https = forwarded_https(value, header);
    const char* word = header == ForwardedHeader::x_forwarded_ssl ? "on" : "https";
    require(!https || lower(value).find(word) != std::string::npos, "https only by its word");
    // The nearest proxy has the last word, whatever a client has written before it.
    if (value.find('"') != std::string_view::npos || value.find('\n') != std::string_view::npos) {
      continue;
    }
    const std::string http = std::string(value) + ", for=192.0.2.1;proto=http";
    require(!forwarded_https(http, header), "the last element decides against it");
    const std::string secure =
        std::string(value) + (header == ForwardedHeader::forwarded         ? ",proto=https"
                              : header == ForwardedHeader::x_forwarded_ssl ? ",on"
                                                                           : ",https");
    require(forwarded_https(secure, header), "the last element decides for it");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view value = Input(data, size).rest();
  check_authorization(value);
  check_header(value);
  check_forwarded(value);
  return 0;
}
