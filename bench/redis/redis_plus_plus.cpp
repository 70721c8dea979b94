// redis-plus-plus with its connection pool, as its README shows: one command after the other, or
// both of an operation by its pipeline, on a connection of the pool.
#include <sw/redis++/redis++.h>
#include <sw/redis++/version.h>

#include <chrono>
#include <iterator>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include "clients.hpp"

namespace websession::bench {
namespace {

namespace redis = sw::redis;
using Attributes = std::unordered_map<std::string, std::string>;

void expect_complete(const Attributes& attributes) {
  if (attributes.size() != session_fields.size()) {
    throw std::runtime_error("redis-plus-plus: no session");
  }
}

class PlusPlusWorker : public BlockingWorker {
 public:
  PlusPlusWorker(redis::Redis& redis, const Keys& keys) : redis_(redis), keys_(keys) {}

  void load(std::size_t i) override {
    const std::string key = key_of(i);
    Attributes attributes;
    redis_.hgetall(key, std::inserter(attributes, attributes.end()));
    redis_.expire(key, time_to_live);
    expect_complete(attributes);
  }

  void save(std::size_t i, std::string_view value) override {
    const std::string key = key_of(i);
    redis_.hset(key, saved_field, value);
    redis_.expire(key, time_to_live);
  }

 protected:
  [[nodiscard]] std::string key_of(std::size_t i) const { return keys_.prefix + keys_.ids[i]; }

  redis::Redis& redis_;
  const Keys& keys_;
};

class PlusPlusPipelineWorker final : public PlusPlusWorker {
 public:
  using PlusPlusWorker::PlusPlusWorker;

  void load(std::size_t i) override {
    const std::string key = key_of(i);
    redis::QueuedReplies replies =
        redis_.pipeline(false).hgetall(key).expire(key, time_to_live).exec();
    Attributes attributes;
    replies.get(0, std::inserter(attributes, attributes.end()));
    expect_complete(attributes);
  }

  void save(std::size_t i, std::string_view value) override {
    const std::string key = key_of(i);
    redis_.pipeline(false).hset(key, saved_field, value).expire(key, time_to_live).exec();
  }
};

class PlusPlusClient final : public Client {
 public:
  PlusPlusClient(const Target& target, const Keys& keys, std::size_t threads, bool pipelined)
      : redis_(connection(target), pool(threads)), keys_(keys), pipelined_(pipelined) {}

  std::unique_ptr<Worker> worker() override {
    if (pipelined_) return std::make_unique<PlusPlusPipelineWorker>(redis_, keys_);
    return std::make_unique<PlusPlusWorker>(redis_, keys_);
  }

 private:
  static redis::ConnectionOptions connection(const Target& target) {
    redis::ConnectionOptions options;
    options.host = target.host;
    options.port = target.port;
    return options;
  }
  static redis::ConnectionPoolOptions pool(std::size_t threads) {
    redis::ConnectionPoolOptions options;
    options.size = threads;
    return options;
  }

  redis::Redis redis_;
  const Keys& keys_;
  const bool pipelined_;
};

}  // namespace

std::string redis_plus_plus_version() {
  return std::to_string(redis::VERSION_MAJOR) + '.' + std::to_string(redis::VERSION_MINOR) + '.' +
         std::to_string(redis::VERSION_PATCH);
}

std::unique_ptr<Client> make_redis_plus_plus(const Target& target, const Keys& keys,
                                             std::size_t threads, bool pipelined) {
  return std::make_unique<PlusPlusClient>(target, keys, threads, pipelined);
}

}  // namespace websession::bench
