// Poco's Redis client with its connection pool, borrowed for each operation as its headers show;
// the two commands of an operation are sent together.
#include <Poco/ObjectPool.h>
#include <Poco/Redis/Array.h>
#include <Poco/Redis/Client.h>
#include <Poco/Redis/Command.h>
#include <Poco/Redis/PoolableConnectionFactory.h>

#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "clients.hpp"

namespace websession::bench {
namespace {

namespace redis = Poco::Redis;
using Pool = Poco::ObjectPool<redis::Client, redis::Client::Ptr>;

constexpr long borrow_timeout_ms = 1000;

// Throws on an error reply, which Poco gives as an element of the answer.
redis::Array send(Pool& pool, const std::vector<redis::Array>& commands) {
  redis::PooledConnection connection(pool, borrow_timeout_ms);
  redis::Array replies = redis::Client::Ptr(connection)->sendCommands(commands);
  for (std::size_t i = 0; i < commands.size(); ++i) {
    if (replies.getType(i) == redis::RedisTypeTraits<redis::Error>::TypeId) {
      throw std::runtime_error("Redis: " + replies.get<redis::Error>(i).getMessage());
    }
  }
  return replies;
}

class PocoWorker final : public BlockingWorker {
 public:
  PocoWorker(Pool& pool, const Keys& keys) : pool_(pool), keys_(keys) {}

  void load(std::size_t i) override {
    const std::string key = keys_.prefix + keys_.ids[i];
    const redis::Array replies = send(pool_, {redis::Command::hgetall(key), expire(key)});
    const auto fields = replies.get<redis::Array>(0);
    std::unordered_map<std::string, std::string> attributes;
    for (std::size_t f = 0; f + 1 < fields.size(); f += 2) {
      attributes.emplace(fields.get<redis::BulkString>(f).value(),
                         fields.get<redis::BulkString>(f + 1).value());
    }
    if (attributes.size() != session_fields.size()) throw std::runtime_error("Poco: no session");
  }

  void save(std::size_t i, std::string_view value) override {
    const std::string key = keys_.prefix + keys_.ids[i];
    send(pool_,
         {redis::Command::hset(key, std::string(saved_field), std::string(value)), expire(key)});
  }

 private:
  static redis::Command expire(const std::string& key) {
    return redis::Command::expire(key, time_to_live.count());
  }

  Pool& pool_;
  const Keys& keys_;
};

class PocoClient final : public Client {
 public:
  PocoClient(const Target& target, const Keys& keys, std::size_t threads)
      : factory_(target.host + ":" + std::to_string(target.port)),
        pool_(factory_, threads, threads),
        keys_(keys) {}

  std::unique_ptr<Worker> worker() override { return std::make_unique<PocoWorker>(pool_, keys_); }

 private:
  Poco::PoolableObjectFactory<redis::Client, redis::Client::Ptr> factory_;
  Pool pool_;
  const Keys& keys_;
};

}  // namespace

std::unique_ptr<Client> make_poco(const Target& target, const Keys& keys, std::size_t threads) {
  return std::make_unique<PocoClient>(target, keys, threads);
}

}  // namespace websession::bench
