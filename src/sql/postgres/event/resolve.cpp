#include "event/resolve.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace websession::postgres {
namespace {

const std::string* value_of(const ConnectionInfo& info, std::string_view keyword) {
  const auto found = std::find_if(info.begin(), info.end(),
                                  [keyword](const auto& entry) { return entry.first == keyword; });
  return found == info.end() ? nullptr : &found->second;
}

void set(ConnectionInfo& info, const std::string& keyword, std::string value) {
  std::erase_if(info, [&keyword](const auto& entry) { return entry.first == keyword; });
  info.emplace_back(keyword, std::move(value));
}

// What libpq takes where the connection string says nothing.
std::string value_or_environment(const ConnectionInfo& info, std::string_view keyword,
                                 const char* variable) {
  if (const std::string* value = value_of(info, keyword)) return *value;
  const char* const set_there = std::getenv(variable);
  return set_there != nullptr ? set_there : "";
}

bool is_name(const std::string& host) {
  if (host.empty() || host.front() == '/' || host.front() == '@') return false;
  std::array<unsigned char, sizeof(in6_addr)> address{};
  const std::string without_zone = host.substr(0, host.find('%'));
  return ::inet_pton(AF_INET, host.c_str(), address.data()) != 1 &&
         ::inet_pton(AF_INET6, without_zone.c_str(), address.data()) != 1;
}

Result<std::vector<std::string>> addresses_of(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (failed != 0) {
    return make_error(
        Errc::unavailable,
        std::string("PostgreSQL: the host's name is not resolved: ") + ::gai_strerror(failed));
  }
  std::vector<std::string> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(entry->ai_addr, entry->ai_addrlen, text.data(), text.size(), nullptr, 0,
                      NI_NUMERICHOST) == 0) {
      addresses.emplace_back(text.data());
    }
  }
  ::freeaddrinfo(list);
  return addresses;
}

}  // namespace

bool needs_resolver(const ConnectionInfo& info) {
  if (!value_or_environment(info, "hostaddr", "PGHOSTADDR").empty()) return false;
  const std::vector<std::string> hosts = parts_of(value_or_environment(info, "host", "PGHOST"));
  return std::any_of(hosts.begin(), hosts.end(), is_name);
}

Result<ConnectionInfo> resolved(const ConnectionInfo& info) {
  const std::vector<std::string> hosts = parts_of(value_or_environment(info, "host", "PGHOST"));
  const std::vector<std::string> ports = parts_of(value_or_environment(info, "port", "PGPORT"));
  // libpq wants lists of one length; an address for each host, and a port.
  std::string all_hosts;
  std::string all_addresses;
  std::string all_ports;
  Error last = make_error(Errc::unavailable, "PostgreSQL: the hosts have no address");
  std::size_t count = 0;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    std::vector<std::string> addresses{""};
    if (is_name(hosts[i])) {
      Result<std::vector<std::string>> found = addresses_of(hosts[i]);
      if (!found) {
        last = std::move(found).error();
        continue;
      }
      addresses = *std::move(found);
    }
    for (const std::string& address : addresses) {
      const std::string_view comma = count++ == 0 ? "" : ",";
      all_hosts.append(comma).append(hosts[i]);
      all_addresses.append(comma).append(address);
      all_ports.append(comma).append(ports.size() == hosts.size() ? ports[i] : ports.front());
    }
  }
  if (count == 0) return last;
  ConnectionInfo with = info;
  set(with, "host", std::move(all_hosts));
  set(with, "hostaddr", std::move(all_addresses));
  set(with, "port", std::move(all_ports));
  return with;
}

}  // namespace websession::postgres
