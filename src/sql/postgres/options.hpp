// What the options of both stores come to.
#pragma once

#include "connection.hpp"
#include "schema.hpp"
#include "websession/postgres_store.hpp"
#include "websession/result.hpp"

namespace websession::postgres {

Result<void> validate(const PostgresOptions& options);
Connection::Prepares prepares(const PostgresOptions& options) noexcept;
Setup setup_of(const PostgresOptions& options);
// What a new connection is made with: `info`, with the credentials of the options, if there are
// any. Errors: theirs; unavailable, they have thrown an exception.
Result<ConnectionInfo> with_credentials(ConnectionInfo info, const PostgresOptions& options);

}  // namespace websession::postgres
