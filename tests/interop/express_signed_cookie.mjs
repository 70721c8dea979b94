// A real Express program and the library read each other's signed session cookies.
//   node express_signed_cookie.mjs TOOL     (signed_cookie_tool.cpp)
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import http from "node:http";
import readline from "node:readline";

import cookieParser from "cookie-parser";
import express from "express";
import session from "express-session";

const NEWER = "keyboard-cat";
const OLDER = "a-secret-of-last-year";
const UNKNOWN = "somebody-else's";
const VISITS = 50; // enough for signatures with '+' and '/' in them

// The library, asked line by line.
class Tool {
  constructor(program) {
    this.process = spawn(program, [], { stdio: ["pipe", "pipe", "inherit"] });
    this.lines = readline.createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }
  async ask(line) {
    this.process.stdin.write(line + "\n");
    const { value, done } = await this.lines.next();
    assert(!done, "the C++ program ended");
    return value;
  }
  async login() {
    const [, id, value] = /^(\S+) sid=([^;]*);/.exec(await this.ask("login"));
    return { id, value };
  }
  end() {
    this.process.stdin.end();
  }
}

// Knows every session, so that express-session shows whether it took the cookie's signature.
class EveryStore extends session.Store {
  get(id, done) {
    done(null, { cookie: { originalMaxAge: null }, loaded: id });
  }
  set(id, data, done) {
    done(null);
  }
  touch(id, data, done) {
    done(null);
  }
}

function makeApp(secrets) {
  const app = express();
  app.get("/cookie-parser", cookieParser(secrets), (req, res) => res.json(req.signedCookies));
  app.get("/set", cookieParser(secrets), (req, res) => {
    res.cookie("sid", req.query.id, { signed: true }).end();
  });
  const withSession = session({
    name: "sid",
    secret: secrets,
    store: new EveryStore(),
    resave: false,
    saveUninitialized: false,
  });
  app.get("/session", withSession, (req, res) => {
    res.json({ id: req.sessionID, known: req.session.loaded === req.sessionID });
  });
  app.get("/login", withSession, (req, res) => {
    req.session.name = "Ada";
    res.json({ id: req.sessionID });
  });
  return app;
}

class Express {
  async start(secrets) {
    this.server = http.createServer(makeApp(secrets)).listen(0, "127.0.0.1");
    await new Promise((resolve) => this.server.once("listening", resolve));
    return this;
  }
  get(path, cookie) {
    const headers = cookie === undefined ? {} : { cookie: `sid=${cookie}` };
    const { port } = this.server.address();
    return new Promise((resolve, reject) => {
      http
        .get({ host: "127.0.0.1", port, path, headers, agent: false }, (res) => {
          let body = "";
          res.setEncoding("utf8");
          res.on("data", (piece) => (body += piece));
          res.on("end", () => {
            const set = res.headers["set-cookie"]?.[0];
            resolve({
              json: body ? JSON.parse(body) : undefined,
              value: set && /^sid=([^;]*)/.exec(set)[1],
            });
          });
        })
        .on("error", reject);
    });
  }
  // The id that each middleware reads from the cookie; undefined when it refuses it.
  async read(value) {
    const { json } = await this.get("/session", value);
    const parsed = (await this.get("/cookie-parser", value)).json.sid;
    return { session: json.known ? json.id : undefined, parser: parsed || undefined };
  }
  stop() {
    this.server.close();
  }
}

async function expressReadsOurs(app, tool) {
  let encoded = 0;
  for (let i = 0; i < VISITS; ++i) {
    const { id, value } = await tool.login();
    assert.match(value, /^s%3A/);
    if (/%2[BF]/.test(value)) ++encoded;
    assert.deepEqual(await app.read(value), { session: id, parser: id });
  }
  assert(encoded > 0, "no signature had a '+' or '/'");
}

async function weReadExpress(app, tool) {
  for (let i = 0; i < VISITS; ++i) {
    const login = await app.get("/login");
    assert.match(login.json.id, /^[A-Za-z0-9_-]{32}$/, "express-session's ids fit IdFormat");
    assert.equal(await tool.ask(`verify ${login.value}`), login.json.id);
    const { id, value } = await tool.login();
    const set = await app.get(`/set?id=${id}`);
    assert.equal(set.value, value, "both write the same cookie");
    assert.equal(await tool.ask(`open ${set.value}`), id);
  }
}

// What is bent is refused on both sides.
async function bothRefuse(app, tool) {
  const { id, value } = await tool.login();
  const other = await tool.login();
  const signature = value.slice(value.indexOf("."));
  const last = value.at(-1);
  const bent = [
    id,
    "s%3A" + id,
    "s%3A" + id + ".",
    "s%3A" + other.id + signature,
    value.slice(0, -1),
    value.slice(0, -1) + (last === "A" ? "B" : "A"),
    value + "A",
    value + "%3D",
    value.replace("s%3A", ""),
    value.replace("s%3A", "j%3A"),
    value.replace("%3A", "%253A"),
    value.replace("%3A", "%3"),
    value.replace(".", ".."),
    value.replace(".", ""),
  ];
  for (const text of bent) {
    const what = `the ${bent.indexOf(text)}th bent cookie`;
    assert.equal((await app.read(text)).session, undefined, what);
    assert.equal(await tool.ask(`open ${text}`), "none", what);
    assert.equal(await tool.ask(`verify ${text}`), "none", what);
  }
}

// Some clients write hex digits in lower case, or do not encode at all.
async function bothTakeOtherEncodings(app, tool) {
  for (let i = 0; i < VISITS; ++i) {
    const { id, value } = await tool.login();
    const lower = value.replace(/%../g, (escape) => escape.toLowerCase());
    for (const text of [lower, decodeURIComponent(value)]) {
      assert.deepEqual(await app.read(text), { session: id, parser: id });
      assert.equal(await tool.ask(`open ${text}`), id);
    }
  }
}

async function keysRotate(app, tool) {
  const old = await new Express().start([OLDER]);
  await tool.ask(`ring ${OLDER}`);
  const ours = await tool.login();
  const theirs = await old.get("/login");
  assert.deepEqual(await app.read(ours.value), { session: ours.id, parser: ours.id });
  await tool.ask(`ring ${NEWER} ${OLDER}`);
  assert.equal(await tool.ask(`verify ${theirs.value}`), theirs.json.id);
  assert.equal(await tool.ask(`open ${ours.value}`), ours.id);

  await tool.ask(`ring ${UNKNOWN}`);
  const foreign = await tool.login();
  assert.deepEqual(await app.read(foreign.value), { session: undefined, parser: undefined });
  assert.equal(await tool.ask(`verify ${theirs.value}`), "none");
  await tool.ask(`ring ${NEWER} ${OLDER}`);
  old.stop();
}

const tool = new Tool(process.argv[2]);
const app = await new Express().start([NEWER, OLDER]);
await tool.ask(`ring ${NEWER} ${OLDER}`);
for (const part of [
  expressReadsOurs,
  weReadExpress,
  bothRefuse,
  bothTakeOtherEncodings,
  keysRotate,
]) {
  await part(app, tool);
  console.log(`ok: ${part.name}`);
}
app.stop();
tool.end();
