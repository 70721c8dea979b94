#include "websession/encrypted_store.hpp"

#include <utility>

#include "blocking_flow.hpp"
#include "encrypted_verbs.hpp"
#include "invalid.hpp"

namespace websession {

using internal::invalid;
using internal::StoreFlow;

EncryptedStore::EncryptedStore(std::shared_ptr<SessionStore> inner,
                               std::shared_ptr<const internal::EncryptedVerbs> verbs) noexcept
    : StoreDecorator(std::move(inner)), verbs_(std::move(verbs)) {}
EncryptedStore::~EncryptedStore() = default;

Result<std::shared_ptr<EncryptedStore>> EncryptedStore::make(std::shared_ptr<SessionStore> inner,
                                                             EncryptionOptions options) {
  if (inner == nullptr) return invalid("EncryptedStore: there is no store to keep the sessions in");
  auto verbs = internal::EncryptedVerbs::make(std::move(options));
  if (!verbs) return std::move(verbs).error();
  return std::shared_ptr<EncryptedStore>(new EncryptedStore(std::move(inner), *std::move(verbs)));
}

Result<std::optional<Record>> EncryptedStore::load(const StoreKey& key) {
  return internal::run_blocking(inner(), [&](StoreFlow& flow) { return verbs_->load(flow, key); });
}

Result<void> EncryptedStore::create(const StoreKey& key, const Fields& fields, Lifetime lifetime) {
  return internal::run_blocking(
      inner(), [&](StoreFlow& flow) { return verbs_->create(flow, key, fields, lifetime); });
}

Result<Outcome> EncryptedStore::update(const StoreKey& key, const Changes& changes,
                                       Lifetime lifetime) {
  return internal::run_blocking(
      inner(), [&](StoreFlow& flow) { return verbs_->update(flow, key, changes, lifetime); });
}

Result<Outcome> EncryptedStore::rekey(const StoreKey& from, const StoreKey& to,
                                      const Changes& changes, Lifetime lifetime, Grace grace) {
  return internal::run_blocking(inner(), [&](StoreFlow& flow) {
    return verbs_->rekey(flow, from, to, changes, lifetime, grace);
  });
}

}  // namespace websession
