// connect-redis as its README sets it up. One process, one connection, which node-redis pipelines by
// itself.
//
//   node connect-redis.mjs URL PREFIX, and the words of drive.mjs
import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'
import { drive, session, timeToLiveSeconds } from './drive.mjs'

const [url, prefix, ...words] = process.argv.slice(2)

const client = createClient({ url })
client.on('error', (error) => {
  console.error(error.message)
  process.exit(1)
})
await client.connect()
const store = new RedisStore({ client, prefix, ttl: timeToLiveSeconds })
await Promise.all(Array.from({ length: Number(words[0]) }, (_, i) => store.set(String(i), session)))
await drive(store, words, ['connect-redis', 'redis'])
