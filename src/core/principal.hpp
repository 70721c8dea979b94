// Principals: what is checked and computed about them, without a store.
#pragma once

#include <string>
#include <string_view>

#include "websession/fields.hpp"
#include "websession/result.hpp"
#include "websession/session_id.hpp"

namespace websession {

// `@user`; empty: there is none.
[[nodiscard]] std::string_view principal_of(const Fields& fields) noexcept;

namespace internal {

// 1 to 256 bytes, none of them a control byte. Error: invalid_argument.
Result<void> validate_principal(std::string_view principal);

// Fit for a list: at most 128 bytes of UTF-8 without control bytes; what is not becomes '?'.
[[nodiscard]] std::string clean_label(std::string_view label);

// Names a session to its principal. It is made by hashing, so it gives no access, and it is no part
// of what a store that hashes ids has as its key.
[[nodiscard]] std::string handle_of(const StoreKey& key);

}  // namespace internal
}  // namespace websession
