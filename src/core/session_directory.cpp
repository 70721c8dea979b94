#include "websession/session_directory.hpp"

#include <algorithm>
#include <string>

#include "base64.hpp"
#include "digest.hpp"
#include "kept_keys.hpp"
#include "session_keys.hpp"

namespace websession {
namespace {

constexpr std::size_t handle_bytes = 16;

}  // namespace

Result<std::uint64_t> count_sessions(SessionDirectory& directory) {
  constexpr std::size_t at_once = 1000;
  std::uint64_t sum = 0;
  DirectoryCursor cursor;
  while (true) {
    Result<DirectoryPage> page = directory.page(cursor, at_once);
    if (!page) return std::move(page).error();
    sum +=
        static_cast<std::uint64_t>(std::count_if(page->keys.begin(), page->keys.end(), is_session));
    if (page->is_last) return sum;
    cursor = std::move(page->next);
  }
}

bool is_session(const StoreKey& key) noexcept { return internal::is_session_key(key); }

// Made by hashing, so it gives no access; and it is no part of what a store that hashes ids has as
// its key.
std::string handle_of(const StoreKey& key) {
  const std::string digest = internal::sha256("websession handle:" + key.secret());
  return internal::encode_base64(std::string_view(digest).substr(0, handle_bytes));
}

StoreKey key_of(const SessionId& id, IdStorage storage, std::string_view id_namespace,
                const KeyPlacement* placement) {
  return internal::key_of(id, internal::form_of_new(storage), id_namespace, placement);
}

Error no_session_directory() {
  return make_error(Errc::invalid_argument,
                    "this store cannot list its sessions: it has no SessionDirectory");
}

}  // namespace websession
