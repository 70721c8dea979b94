#include "statements.hpp"

namespace websession::postgres::sql {

const Sql find{"websession_find", R"sql(
SELECT key, xmin, floor(extract(epoch FROM expires_at) * 1000)::bigint,
  floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
  mark, successor, created_at, principal, label, data, bytes, until
FROM websession_sessions WHERE key IN ($1, $2))sql"};

// What has expired under this key is not there.
const Sql insert{"websession_insert", R"sql(
WITH reaped AS (
  DELETE FROM websession_sessions WHERE key IN (
    SELECT key FROM websession_sessions WHERE expires_at <= now() AND key <> $1
    ORDER BY expires_at LIMIT 2 FOR UPDATE SKIP LOCKED))
INSERT INTO websession_sessions AS s
  (key, created_at, label, data, bytes, until, expires_at, principal, listed_at)
VALUES ($1, $2::bigint, $3, $4::jsonb, $5::jsonb, $6::jsonb,
  clock_timestamp() + $7::bigint * interval '1 millisecond', $8,
  CASE WHEN $8::text IS NOT NULL THEN clock_timestamp() END)
ON CONFLICT (key) DO UPDATE SET mark = NULL, successor = NULL, created_at = excluded.created_at,
  label = excluded.label, data = excluded.data, bytes = excluded.bytes, until = excluded.until,
  expires_at = excluded.expires_at, principal = excluded.principal, listed_at = excluded.listed_at
WHERE s.expires_at <= clock_timestamp())sql"};

const Sql change{"websession_change", R"sql(
WITH held AS MATERIALIZED (
  SELECT key, expires_at FROM websession_sessions
  WHERE key = $1 AND xmin = $9::xid AND mark IS NULL FOR UPDATE)
UPDATE websession_sessions s SET created_at = $2::bigint, label = $3, data = $4::jsonb,
  bytes = $5::jsonb, until = $6::jsonb,
  expires_at = coalesce(clock_timestamp() + $7::bigint * interval '1 millisecond', s.expires_at),
  principal = $8,
  listed_at = CASE WHEN s.principal IS NOT DISTINCT FROM $8 THEN s.listed_at
    WHEN $8::text IS NOT NULL THEN clock_timestamp() END
FROM held WHERE s.key = held.key AND held.expires_at > clock_timestamp())sql"};

const Sql renew{"websession_renew", R"sql(
WITH held AS MATERIALIZED (
  SELECT key, expires_at FROM websession_sessions WHERE key = $1 AND mark IS NULL FOR UPDATE)
UPDATE websession_sessions s SET expires_at =
  greatest(CASE WHEN NOT $3::boolean THEN held.expires_at END,
    clock_timestamp() + $2::bigint * interval '1 millisecond')
FROM held WHERE s.key = held.key AND held.expires_at > clock_timestamp())sql"};

// That the new key is taken is an error, which undoes all of it.
const Sql move{"websession_move", R"sql(
WITH held AS MATERIALIZED (
  SELECT key, expires_at FROM websession_sessions
  WHERE key = $9 AND xmin = $10::xid AND mark IS NULL FOR UPDATE),
moved AS (
  DELETE FROM websession_sessions s USING held
  WHERE s.key = held.key AND held.expires_at > clock_timestamp() RETURNING held.expires_at AS had)
INSERT INTO websession_sessions
  (key, created_at, label, data, bytes, until, expires_at, principal, listed_at)
SELECT $1, $2::bigint, $3, $4::jsonb, $5::jsonb, $6::jsonb,
  greatest(had, clock_timestamp() + $7::bigint * interval '1 millisecond'), $8,
  CASE WHEN $8::text IS NOT NULL THEN clock_timestamp() END
FROM moved)sql"};

const Sql move_and_freeze{"websession_move_and_freeze", R"sql(
WITH held AS MATERIALIZED (
  SELECT key, expires_at FROM websession_sessions
  WHERE key = $9 AND xmin = $10::xid AND mark IS NULL FOR UPDATE),
moved AS (
  UPDATE websession_sessions s SET mark = 'frozen', successor = $1,
    expires_at = least(held.expires_at, clock_timestamp() + $11::bigint * interval '1 millisecond')
  FROM held WHERE s.key = held.key AND held.expires_at > clock_timestamp()
  RETURNING held.expires_at AS had)
INSERT INTO websession_sessions
  (key, created_at, label, data, bytes, until, expires_at, principal, listed_at)
SELECT $1, $2::bigint, $3, $4::jsonb, $5::jsonb, $6::jsonb,
  greatest(had, clock_timestamp() + $7::bigint * interval '1 millisecond'), $8,
  CASE WHEN $8::text IS NOT NULL THEN clock_timestamp() END
FROM moved)sql"};

const Sql move_and_end{"websession_move_and_end", R"sql(
WITH held AS MATERIALIZED (
  SELECT key, expires_at FROM websession_sessions
  WHERE key = $9 AND xmin = $10::xid AND mark IS NULL FOR UPDATE),
moved AS (
  UPDATE websession_sessions s SET mark = $12, successor = $1,
    expires_at = clock_timestamp() + $11::bigint * interval '1 millisecond',
    principal = NULL, label = NULL, data = '{}', bytes = NULL, until = NULL, listed_at = NULL
  FROM held WHERE s.key = held.key AND held.expires_at > clock_timestamp()
  RETURNING held.expires_at AS had)
INSERT INTO websession_sessions
  (key, created_at, label, data, bytes, until, expires_at, principal, listed_at)
SELECT $1, $2::bigint, $3, $4::jsonb, $5::jsonb, $6::jsonb,
  greatest(had, clock_timestamp() + $7::bigint * interval '1 millisecond'), $8,
  CASE WHEN $8::text IS NOT NULL THEN clock_timestamp() END
FROM moved)sql"};

const Sql drop{"websession_drop", R"sql(
WITH held AS MATERIALIZED (
  SELECT key, mark, successor, expires_at FROM websession_sessions WHERE key = $1 FOR UPDATE),
ended AS (
  DELETE FROM websession_sessions s USING held
  WHERE s.key = held.key AND held.mark IS NULL AND held.expires_at > clock_timestamp()
  RETURNING s.key),
stripped AS (
  UPDATE websession_sessions s SET mark = 'over', principal = NULL, label = NULL, data = '{}',
    bytes = NULL, until = NULL, listed_at = NULL
  WHERE s.key = ANY ($2::text[]) AND s.mark = 'frozen' AND EXISTS (SELECT FROM ended))
SELECT mark, successor, expires_at > clock_timestamp(), EXISTS (SELECT FROM ended)
FROM held)sql"};

const Sql end{"websession_end", R"sql(
WITH held AS MATERIALIZED (
  SELECT key, mark, successor, expires_at FROM websession_sessions WHERE key = $1 FOR UPDATE),
ended AS (
  UPDATE websession_sessions s SET mark = 'over', successor = NULL,
    expires_at = clock_timestamp() + $3::bigint * interval '1 millisecond',
    principal = NULL, label = NULL, data = '{}', bytes = NULL, until = NULL, listed_at = NULL
  FROM held
  WHERE s.key = held.key AND held.mark IS NULL AND held.expires_at > clock_timestamp()
  RETURNING s.key),
stripped AS (
  UPDATE websession_sessions s SET mark = 'over', principal = NULL, label = NULL, data = '{}',
    bytes = NULL, until = NULL, listed_at = NULL
  WHERE s.key = ANY ($2::text[]) AND s.mark = 'frozen' AND EXISTS (SELECT FROM ended))
SELECT mark, successor, expires_at > clock_timestamp(), EXISTS (SELECT FROM ended)
FROM held)sql"};

const Sql strip{"websession_strip", R"sql(
UPDATE websession_sessions SET mark = 'over', principal = NULL, label = NULL, data = '{}',
  bytes = NULL, until = NULL, listed_at = NULL
WHERE key = ANY ($1::text[]) AND mark = 'frozen')sql"};

const Sql list{"websession_list", R"sql(
SELECT key FROM websession_sessions WHERE principal = $1 AND expires_at > clock_timestamp()
ORDER BY listed_at, key LIMIT $2::bigint)sql"};

const Sql page{"websession_page", R"sql(
SELECT key, mark IS NULL AND expires_at > clock_timestamp() FROM websession_sessions
WHERE key > $1 ORDER BY key LIMIT $2::bigint)sql"};

const Sql sample{"websession_sample", R"sql(
SELECT count(*), count(*) FILTER (WHERE lives), count(*) FILTER (WHERE lives AND is_session),
  (SELECT reltuples::bigint FROM pg_class WHERE oid = 'websession_sessions'::regclass)
FROM (SELECT expires_at > clock_timestamp() AS lives,
    mark IS NULL AND key NOT LIKE '3:%' AND key NOT LIKE '4:%' AS is_session
  FROM websession_sessions LIMIT $1::bigint) AS part)sql"};

const Sql drop_expired{"websession_drop_expired", R"sql(
DELETE FROM websession_sessions WHERE key IN (
  SELECT key FROM websession_sessions WHERE expires_at <= now()
  ORDER BY expires_at LIMIT $1::bigint FOR UPDATE SKIP LOCKED))sql"};

const Sql drop_if_expired{"websession_drop_if_expired", R"sql(
DELETE FROM websession_sessions WHERE key = $1 AND expires_at <= now())sql"};

}  // namespace websession::postgres::sql
