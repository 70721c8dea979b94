// How sessions are kept in Redis by hand: HGETALL, HSET of what changed, EXPIRE. Nothing guards a
// write, so a session that was erased meanwhile comes back; or the usual script does.
#include <stdexcept>
#include <string>
#include <unordered_map>

#include "clients.hpp"
#include "hiredis_connection.hpp"

namespace websession::bench {
namespace {

using Attributes = std::unordered_map<std::string, std::string>;

Attributes attributes_of(const redisReply& reply) {
  Attributes attributes;
  for (std::size_t i = 0; i + 1 < reply.elements; i += 2) {
    const redisReply& name = *reply.element[i];
    const redisReply& value = *reply.element[i + 1];
    attributes.emplace(std::string(name.str, name.len), std::string(value.str, value.len));
  }
  return attributes;
}

void expect_complete(const Attributes& attributes) {
  if (attributes.size() != session_fields.size()) throw std::runtime_error("hiredis: no session");
}

class HiredisWorker : public BlockingWorker {
 public:
  HiredisWorker(const Target& target, const Keys& keys)
      : connection_(connect_hiredis(target)), keys_(keys) {}

 protected:
  [[nodiscard]] std::string key_of(std::size_t i) const { return keys_.prefix + keys_.ids[i]; }

  const Connection connection_;
  const Keys& keys_;
  const int seconds_ = static_cast<int>(time_to_live.count());
};

class NaiveWorker final : public HiredisWorker {
 public:
  using HiredisWorker::HiredisWorker;

  void load(std::size_t i) override {
    const std::string key = key_of(i);
    const Reply reply = command("HGETALL %b", key.data(), key.size());
    const Attributes attributes = attributes_of(*reply);
    command("EXPIRE %b %d", key.data(), key.size(), seconds_);
    expect_complete(attributes);
  }

  void save(std::size_t i, std::string_view value) override {
    const std::string key = key_of(i);
    command("HSET %b %b %b", key.data(), key.size(), saved_field.data(), saved_field.size(),
            value.data(), value.size());
    command("EXPIRE %b %d", key.data(), key.size(), seconds_);
  }

 private:
  template <class... Arguments>
  Reply command(const char* format, Arguments... arguments) {
    return checked(*connection_, redisCommand(connection_.get(), format, arguments...));
  }
};

class PipelinedWorker : public HiredisWorker {
 public:
  using HiredisWorker::HiredisWorker;

  void load(std::size_t i) override {
    const std::string key = key_of(i);
    redisAppendCommand(connection_.get(), "HGETALL %b", key.data(), key.size());
    redisAppendCommand(connection_.get(), "EXPIRE %b %d", key.data(), key.size(), seconds_);
    const Reply reply = next_reply(*connection_);
    const Attributes attributes = attributes_of(*reply);
    next_reply(*connection_);
    expect_complete(attributes);
  }

  void save(std::size_t i, std::string_view value) override {
    const std::string key = key_of(i);
    redisAppendCommand(connection_.get(), "HSET %b %b %b", key.data(), key.size(),
                       saved_field.data(), saved_field.size(), value.data(), value.size());
    redisAppendCommand(connection_.get(), "EXPIRE %b %d", key.data(), key.size(), seconds_);
    next_reply(*connection_);
    next_reply(*connection_);
  }
};

class GuardedWorker final : public PipelinedWorker {
 public:
  GuardedWorker(const Target& target, const Keys& keys) : PipelinedWorker(target, keys) {
    const Reply sha =
        checked(*connection_, redisCommand(connection_.get(), "SCRIPT LOAD %s", usual_script));
    script_.assign(sha->str, sha->len);
  }

  void save(std::size_t i, std::string_view value) override {
    const std::string key = key_of(i);
    const Reply written = checked(
        *connection_, redisCommand(connection_.get(), "EVALSHA %s 1 %b %b %b %d", script_.c_str(),
                                   key.data(), key.size(), saved_field.data(), saved_field.size(),
                                   value.data(), value.size(), seconds_));
    if (written->integer != 1) throw std::runtime_error("hiredis: no session");
  }

 private:
  std::string script_;
};

template <class SomeWorker>
class HiredisClient final : public Client {
 public:
  HiredisClient(const Target& target, const Keys& keys) : target_(target), keys_(keys) {}

  std::unique_ptr<Worker> worker() override { return std::make_unique<SomeWorker>(target_, keys_); }

 private:
  const Target target_;
  const Keys& keys_;
};

}  // namespace

std::unique_ptr<Client> make_hiredis_naive(const Target& target, const Keys& keys) {
  return std::make_unique<HiredisClient<NaiveWorker>>(target, keys);
}

std::unique_ptr<Client> make_hiredis_pipelined(const Target& target, const Keys& keys) {
  return std::make_unique<HiredisClient<PipelinedWorker>>(target, keys);
}

std::unique_ptr<Client> make_hiredis_guarded(const Target& target, const Keys& keys) {
  return std::make_unique<HiredisClient<GuardedWorker>>(target, keys);
}

}  // namespace websession::bench
