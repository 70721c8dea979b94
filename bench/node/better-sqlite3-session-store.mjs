// better-sqlite3-session-store on better-sqlite3, in WAL mode as the latter's README advises. Its
// calls block the process. A session is one JSON text, which the last writer replaces.
//
//   node better-sqlite3-session-store.mjs FILE FULL|NORMAL, and the words of drive.mjs
import Database from 'better-sqlite3'
import betterSqlite3SessionStore from 'better-sqlite3-session-store'
import expressSession from 'express-session'
import { drive, promised, session } from './drive.mjs'

const [file, synchronous, ...words] = process.argv.slice(2)
const count = Number(words[0])

const client = new Database(file)
client.pragma('journal_mode = WAL')
client.pragma('synchronous = OFF')
const SqliteStore = betterSqlite3SessionStore(expressSession)
const store = new SqliteStore({ client })
// By one transaction: a million by the store would take minutes.
const day = new Date(Date.now() + 86_400_000).toISOString()
const insert = client.prepare('INSERT OR IGNORE INTO sessions VALUES (?, ?, ?)')
client.transaction(() => {
  if (client.prepare('SELECT count(*) AS n FROM sessions').get().n >= count) return
  const text = JSON.stringify(session)
  for (let i = 0; i < count; ++i) insert.run(String(i), text, day)
})()
client.pragma('wal_checkpoint(TRUNCATE)')
client.pragma(`synchronous = ${synchronous}`)
await drive(promised(store), words, ['better-sqlite3-session-store', 'better-sqlite3'])
