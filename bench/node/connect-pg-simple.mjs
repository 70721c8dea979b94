// connect-pg-simple as its README sets it up: the pool of pg, with its ten connections. A session is
// one JSON text, which the last writer replaces.
//
//   node connect-pg-simple.mjs SOCKET_FOLDER PORT USER, and the words of drive.mjs
import connectPgSimple from 'connect-pg-simple'
import expressSession from 'express-session'
import pg from 'pg'
import { drive, promised, session, timeToLiveSeconds } from './drive.mjs'

const [host, port, user, ...words] = process.argv.slice(2)
const count = Number(words[0])

const pool = new pg.Pool({ host, port: Number(port), user, database: 'postgres' })
const PgStore = connectPgSimple(expressSession)
const store = new PgStore({
  pool,
  ttl: timeToLiveSeconds,
  createTableIfMissing: true,
  pruneSessionInterval: false,
})
const calls = promised(store)
await calls.set('0', session) // makes the table
// By one statement: a million by the store would take minutes.
await pool.query(
  `INSERT INTO session (sid, sess, expire)
   SELECT i::text, $1, now() + interval '1 day' FROM generate_series(1, $2::int - 1) AS i
   WHERE (SELECT count(*) FROM session) < $2::int`,
  [JSON.stringify(session), count],
)
await drive(calls, words, ['connect-pg-simple', 'pg'])
