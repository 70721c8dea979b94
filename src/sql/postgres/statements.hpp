// All SQL that the PostgreSQL store runs while it works. That of the schema is in schema.cpp.
#pragma once

namespace websession::postgres {

// `name`: under which a connection prepares it.
struct Sql {
  const char* name;
  const char* text;
};

namespace sql {

// Each write is one statement, which locks the row first and looks at the time after that: a row
// that has expired while a statement waited stays so. `xmin` tells the version that was read from
// every other one.

// $1, $2 keys → key, xmin, expires_at, now (both Unix ms), mark, successor, created_at, principal,
// label, data, bytes, until
extern const Sql find;
// $1 key, $2 created_at, $3 label, $4 data, $5 bytes, $6 until, $7 ttl in ms, $8 principal; changes
// no row when the key is taken. Removes two rows that have expired.
extern const Sql insert;
// The same, of the version $9; $7 null: its end stays.
extern const Sql change;
// $1 key, $2 ttl in ms: never shorter
extern const Sql renew;
// $1…$8 as insert, $9 the old key, $10 its version. What stays under that for the grace, $11 in ms:
// nothing (without it), the old state, or the mark $12.
extern const Sql move;
extern const Sql move_and_freeze;
extern const Sql move_and_end;
// $1 key, $2 keys before it in a chain, $3 the grace in ms → mark, successor, whether it lives,
// whether it was ended. In place of it nothing stays, or a mark.
extern const Sql drop;
extern const Sql end;
// $1 keys: frozen ones keep nothing to read
extern const Sql strip;
// $1 principal, $2 limit → keys
extern const Sql list;
// $1 key (empty: none), $2 limit → those after it: key, whether it is a session that lives
extern const Sql page;
// $1 limit → rows, those that have not expired, sessions among these; what the statistics say of
// the number of rows (negative: nothing)
extern const Sql sample;
// $1 limit
extern const Sql drop_expired;
// $1 key
extern const Sql drop_if_expired;

}  // namespace sql
}  // namespace websession::postgres
