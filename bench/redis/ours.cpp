// websession as an application uses it: one RedisStore for all threads, default options.
#include <chrono>
#include <stdexcept>
#include <utility>

#include "client.hpp"
#include "sessions.hpp"
#include "websession/redis_store.hpp"

namespace websession::bench {
namespace {

[[noreturn]] void give_up(const Error& error) {
  throw std::runtime_error("websession: " + error.code.message() + ": " + error.detail);
}

class OurWorker final : public BlockingWorker {
 public:
  OurWorker(RedisStore& store, const std::vector<StoreKey>& keys, Renewal renewal)
      : store_(store), keys_(keys), lifetime_(lifetime_of(renewal)) {
    changes_.set.push_back({std::string(saved_field), {}, {}, true});
  }

  void load(std::size_t i) override {
    const Result<std::optional<Record>> record = store_.load(keys_[i]);
    if (!record.has_value()) give_up(record.error());
    if (!*record || (*record)->fields.size() != session_fields.size()) {
      throw std::runtime_error("websession: no session");
    }
  }

  // The changes are built once, so that only what update() itself allocates is counted.
  void save(std::size_t i, std::string_view value) override {
    changes_.set.front().value = value;
    const Result<Outcome> outcome = store_.update(keys_[i], changes_, lifetime_);
    if (!outcome) give_up(outcome.error());
    if (outcome->status != Outcome::Status::applied) {
      throw std::runtime_error("websession: not applied");
    }
  }

 private:
  RedisStore& store_;
  const std::vector<StoreKey>& keys_;
  const Lifetime lifetime_;
  Changes changes_;
};

class OurClient final : public Client {
 public:
  OurClient(const Target& target, const Keys& keys, Renewal renewal) : renewal_(renewal) {
    RedisOptions options;
    options.prefix = keys.prefix;
    options.tls.ca_file = target.ca_file;
    Result<std::shared_ptr<RedisStore>> store = RedisStore::connect(target.url, options);
    if (!store) give_up(store.error());
    store_ = *std::move(store);
    for (const std::string& id : keys.ids) keys_.emplace_back(id);
  }

  std::unique_ptr<Worker> worker() override {
    return std::make_unique<OurWorker>(*store_, keys_, renewal_);
  }

 private:
  const Renewal renewal_;
  std::shared_ptr<RedisStore> store_;
  std::vector<StoreKey> keys_;
};

}  // namespace

std::unique_ptr<Client> make_ours(const Target& target, const Keys& keys, Renewal renewal) {
  return std::make_unique<OurClient>(target, keys, renewal);
}

}  // namespace websession::bench
