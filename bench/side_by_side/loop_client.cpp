// websession on event loops: one store, and on each loop as many requests in flight as are its
// share.
#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "store_clients.hpp"
#include "websession/async/epoll_reactor.hpp"

namespace websession::bench {
namespace {

// One request after the other; when one has ended, the next begins.
class Chain {
 public:
  Chain(AsyncSessionStore& store, std::size_t loop, const std::vector<StoreKey>& keys)
      : store_(store), loop_(loop), keys_(keys) {
    changes_.set.push_back({std::string(saved_field), {}, {}, true});
  }

  void begin(Requests& requests, std::size_t& running, std::optional<std::string>& failure) {
    requests_ = &requests;
    running_ = &running;
    failure_ = &failure;
    request_ = {};
    ++running;
    next();
  }

 private:
  void next() {
    if (*failure_ || !requests_->begin(request_)) return end();
    call_.emplace(loop_);
    if (!request_.loads) return save();
    store_.load(keys_[request_.session], *call_, [this](Result<std::optional<Record>> record) {
      if (!record.has_value()) return fail(record.error().message());
      if (!*record || (*record)->fields.size() != session_fields.size()) return fail("no session");
      call_.emplace(loop_);
      request_.saves ? save() : done();
    });
  }
  void save() {
    changes_.set.front().value = request_.value;
    store_.update(keys_[request_.session], changes_, lifetime_, *call_,
                  [this](Result<Outcome> outcome) {
                    if (!outcome) return fail(outcome.error().message());
                    if (outcome->status != Outcome::Status::applied) return fail("not applied");
                    done();
                  });
  }
  void done() {
    requests_->end(request_);
    next();
  }
  void fail(std::string text) {
    *failure_ = std::move(text);
    end();
  }
  void end() { --*running_; }

  AsyncSessionStore& store_;
  const std::size_t loop_;
  const std::vector<StoreKey>& keys_;
  const Lifetime lifetime_ = lifetime_of(Renewal::when_due);
  Changes changes_{};
  Request request_{};
  std::optional<AsyncCall> call_{};
  Requests* requests_ = nullptr;
  std::size_t* running_ = nullptr;
  std::optional<std::string>* failure_ = nullptr;
};

class LoopWorker final : public Worker {
 public:
  LoopWorker(std::shared_ptr<EpollReactor> loop, AsyncSessionStore& store, std::size_t index,
             std::size_t in_flight, const std::vector<StoreKey>& keys)
      : loop_(std::move(loop)) {
    for (std::size_t i = 0; i < in_flight; ++i) {
      chains_.push_back(std::make_unique<Chain>(store, index, keys));
    }
  }

  void work(Requests& requests) override {
    std::size_t running = 0;
    std::optional<std::string> failure;
    loop_->post([&] {
      for (const auto& chain : chains_) chain->begin(requests, running, failure);
    });
    do {
      loop_->run_once();
    } while (running > 0);
    if (failure) throw std::runtime_error("websession: " + *failure);
  }

 private:
  const std::shared_ptr<EpollReactor> loop_;
  std::vector<std::unique_ptr<Chain>> chains_;
};

class LoopClient final : public Client {
 public:
  LoopClient(const MakeAsyncStore& make, const Keys& keys, std::size_t loops, std::size_t in_flight)
      : in_flight_(in_flight) {
    AsyncSessionStore::Reactors reactors;
    for (std::size_t i = 0; i < std::min(loops, in_flight); ++i) {
      loops_.push_back(EpollReactor::make().value());
      reactors.push_back(loops_.back());
    }
    store_ = make(reactors);
    for (const std::string& id : keys.ids) keys_.emplace_back(id);
  }

  [[nodiscard]] std::size_t threads(std::size_t /*in_flight*/) const override {
    return loops_.size();
  }
  std::unique_ptr<Worker> worker() override {
    const std::size_t index = next_++;
    return std::make_unique<LoopWorker>(loops_[index], *store_, index, in_flight_ / loops_.size(),
                                        keys_);
  }

 private:
  const std::size_t in_flight_;
  std::vector<std::shared_ptr<EpollReactor>> loops_;
  std::shared_ptr<AsyncSessionStore> store_;
  std::vector<StoreKey> keys_;
  std::atomic<std::size_t> next_ = 0;
};

}  // namespace

std::unique_ptr<Client> make_loop_client(const MakeAsyncStore& make, const Keys& keys,
                                         std::size_t loops, std::size_t in_flight) {
  return std::make_unique<LoopClient>(make, keys, loops, in_flight);
}

}  // namespace websession::bench
