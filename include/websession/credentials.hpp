// Passwords that change while the program runs: tokens of a cloud, secrets that are rotated.
#pragma once

#include <functional>
#include <string>

#include "websession/config.hpp"
#include "websession/result.hpp"

WEBSESSION_API_BEGIN
namespace websession {

struct Credentials {
  std::string user{};  // empty: the server's default, or that of the connection string
  std::string password{};
};

// Gives what a new connection logs in with; asked for each. On the thread that connects (with event
// loops: the loop's, so it must not wait, and gives what another thread has fetched), under no
// lock, by several threads at once. No deadline of the store cuts it short, so it has to return
// soon; and it must not use the store. A password holds no NUL.
//
// An error is that of the calls that need the connection, word for word, so nothing secret may
// stand in it: unavailable, timeout, overloaded, rejected or invalid_argument; any other one, and
// what it throws, becomes `unavailable`.
using CredentialsSource = std::function<Result<Credentials>()>;

}  // namespace websession
WEBSESSION_API_END
