// The tables in an SQLite file, and how those of older versions become today's.
#pragma once

#include <span>

#include "connection.hpp"
#include "websession/result.hpp"

namespace websession::sqlite {

// The statements that lead from nothing to version 1, from there to 2, and so on. Those of a
// version that was released never change.
[[nodiscard]] std::span<const char* const> schema_steps() noexcept;

// Makes the file's schema that of the last step, in one transaction with the note of its version.
// Errors: rejected: it is newer than that, or there are tables of our names without a version.
Result<void> migrate(Connection& connection, std::span<const char* const> steps);

// Only looks whether it is that of the last step. Errors: rejected, it is not.
Result<void> check_schema(Connection& connection, std::span<const char* const> steps);

}  // namespace websession::sqlite
