// The store as sessions use it: by id. The one place where ids become keys, so that what a key
// holds (IdStorage) and the way from one such state to the next concern nobody else.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "websession/session_store.hpp"

namespace websession::internal {

// What the key of a session holds: its id, or "2:" and in base64url the SHA-256 of the id, with
// "<namespace>:" before it if there is a namespace. Ids never contain ':', so no id from outside is
// ever a hashed key, whatever IdFormat allows, and no two namespaces hash the same text.
enum class KeyForm { plain, hashed };

[[nodiscard]] StoreKey key_of(const SessionId& id, KeyForm form,
                              std::string_view id_namespace = {});

// Cheap to copy; as safe for threads as the store is. Errors are the store's.
//
// A session has one of its two keys at a time, and only ever moves from the plain to the hashed
// one. So whoever asks for the plain one first and for the hashed one then cannot miss it. `seen`
// says under which one it was found last, and is kept up to date.
class IdStore {
 public:
  IdStore() = default;
  IdStore(std::shared_ptr<SessionStore> store, IdStorage storage, std::string id_namespace,
          std::shared_ptr<const Clock> clock) noexcept
      : store_(std::move(store)),
        storage_(storage),
        namespace_(std::move(id_namespace)),
        clock_(std::move(clock)) {}

  [[nodiscard]] StoreKey key_of(const SessionId& id, KeyForm form) const;
  // Of either form.
  [[nodiscard]] bool is_key_of(const StoreKey& key, const SessionId& id) const;

  struct Found {
    Record record;
    KeyForm seen;
  };
  // Moves the session to its hashed key when that is due, with the same id and no grace.
  [[nodiscard]] Result<std::optional<Found>> load(const SessionId& id) const;

  // The form of new ids: those given to create, and the target of rekey.
  [[nodiscard]] KeyForm form_of_new() const noexcept;
  [[nodiscard]] Result<void> create(const SessionId& id, const Fields& fields,
                                    Lifetime lifetime) const;
  [[nodiscard]] Result<Outcome> update(const SessionId& id, KeyForm& seen, const Changes& changes,
                                       Lifetime lifetime) const;
  [[nodiscard]] Result<Outcome> rekey(const SessionId& from, KeyForm& seen, const SessionId& to,
                                      const Changes& changes, Lifetime lifetime, Grace grace) const;
  // The store itself. The index of principals knows sessions by their keys, not by ids.
  [[nodiscard]] SessionStore& by_key() const noexcept { return *store_; }

  // Whichever key it has.
  [[nodiscard]] Result<bool> erase(const SessionId& id, Grace grace) const;
  [[nodiscard]] Result<bool> erase(const SessionId& id, KeyForm& seen, Grace grace) const;

 private:
  [[nodiscard]] bool move(const SessionId& id, const Record& record) const;

  std::shared_ptr<SessionStore> store_;
  IdStorage storage_ = IdStorage::plain;
  std::string namespace_{};
  std::shared_ptr<const Clock> clock_;
};

}  // namespace websession::internal
