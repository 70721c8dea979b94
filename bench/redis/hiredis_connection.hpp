// hiredis with owners for what it gives.
#pragma once

#include <hiredis/hiredis.h>

#include <memory>

#include "clients.hpp"

namespace websession::bench {

struct FreeReply {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

struct FreeContext {
  void operator()(redisContext* context) const noexcept { redisFree(context); }
};
using Connection = std::unique_ptr<redisContext, FreeContext>;

// A blocking connection. Throws std::runtime_error when the server cannot be reached.
Connection connect_hiredis(const Target& target);

// The next reply to appended commands; never null. Throws on a lost connection and on an error.
Reply next_reply(redisContext& connection);

// The same for what redisCommand gave.
Reply checked(redisContext& connection, void* reply);

}  // namespace websession::bench
