// What the browser tests share: the mails, the deployment, and visitors with a browser each.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

export const cookieName = "__Host-sid";
export const patience = 60_000; // ms: generous, as machines that run tests are busy

// The User-Agent of another browser.
export const phone = "Mozilla/5.0 (Android 14; Mobile; rv:128.0) Gecko/128.0 Firefox/128.0";

// Asks until the answer is not false, undefined or null, and returns it.
export async function waitFor(what, ask) {
  const deadline = Date.now() + patience;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// The mails that tests/support/smtp_sink.mjs has taken.
export class Mailbox {
  #directory;
  #read = new Map(); // address -> number of its mails that were read

  constructor(directory) {
    this.#directory = directory;
  }

  // The mails to an address, oldest first.
  mailsTo(address) {
    const names = readdirSync(this.#directory).filter((name) => name.endsWith(".eml"));
    names.sort((one, other) => parseInt(one) - parseInt(other));
    const mails = names.map((name) => readFileSync(join(this.#directory, name), "utf8"));
    return mails.filter((mail) => /^To: *(.*)$/im.exec(mail)?.[1].includes(address));
  }

  // The code in the next mail to an address that was not read yet.
  async nextCode(address) {
    const position = this.#read.get(address) ?? 0;
    const mail = await waitFor(`a mail to ${address}`, () => this.mailsTo(address)[position]);
    this.#read.set(address, position + 1);
    const code = /^Subject: Your code: (\d{6})$/m.exec(mail)?.[1];
    assert(code, `no code in the subject of: ${mail}`);
    assert(mail.split("\n").includes(code), `no line with just the code in: ${mail}`);
    return code;
  }
}

// What examples/two_servers has started in a folder.
export class Deployment {
  #script;
  #directory;

  constructor(script, directory) {
    this.#script = script;
    this.#directory = directory;
  }

  noted(name) {
    const env = readFileSync(join(this.#directory, "env"), "utf8");
    const value = new RegExp(`^${name}=(.*)$`, "m").exec(env)?.[1];
    assert(value, `${name} is not in env`);
    return value;
  }

  file(name) {
    return readFileSync(join(this.#directory, name));
  }

  kill(name) {
    process.kill(Number(this.noted(`${name}_pid`)), "SIGKILL");
  }

  async restartServer(letter) {
    await promisify(execFile)(this.#script, ["restart-server", this.#directory, letter]);
  }

  // Returns once both servers have reached it.
  async restartRedis() {
    await promisify(execFile)(this.#script, ["restart-redis", this.#directory]);
    for (const letter of ["A", "B"]) {
      const health = `${this.noted(`server_${letter}_url`)}/health`;
      await waitFor(`server ${letter} to be healthy`, async () => (await fetch(health)).ok);
    }
  }
}

// A server of its own, in memory and without a proxy. Returns its port, log() and stop().
export async function startPlainServer({ loginCode }, ...options) {
  const server = spawn(loginCode, ["--port", "0", "--store", "memory", ...options]);
  let log = "";
  for (const stream of [server.stdout, server.stderr]) {
    stream.on("data", (text) => (log += text));
  }
  const stop = async () => {
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGKILL");
    await ended;
  };
  try {
    const [, port] = await waitFor(`login_code to listen: ${log}`, () => {
      assert.equal(server.exitCode, null, log);
      return /^Listening on http:\/\/127\.0\.0\.1:(\d+)\//m.exec(log);
    });
    return { port, stop, log: () => log };
  } catch (error) {
    server.kill("SIGKILL");
    throw error;
  }
}

// Somebody with a browser of their own (cookies included) and one tab.
export class Visitor {
  complaints = []; // what the browser found wrong with the pages

  static async arrive(world, options) {
    const visitor = new Visitor();
    visitor.home = world.url;
    visitor.mailbox = world.mailbox;
    visitor.context = await world.browser.newContext(options);
    visitor.context.setDefaultTimeout(patience);
    visitor.context.on("weberror", (error) => visitor.complaints.push(String(error.error())));
    visitor.context.on("console", (message) => {
      if (/security policy|refused/i.test(message.text())) visitor.complaints.push(message.text());
    });
    visitor.page = await visitor.context.newPage();
    return visitor;
  }

  async open(path = "/") {
    return await this.page.goto(new URL(path, this.home).href);
  }

  // Does what leads to another page, and waits for that.
  async nextPage(act) {
    const [, result] = await Promise.all([this.page.waitForEvent("load"), act()]);
    return result;
  }

  async press(button) {
    const found = this.page.getByRole("button", { name: button, exact: true });
    await this.nextPage(() => found.click());
  }

  // Ends the one other device that is shown.
  async endDevice() {
    await this.nextPage(() => this.page.locator("form[action='/end-device'] button").click());
  }

  async heading() {
    return await this.page.getByRole("heading", { level: 1 }).innerText();
  }

  // The flash message of a kind (notice or error), null without one.
  async flash(kind) {
    const flash = this.page.locator(`.flash.${kind}`);
    return (await flash.count()) > 0 ? await flash.innerText() : null;
  }

  async views() {
    return Number(await this.page.locator("#views").innerText());
  }

  devices() {
    return this.page.locator("li.device");
  }

  async cookie() {
    const cookies = await this.context.cookies();
    return cookies.find((cookie) => cookie.name === cookieName);
  }

  async askForCode(address) {
    await this.page.locator("input[name=email]").fill(address);
    await this.press("Send me a code");
    assert.equal(await this.heading(), "Enter the code");
  }

  async enterCode(code) {
    await this.page.locator("input[name=code]").fill(code);
    await this.press("Sign in");
  }

  async signIn(address) {
    await this.open();
    await this.askForCode(address);
    await this.enterCode(await this.mailbox.nextCode(address));
    assert.equal(await this.heading(), `Hello, ${address}`);
  }

  // What this visitor sees, for a test that failed.
  async view() {
    const views = this.context.pages().map(async (page) => {
      const text = await page.innerText("body", { timeout: 2000 }).catch(String);
      return `--- ${page.url()}\n${text}`;
    });
    return (await Promise.all(views)).join("\n");
  }
}
