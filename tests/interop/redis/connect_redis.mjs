// A site with Express as the READMEs of express-session and connect-redis set it up. It knows
// nothing of websession.
//
//   node connect_redis.mjs URL
//
// Prints "ready PORT" and serves 127.0.0.1:PORT until it is killed.
import { once } from 'node:events'
import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import { createClient } from 'redis'

const client = createClient({ url: process.argv[2] })
client.on('error', (error) => {
  console.error(error.message)
  process.exit(1)
})
await client.connect()

const app = express()
app.use(express.json())
app.use(
  session({
    store: new RedisStore({ client }),
    secret: 'a secret that both services know',
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: 3_600_000, sameSite: 'lax' },
  }),
)

app.post('/login', (req, res, next) => {
  req.session.regenerate((error) => {
    if (error) return next(error)
    Object.assign(req.session, req.body)
    res.json({ id: req.sessionID })
  })
})
app.get('/session', (req, res) => {
  const { cookie, ...attributes } = req.session
  res.json({ id: req.sessionID, attributes })
})
app.post('/set', (req, res) => {
  Object.assign(req.session, req.body)
  res.json({})
})
app.post('/count', (req, res) => {
  req.session.count = (req.session.count ?? 0) + 1
  res.json(req.session.count)
})
app.post('/logout', (req, res, next) => {
  req.session.destroy((error) => (error ? next(error) : res.json({})))
})

// Changes the session, and saves it only when /release is called.
const releases = []
app.post('/hold', (req, res) => {
  Object.assign(req.session, req.body)
  releases.push(() => res.json({}))
  console.log('held')
})
app.post('/release', (req, res) => {
  for (const release of releases.splice(0)) release()
  res.json({})
})

const server = app.listen(0, '127.0.0.1')
await once(server, 'listening')
console.log(`ready ${server.address().port}`)
