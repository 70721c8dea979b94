#include "websession/async/encrypted_store.hpp"

#include <utility>

#include "async/decorating_store.hpp"
#include "encrypted_verbs.hpp"
#include "invalid.hpp"

namespace websession {

using internal::EncryptedVerbs;

Result<std::shared_ptr<AsyncSessionStore>> encrypted(std::shared_ptr<AsyncSessionStore> store,
                                                     EncryptionOptions options) {
  if (store == nullptr) return internal::invalid("store: must not be null");
  auto verbs = EncryptedVerbs::make(std::move(options));
  if (!verbs) return std::move(verbs).error();
  return std::shared_ptr<AsyncSessionStore>(
      std::make_shared<internal::DecoratingStore<EncryptedVerbs>>(std::move(store),
                                                                  *std::move(verbs)));
}

}  // namespace websession
