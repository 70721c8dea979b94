#include "hiredis_connection.hpp"

#include <stdexcept>
#include <string>

namespace websession::bench {

Connection connect_hiredis(const Target& target) {
  Connection connection(target.socket_path.empty() ? redisConnect(target.host.c_str(), target.port)
                                                   : redisConnectUnix(target.socket_path.c_str()));
  if (!connection) throw std::runtime_error("hiredis: no memory");
  if (connection->err != 0) throw std::runtime_error(std::string("hiredis: ") + connection->errstr);
  return connection;
}

Reply next_reply(redisContext& connection) {
  void* reply = nullptr;
  redisGetReply(&connection, &reply);
  return checked(connection, reply);
}

Reply checked(redisContext& connection, void* reply) {
  if (reply == nullptr) throw std::runtime_error(std::string("hiredis: ") + connection.errstr);
  Reply owned(static_cast<redisReply*>(reply));
  if (owned->type == REDIS_REPLY_ERROR) {
    throw std::runtime_error("Redis: " + std::string(owned->str, owned->len));
  }
  return owned;
}

}  // namespace websession::bench
