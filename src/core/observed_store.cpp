#include "observed_store.hpp"

#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "count_key.hpp"
#include "websession/principal_index.hpp"
#include "websession/store_decorator.hpp"

namespace websession::internal {
namespace {

using Kind = SessionEvent::Kind;

class ObservedStore final : public StoreDecorator, private PrincipalIndex {
 public:
  ObservedStore(std::shared_ptr<SessionStore> store, std::shared_ptr<Observer> observer,
                std::shared_ptr<const Clock> clock)
      : StoreDecorator(std::move(store)),
        observer_(std::move(observer)),
        clock_(std::move(clock)) {}

  Result<std::optional<Record>> load(const StoreKey& key) override {
    auto record = timed(StoreVerb::load, key, [&] { return inner().load(key); });
    if (record.has_value()) tell(kind_of(*record), key);
    return record;
  }

  Result<void> create(const StoreKey& key, const Fields& fields, Lifetime lifetime) override {
    auto created =
        timed(StoreVerb::create, key, [&] { return inner().create(key, fields, lifetime); });
    if (created) tell(Kind::created, key);
    return created;
  }

  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override {
    auto outcome =
        timed(StoreVerb::update, key, [&] { return inner().update(key, changes, lifetime); });
    if (outcome && outcome->status == Outcome::Status::applied) {
      tell(changes.empty() ? Kind::renewed : Kind::updated, key);
    } else if (outcome) {
      tell_refusal(outcome->status, key);
    }
    return outcome;
  }

  Result<Outcome> rekey(const StoreKey& from, const StoreKey& to, const Changes& changes,
                        Lifetime lifetime, Grace grace) override {
    auto outcome = timed(StoreVerb::rekey, from,
                         [&] { return inner().rekey(from, to, changes, lifetime, grace); });
    if (outcome && outcome->status == Outcome::Status::applied) {
      observer_->tell(SessionEvent{Kind::regenerated, SessionRef(to), SessionRef(from)});
    } else if (outcome) {
      tell_refusal(outcome->status, from);
    }
    return outcome;
  }

  Result<bool> erase(const StoreKey& key, Grace grace) override {
    auto erased = timed(StoreVerb::erase, key, [&] { return inner().erase(key, grace); });
    if (erased.has_value() && *erased) tell(Kind::erased, key);
    return erased;
  }

  [[nodiscard]] PrincipalIndex* index() noexcept override {
    return inner().index() != nullptr ? this : nullptr;
  }

 private:
  Result<std::vector<StoreKey>> entries(std::string_view principal) override {
    return timed(StoreVerb::entries, SessionRef(), [&] { return its().entries(principal); });
  }
  Result<void> forget(std::string_view principal, std::span<const StoreKey> keys) override {
    return timed(StoreVerb::forget, SessionRef(), [&] { return its().forget(principal, keys); });
  }
  Result<void> end_frozen(const StoreKey& key) override {
    return timed(StoreVerb::end_frozen, SessionRef(key), [&] { return its().end_frozen(key); });
  }
  // Precondition: the inner store has one.
  [[nodiscard]] PrincipalIndex& its() const noexcept { return *inner().index(); }

  template <class Call>
  std::invoke_result_t<const Call&> timed(StoreVerb verb, SessionRef session, const Call& call) {
    const SteadyTime start = clock_->steady();
    std::invoke_result_t<const Call&> result = call();
    StoreCall told{verb, session, clock_->steady() - start};
    if (!result.has_value()) told.error = &result.error();
    observer_->tell(told);
    return result;
  }

  template <class Call>
  std::invoke_result_t<const Call&> timed(StoreVerb verb, const StoreKey& key, const Call& call) {
    return timed(verb, SessionRef(key), call);
  }
  static Kind kind_of(const std::optional<Record>& record) {
    if (!record) return Kind::not_found;
    return record->is_over() ? Kind::late : Kind::loaded;
  }
  void tell(Kind kind, const StoreKey& key) {
    if (is_count_key(key)) return;  // nothing that happens to a session
    observer_->tell(SessionEvent{kind, SessionRef(key)});
  }
  void tell_refusal(Outcome::Status status, const StoreKey& key) {
    tell(status == Outcome::Status::gone ? Kind::gone : Kind::conflict, key);
  }

  std::shared_ptr<Observer> observer_;
  std::shared_ptr<const Clock> clock_;
};

}  // namespace

std::shared_ptr<SessionStore> observe(std::shared_ptr<SessionStore> store,
                                      std::shared_ptr<Observer> observer,
                                      std::shared_ptr<const Clock> clock) {
  return std::make_shared<ObservedStore>(std::move(store), std::move(observer), std::move(clock));
}

}  // namespace websession::internal
