// What an error reply of Redis means for the caller.
#pragma once

#include <span>
#include <string_view>

#include "resp.hpp"
#include "websession/result.hpp"

namespace websession::redis {

// The text itself never gets into the error: it can hold a key, and thereby an id. `from_script`:
// a script may have written before a command of it was refused.
Error server_error(std::string_view text, bool from_script);

// A reply of another kind than the command has. `maybe_applied`: of a command that writes.
Error unexpected_reply(bool maybe_applied = false);

// This server has become a replica, or is about to (it loads what its primary sends): the one to
// ask is elsewhere by now.
bool is_wrong_server(std::string_view text);

// Whether one of the replies says so. `by_sentinel`: or that its replicas have gone, perhaps with
// another one.
bool refers_elsewhere(std::span<const Reply> replies, bool by_sentinel = false);

// It is a node of a Redis Cluster; and what to say to whoever did not expect one.
bool is_of_cluster(std::string_view text);
Error node_of_cluster();

bool is_unknown_command(std::string_view text);

// The key holds something of another type than the command is for.
bool is_wrong_type(std::string_view text);

// The script is not in the server's cache: nothing was done, and EVAL will.
bool is_noscript(std::string_view text);

}  // namespace websession::redis
