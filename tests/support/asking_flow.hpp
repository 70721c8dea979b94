// A flow whose questions a test answers: one at a time, by value or by a store, in an order of the
// test's own.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "store_flow.hpp"
#include "websession/observer.hpp"
#include "websession/principal_index.hpp"
#include "websession/session_store.hpp"

namespace websession::testing {

// What was asked and is not answered yet. Answering it lets the coroutine go on, up to its next
// question or its end.
struct Question {
  StoreVerb verb{};
  bool writes = false;
  std::function<void(SessionStore&)> carry_out;           // by the store's answer
  std::function<void(SessionStore&, Error)> lose_answer;  // carried out; answered by the error
  std::function<void(Error)> fail;                        // not carried out
};

class AskingDriver final : public internal::StoreDriver {
 public:
  std::optional<Question> question{};

  // Takes the question, to answer it.
  Question take() { return *std::exchange(question, std::nullopt); }

  bool load(const StoreKey& key, internal::Answer<Result<std::optional<Record>>>& answer) override {
    return ask(StoreVerb::load, false, answer,
               [&key](SessionStore& store) { return store.load(key); });
  }
  bool create(const StoreKey& key, const Fields& fields, Lifetime lifetime,
              internal::Answer<Result<void>>& answer) override {
    return ask(StoreVerb::create, true, answer, [&key, &fields, lifetime](SessionStore& store) {
      return store.create(key, fields, lifetime);
    });
  }
  bool update(const StoreKey& key, const Changes& changes, Lifetime lifetime,
              internal::Answer<Result<Outcome>>& answer) override {
    return ask(StoreVerb::update, true, answer, [&key, &changes, lifetime](SessionStore& store) {
      return store.update(key, changes, lifetime);
    });
  }
  bool rekey(const StoreKey& from, const StoreKey& to, const Changes& changes, Lifetime lifetime,
             Grace grace, internal::Answer<Result<Outcome>>& answer) override {
    return ask(StoreVerb::rekey, true, answer,
               [&from, &to, &changes, lifetime, grace](SessionStore& store) {
                 return store.rekey(from, to, changes, lifetime, grace);
               });
  }
  bool erase(const StoreKey& key, Grace grace, internal::Answer<Result<bool>>& answer) override {
    return ask(StoreVerb::erase, true, answer,
               [&key, grace](SessionStore& store) { return store.erase(key, grace); });
  }
  bool entries(std::string_view principal,
               internal::Answer<Result<std::vector<StoreKey>>>& answer) override {
    return ask(StoreVerb::entries, false, answer,
               [principal](SessionStore& store) { return store.index()->entries(principal); });
  }
  bool forget(std::string_view principal, std::span<const StoreKey> keys, BeingMade made,
              internal::Answer<Result<void>>& answer) override {
    return ask(StoreVerb::forget, true, answer, [principal, keys, made](SessionStore& store) {
      return store.index()->forget(principal, keys, made);
    });
  }
  bool end_frozen(const StoreKey& key, internal::Answer<Result<void>>& answer) override {
    return ask(StoreVerb::end_frozen, true, answer,
               [&key](SessionStore& store) { return store.index()->end_frozen(key); });
  }
  bool pause(std::chrono::microseconds, internal::Answer<Result<void>>& answer) override {
    answer.put(Result<void>());
    return true;
  }

 private:
  template <class T, class Call>
  bool ask(StoreVerb verb, bool writes, internal::Answer<T>& answer, const Call& call) {
    question =
        Question{verb, writes, [&answer, call](SessionStore& store) { answer.give(call(store)); },
                 [&answer, call](SessionStore& store, Error error) {
                   static_cast<void>(call(store));
                   answer.give(T(std::move(error)));
                 },
                 [&answer](Error error) { answer.give(T(std::move(error))); }};
    return false;
  }
};

// One operation that a test drives: flow() for its Task, begin() with it.
class AskingFlow {
 public:
  AskingFlow() = default;
  AskingFlow(const AskingFlow&) = delete;
  AskingFlow& operator=(const AskingFlow&) = delete;

  [[nodiscard]] internal::StoreFlow& flow() noexcept { return flow_; }
  [[nodiscard]] AskingDriver& driver() noexcept { return driver_; }

 private:
  alignas(std::max_align_t) std::array<std::byte, 8192> memory_;
  internal::Arena arena_{memory_.data(), memory_.size()};
  AskingDriver driver_;
  internal::StoreFlow flow_{arena_, driver_};
};

}  // namespace websession::testing
