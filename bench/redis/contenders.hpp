// The list of what is compared on Redis.
#pragma once

#include <string_view>
#include <vector>

#include "clients.hpp"
#include "contender.hpp"
#include "options.hpp"

namespace websession::bench {

enum class Transport { tcp, unix_socket, delay, tls };
std::string_view name_of(Transport transport) noexcept;

// All of them, ours first. `keys`, `target` and `server` must outlive the list.
std::vector<Contender> contenders(const Options& options, Transport transport, const Target& target,
                                  const Keys& keys, ServerMeter& server);

}  // namespace websession::bench
