// Asks for what a connection logs in with. Inline, since the stores need it, and a shared library
// shows only what public headers declare.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "invalid.hpp"
#include "websession/credentials.hpp"
#include "websession/result.hpp"

namespace websession::internal {

// `option`: its name. Errors: those of the source; unavailable, it has thrown an exception;
// invalid_argument, there is a NUL in what it gives.
inline Result<Credentials> ask_credentials(const CredentialsSource& source,
                                           std::string_view option) try {
  Result<Credentials> given = source();
  if (!given) {
    Error error = std::move(given).error();
    error.maybe_applied = false;
    // What stores say of sessions, nobody can say who has not asked them.
    const auto& code = error.code;
    const bool is_of_connecting = code == Errc::unavailable || code == Errc::timeout ||
                                  code == Errc::overloaded || code == Errc::rejected ||
                                  code == Errc::invalid_argument;
    if (!is_of_connecting) error.code = Errc::unavailable;
    return error;
  }
  const bool has_nul = given->user.find('\0') != std::string::npos ||
                       given->password.find('\0') != std::string::npos;
  if (has_nul) return invalid(std::string(option) + ": a user or a password holds a NUL");
  return given;
} catch (...) {  // what it says may be secret
  return make_error(Errc::unavailable, std::string(option) + " has thrown an exception");
}

}  // namespace websession::internal
