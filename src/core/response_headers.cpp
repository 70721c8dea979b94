#include "response_headers.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "brought.hpp"
#include "http_words.hpp"

namespace websession {
namespace {

using internal::equal_words;
using internal::take_member;

// RFC 9110 §5.6.1: blanks around a member and empty members do not count.
bool has_member(std::string_view list, std::string_view member) {
  while (!list.empty()) {
    if (equal_words(take_member(list), member)) return true;
  }
  return false;
}

// The list with the members that it has not yet; nullopt: it has all.
std::optional<std::string> with_members(std::string_view list, std::string_view members) {
  if (has_member(list, "*")) return std::nullopt;
  std::string all(list);
  while (!members.empty()) {
    const std::string_view member = take_member(members);
    if (has_member(all, member)) continue;
    if (!all.empty()) all += ", ";
    all += member;
  }
  if (all.size() == list.size()) return std::nullopt;
  return all;
}

}  // namespace

std::optional<std::string> Header::over(std::string_view present) const {
  switch (mode) {
    case Mode::append:
    case Mode::replace:
      return value;
    case Mode::merge:
      return with_members(present, value);
    case Mode::unless_set:
      return present.empty() ? std::optional(value) : std::nullopt;
  }
  return std::nullopt;
}

void internal::add_cache_headers(std::vector<Header>& headers, const TransportOptions& transport,
                                 bool brought_id) {
  constexpr const char* cache_control = "Cache-Control";
  const bool decided = std::any_of(headers.begin(), headers.end(), [](const Header& header) {
    return header.name == cache_control;
  });
  if (brought_id && !decided) {
    headers.push_back({cache_control, "private", Header::Mode::unless_set});
  }
  // All that the page was chosen by (brought_by).
  std::string names;
  const auto add = [&names](std::string_view name) {
    if (!names.empty()) names += ", ";
    names += name;
  };
  if (transport.bearer) add("Authorization");
  if (!transport.header.empty()) add(transport.header);
  if (transport.cookie) add("Cookie");
  headers.push_back({"Vary", std::move(names), Header::Mode::merge});
}

std::vector<Header> internal::cache_headers(const SessionOptions& options,
                                            const RequestInfo& request) {
  std::vector<Header> headers;
  if (options.cache_headers) {
    const bool brought = brought_by(request, options).by != Transport::none;
    add_cache_headers(headers, options.transport, brought);
  }
  return headers;
}

}  // namespace websession
