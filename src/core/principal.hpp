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

}  // namespace internal
}  // namespace websession
