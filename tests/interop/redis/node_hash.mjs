// A service that keeps its sessions in plain Redis hashes, as many do: one hash under `sid_<id>`,
// every value a string, and an expiry with each write. It knows nothing of websession.
//
//   node node_hash.mjs URL
//
// Prints "ready"; then it answers each line of JSON, {"command": …}, with one.
import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { createClient } from 'redis'

const seconds = 900

const client = createClient({ url: process.argv[2] })
client.on('error', (error) => {
  console.error(error.message)
  process.exit(1)
})
await client.connect()

const commands = {
  async create({ attributes }) {
    const id = randomBytes(24).toString('base64url')
    await commands.set({ id, attributes })
    return id
  },
  async set({ id, attributes }) {
    await client.hSet(`sid_${id}`, attributes)
    await client.expire(`sid_${id}`, seconds)
  },
  async get({ id }) {
    return client.hGetAll(`sid_${id}`)
  },
  async count({ id }) {
    const { count = '0' } = await client.hGetAll(`sid_${id}`)
    const next = Number(count) + 1
    await commands.set({ id, attributes: { count: String(next) } })
    return next
  },
  async remove({ id, name }) {
    await client.hDel(`sid_${id}`, name)
  },
}

console.log('ready')
for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line)
  console.log(JSON.stringify((await commands[command](rest)) ?? null))
}
process.exit(0)
