// An EncryptedStore over another store, as the conformance suite wants it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "websession/encrypted_store.hpp"
#include "websession/testing/store_conformance.hpp"

namespace websession::testing {

inline KeyRing key_ring(std::vector<std::string> secrets) {
  return KeyRing::make(std::move(secrets)).value();
}

class EncryptedHarness final : public StoreHarness {
 public:
  // `inner` is the harness of the store that is wrapped; only what the case counts is in clear.
  EncryptedHarness(StoreHarness& inner, const ConformanceCase& tested) : inner_(inner) {
    EncryptionOptions options;
    options.keys = key_ring({std::string(32, 'k')});
    options.countable = tested.counters;
    // The cases ask what is right, not how fast: a loaded machine, or a sanitizer, may be slow.
    options.retry_for = std::chrono::seconds(20);
    const std::shared_ptr<SessionStore> not_owned(std::shared_ptr<void>(), &inner.store());
    store_ = EncryptedStore::make(not_owned, std::move(options)).value();
  }

  SessionStore& store() override { return *store_; }
  ManualClock& clock() override { return inner_.clock(); }
  void let_pass(std::chrono::milliseconds duration) override { inner_.let_pass(duration); }
  [[nodiscard]] int race_threads() const override { return inner_.race_threads(); }
  [[nodiscard]] int race_rounds() const override { return inner_.race_rounds(); }

 private:
  StoreHarness& inner_;
  std::shared_ptr<EncryptedStore> store_;
};

}  // namespace websession::testing
