// websession as an application uses it: one store for all threads.
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "store_clients.hpp"

namespace websession::bench {
namespace {

class StoreWorker final : public BlockingWorker {
 public:
  StoreWorker(SessionStore& store, const std::vector<StoreKey>& keys, Renewal renewal)
      : store_(store), keys_(keys), lifetime_(lifetime_of(renewal)) {
    changes_.set.push_back({std::string(saved_field), {}, {}, true});
  }

  void load(std::size_t i) override {
    const std::optional<Record> record = value_of(store_.load(keys_[i]));
    if (!record || record->fields.size() != session_fields.size()) {
      throw std::runtime_error("websession: no session");
    }
  }

  // The changes are built once, so that only what update() itself allocates is counted.
  void save(std::size_t i, std::string_view value) override {
    changes_.set.front().value = value;
    const Outcome outcome = value_of(store_.update(keys_[i], changes_, lifetime_));
    if (outcome.status != Outcome::Status::applied) {
      throw std::runtime_error("websession: not applied");
    }
  }

 private:
  SessionStore& store_;
  const std::vector<StoreKey>& keys_;
  const Lifetime lifetime_;
  Changes changes_;
};

class StoreClient final : public Client {
 public:
  StoreClient(std::shared_ptr<SessionStore> store, const Keys& keys, Renewal renewal)
      : renewal_(renewal), store_(std::move(store)) {
    for (const std::string& id : keys.ids) keys_.emplace_back(id);
  }

  std::unique_ptr<Worker> worker() override {
    return std::make_unique<StoreWorker>(*store_, keys_, renewal_);
  }

 private:
  const Renewal renewal_;
  const std::shared_ptr<SessionStore> store_;
  std::vector<StoreKey> keys_;
};

constexpr std::size_t threads_that_fill = 32;

}  // namespace

void fill(SessionStore& store, const Keys& keys) {
  std::vector<Field> fields;
  for (const auto& [name, value] : session_fields) fields.push_back({name, value});
  const Fields session(fields);
  std::vector<std::exception_ptr> failures(threads_that_fill);
  std::vector<std::jthread> threads;
  for (std::size_t t = 0; t < threads_that_fill; ++t) {
    threads.emplace_back([&, t] {
      try {
        for (std::size_t i = t; i < keys.ids.size(); i += threads_that_fill) {
          const auto made = store.create(StoreKey(keys.ids[i]), session, {time_to_live});
          if (!made) throw std::runtime_error("websession: " + made.error().message());
        }
      } catch (...) {
        failures[t] = std::current_exception();
      }
    });
  }
  threads.clear();  // joins
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

std::unique_ptr<Client> make_store_client(std::shared_ptr<SessionStore> store, const Keys& keys,
                                          Renewal renewal) {
  return std::make_unique<StoreClient>(std::move(store), keys, renewal);
}

}  // namespace websession::bench
