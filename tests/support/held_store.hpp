// An asynchronous store whose calls a test answers, one by one, when it likes.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "websession/async/session_store.hpp"
#include "websession/principal_index.hpp"

namespace websession::testing {

// On one loop, that of the test.
class HeldStore final : public AsyncSessionStore, private AsyncPrincipalIndex {
 public:
  struct Held {
    std::string verb;
    std::optional<std::chrono::nanoseconds> timeout;
    Callback<void()> answer;           // as the inner store does
    Callback<void(Error)> fail;        // without asking it
    Callback<void(Error)> fail_after;  // having asked it
  };

  HeldStore(std::shared_ptr<SessionStore> inner, Reactors reactors)
      : AsyncSessionStore(std::move(reactors)), inner_(std::move(inner)) {}

  std::deque<Held> held{};
  int calls = 0;
  int stops = 0;
  bool answers_stops = true;

  // Answers the oldest call.
  void answer() {
    Held first = std::move(held.front());
    held.pop_front();
    first.answer();
  }
  void fail(Errc code) {
    Held first = std::move(held.front());
    held.pop_front();
    first.fail(make_error(code, "as the test has it"));
  }

  void load(const StoreKey& key, AsyncCall& call, Done<std::optional<Record>> done) override {
    hold("load", call, std::move(done), [this, &key] { return inner_->load(key); });
  }
  void create(const StoreKey& key, const Fields& fields, Lifetime lifetime, AsyncCall& call,
              Done<void> done) override {
    hold("create", call, std::move(done),
         [this, &key, &fields, lifetime] { return inner_->create(key, fields, lifetime); });
  }
  void update(const StoreKey& key, const Changes& changes, Lifetime lifetime, AsyncCall& call,
              Done<Outcome> done) override {
    hold("update", call, std::move(done),
         [this, &key, &changes, lifetime] { return inner_->update(key, changes, lifetime); });
  }
  void rekey(const StoreKey& from, const StoreKey& to, const Changes& changes, Lifetime lifetime,
             Grace grace, AsyncCall& call, Done<Outcome> done) override {
    hold("rekey", call, std::move(done), [this, &from, &to, &changes, lifetime, grace] {
      return inner_->rekey(from, to, changes, lifetime, grace);
    });
  }
  void erase(const StoreKey& key, Grace grace, AsyncCall& call, Done<bool> done) override {
    hold("erase", call, std::move(done), [this, &key, grace] { return inner_->erase(key, grace); });
  }
  [[nodiscard]] AsyncPrincipalIndex* index() noexcept override { return this; }

 private:
  void entries(std::string_view principal, AsyncCall& call,
               Done<std::vector<StoreKey>> done) override {
    hold("entries", call, std::move(done),
         [this, principal] { return inner_->index()->entries(principal); });
  }
  void forget(std::string_view principal, std::span<const StoreKey> keys, BeingMade made,
              AsyncCall& call, Done<void> done) override {
    hold("forget", call, std::move(done),
         [this, principal, keys, made] { return inner_->index()->forget(principal, keys, made); });
  }
  void end_frozen(const StoreKey& key, AsyncCall& call, Done<void> done) override {
    hold("end_frozen", call, std::move(done),
         [this, &key] { return inner_->index()->end_frozen(key); });
  }

  template <class T, class Ask>
  void hold(const std::string& verb, AsyncCall& call, Done<T> done, Ask ask) {
    ++calls;
    const auto shared = std::make_shared<Done<T>>(std::move(done));
    held.push_back({verb, call.timeout(), [shared, ask] { (*shared)(ask()); },
                    [shared](Error error) { (*shared)(std::move(error)); },
                    [shared, ask](Error error) {
                      static_cast<void>(ask());
                      (*shared)(std::move(error));
                    }});
    call.when_stopped([this] {
      ++stops;
      if (answers_stops) fail(Errc::canceled);
    });
  }

  const std::shared_ptr<SessionStore> inner_;
};

}  // namespace websession::testing
