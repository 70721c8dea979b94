// connect-redis as its README sets it up, driven by as many promises as the other clients have
// threads. One process, one connection, which node-redis pipelines by itself.
//
//   node connect_redis.mjs URL PREFIX SESSIONS LOAD|SAVE|CYCLE PROMISES SECONDS
//
// Prints "ready", waits for a line, works, and prints one line of JSON.
import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'

const [url, prefix, sessions, operation, promises, seconds] = process.argv.slice(2)
const count = Number(sessions)
const warmUpSeconds = 0.5 // the JIT needs longer than the others

// The session of the other clients. express-session would add its cookie's data to it.
const session = {
  '@created': '1760000000000',
  user: 'grace.hopper@example.org',
  csrf: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  cart: '[{"sku":"A-10017","count":12},{"sku":"B-200234","count":11}]',
  return_to: '/orders/2025/checkout?step=payment&coupon=SUMMER2025',
  last_seen: '2025-10-09T08:53:20.000Z',
}

const client = createClient({ url })
client.on('error', (error) => {
  console.error(error.message)
  process.exit(1)
})
await client.connect()
const store = new RedisStore({ client, prefix, ttl: 1800 })
await Promise.all(Array.from({ length: count }, (_, i) => store.set(String(i), session)))

// What express-session asks of a store: get at the start of a request; at its end touch, or set
// when the session has changed.
const work = {
  async LOAD(id) {
    const loaded = await store.get(id)
    await store.touch(id, loaded)
  },
  async SAVE(id, lastSeen) {
    await store.set(id, { ...session, last_seen: lastSeen })
  },
  async CYCLE(id, lastSeen) {
    const loaded = await store.get(id)
    loaded.last_seen = lastSeen
    await store.set(id, loaded)
  },
}[operation]

function pick(n) {
  return Math.floor(Math.random() * n)
}

async function workUntil(end, latencies) {
  let before = performance.now()
  while (before < end) {
    await work(String(pick(count)), `2025-10-09T08:53:20.${100 + pick(900)}Z`)
    const after = performance.now()
    latencies.push(after - before)
    before = after
  }
}

async function workFor(seconds) {
  const latencies = []
  const end = performance.now() + seconds * 1000
  await Promise.all(Array.from({ length: Number(promises) }, () => workUntil(end, latencies)))
  return latencies
}

// The read and write calls of this process; sockets are most of them.
function systemCalls() {
  const io = readFileSync('/proc/self/io', 'latin1')
  const number = (name) => Number(io.match(`${name}: (\\d+)`)[1])
  return { reads: number('syscr'), writes: number('syscw') }
}

await workFor(warmUpSeconds)
console.log('ready')
await once(process.stdin, 'data')

const callsBefore = systemCalls()
const cpuBefore = process.cpuUsage()
const start = performance.now()
const latencies = await workFor(Number(seconds))
const elapsed = performance.now() - start
const cpu = process.cpuUsage(cpuBefore)
const calls = systemCalls()

latencies.sort((a, b) => a - b)
const quantile = (share) => latencies[Math.floor(share * (latencies.length - 1))] * 1000
const versionOf = (name) =>
  JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version
console.log(
  JSON.stringify({
    seconds: elapsed / 1000,
    requests: latencies.length,
    p50_us: quantile(0.5),
    p99_us: quantile(0.99),
    cpu_seconds: (cpu.user + cpu.system) / 1e6,
    writes: calls.writes - callsBefore.writes,
    reads: calls.reads - callsBefore.reads,
    version: `${versionOf('connect-redis')}, redis ${versionOf('redis')}, Node ${process.versions.node}`,
  }),
)
process.exit(0)
