// Drives a session store of Node by as many promises as the other clients have threads.
//
// Prints "ready", waits for a line, works, and prints one line of JSON.
import { readFileSync } from 'node:fs'
import { once } from 'node:events'

const warmUpSeconds = 0.5 // the JIT needs longer than the others

// The session of the other clients. express-session would add its cookie's data to it.
export const session = {
  '@created': '1760000000000',
  user: 'grace.hopper@example.org',
  csrf: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  cart: '[{"sku":"A-10017","count":12},{"sku":"B-200234","count":11}]',
  return_to: '/orders/2025/checkout?step=payment&coupon=SUMMER2025',
  last_seen: '2025-10-09T08:53:20.000Z',
}

export const timeToLiveSeconds = 1800

function pick(n) {
  return Math.floor(Math.random() * n)
}

// The read and write calls of this process; sockets are most of them.
function systemCalls() {
  const io = readFileSync('/proc/self/io', 'latin1')
  const number = (name) => Number(io.match(`${name}: (\\d+)`)[1])
  return { reads: number('syscr'), writes: number('syscw') }
}

const versionOf = (name) =>
  JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version

// `words`: SESSIONS LOAD|SAVE|CYCLE PROMISES SECONDS. The store's get, set and touch give promises;
// its sessions are called "0", "1" and so on. `packages`: whose versions are told.
export async function drive(store, [sessions, operation, promises, seconds], packages) {
  const count = Number(sessions)
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
  const versions = packages.map((name, i) => (i ? `${name} ${versionOf(name)}` : versionOf(name)))
  console.log(
    JSON.stringify({
      seconds: elapsed / 1000,
      requests: latencies.length,
      p50_us: quantile(0.5),
      p99_us: quantile(0.99),
      cpu_seconds: (cpu.user + cpu.system) / 1e6,
      writes: calls.writes - callsBefore.writes,
      reads: calls.reads - callsBefore.reads,
      version: [...versions, `Node ${process.versions.node}`].join(', '),
    }),
  )
  process.exit(0)
}

// A store with callbacks, as express-session has them, for drive().
export function promised(store) {
  const call = (name, ...words) =>
    new Promise((resolve, reject) =>
      store[name](...words, (error, result) => (error ? reject(error) : resolve(result))),
    )
  return {
    get: (id) => call('get', id),
    set: (id, content) => call('set', id, content),
    touch: (id, content) => call('touch', id, content),
  }
}
