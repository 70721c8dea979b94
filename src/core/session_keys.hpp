// Sessions as a store knows them: by key. The one place where ids become keys, so that what a key
// holds (IdStorage) and the way from one such state to the next concern nobody else.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "store_flow.hpp"
#include "websession/clock.hpp"
#include "websession/key_placement.hpp"
#include "websession/observer.hpp"
#include "websession/session_id.hpp"
#include "websession/session_store.hpp"

namespace websession::internal {

struct SessionContext;

// What the key of a session holds: its id, or "2:" and in base64url the SHA-256 of the id, with
// "<namespace>:" before it if there is a namespace; and before the hash what keeps it where the
// plain key is, if the store needs that (KeyPlacement). Ids never contain ':', so no id from
// outside is ever a hashed key, whatever IdFormat allows, and no two namespaces hash the same text.
enum class KeyForm { plain, hashed };

[[nodiscard]] StoreKey key_of(const SessionId& id, KeyForm form, std::string_view id_namespace = {},
                              const KeyPlacement* placement = nullptr);
[[nodiscard]] bool is_hashed(const StoreKey& key) noexcept;
[[nodiscard]] KeyForm form_of_new(IdStorage storage) noexcept;

// A session has one of its two keys at a time, and only ever moves from the plain to the hashed
// one. So whoever asks for the plain one first and for the hashed one then cannot miss it.
//
// Immutable, so safe to share between threads.
class SessionKeys {
 public:
  SessionKeys() = default;
  SessionKeys(IdStorage storage, std::string id_namespace,
              std::shared_ptr<const KeyPlacement> placement = {}) noexcept
      : storage_(storage), namespace_(std::move(id_namespace)), placement_(std::move(placement)) {}

  [[nodiscard]] StoreKey key_of(const SessionId& id, KeyForm form) const;
  // Of either form.
  [[nodiscard]] bool is_key_of(const StoreKey& key, const SessionId& id) const;

  // A new id for the session of this one. Error: no_randomness.
  [[nodiscard]] Result<SessionId> successor_of(const SessionId& id) const;
  // The form of new ids.
  [[nodiscard]] KeyForm form_of_new() const noexcept { return internal::form_of_new(storage_); }
  [[nodiscard]] StoreKey key_of_new(const SessionId& id) const { return key_of(id, form_of_new()); }

  // The keys that a session may have, in the order in which they are to be asked for:
  //
  //   SessionKeys::Search search = keys.search(id);
  //   do {
  //     const StoreKey key = search.key();
  //     …  // ask; no error, and it is there: break
  //   } while (search.next());
  class Search {
   public:
    [[nodiscard]] StoreKey key() const { return keys_.key_of(id_, form()); }
    [[nodiscard]] KeyForm form() const noexcept { return forms_.front(); }
    // False: there is no other one.
    [[nodiscard]] bool next() noexcept {
      if (forms_.size() == 1) return false;
      forms_ = forms_.subspan(1);
      return true;
    }

   private:
    friend class SessionKeys;
    Search(const SessionKeys& keys, const SessionId& id, std::span<const KeyForm> forms) noexcept
        : keys_(keys), id_(id), forms_(forms) {}
    const SessionKeys& keys_;
    const SessionId& id_;
    std::span<const KeyForm> forms_;
  };
  // Both must outlive it. `seen`: where the session was last.
  [[nodiscard]] Search search(const SessionId& id) const noexcept;
  [[nodiscard]] Search search(const SessionId& id, KeyForm seen) const noexcept;

  // Whether what was found under a key is to move to the hashed one of the same id.
  [[nodiscard]] bool is_move_due(const Record& record, KeyForm seen) const;
  // Whether what a rekey leaves readable leads to a plain key, which then has to stay: as long as
  // the changes say that are given here.
  [[nodiscard]] std::optional<Changes::Set> settling(Grace grace, WallTime now) const;

 private:
  IdStorage storage_ = IdStorage::plain;
  std::string namespace_{};
  std::shared_ptr<const KeyPlacement> placement_{};  // null: the store needs none
};

// What a store holds under an id, and in which form of its key.
struct Found {
  std::optional<Record> record{};
  KeyForm seen{};
};

// Each takes as many calls as there are keys to look at.
//
// Also moves the session to its hashed key when that is due, with the same id and no grace.
Task<Result<Found>> load_by_id(StoreFlow& flow, const SessionKeys& keys, const SessionId& id);
// Moves what was found to its hashed key. True: it has.
Task<bool> move_to_hashed(StoreFlow& flow, const SessionKeys& keys, const SessionId& id,
                          const Record& record);
// `seen`: where it was last; where it was found, afterwards.
Task<Result<Outcome>> update_by_id(StoreFlow& flow, const SessionKeys& keys, const SessionId& id,
                                   KeyForm& seen, const Changes& changes, Lifetime lifetime);
Task<Result<Outcome>> rekey_by_id(StoreFlow& flow, const SessionKeys& keys, const SessionId& from,
                                  KeyForm& seen, const SessionId& to, const Changes& changes,
                                  Lifetime lifetime, Grace grace);
// `seen`: null, it is not known. `why`: none, nobody has been told of the session, nor is of its
// end.
Task<Result<bool>> erase_by_id(StoreFlow& flow, const SessionContext& context, const SessionId& id,
                               KeyForm* seen, Grace grace, std::optional<EndReason> why);

}  // namespace websession::internal
