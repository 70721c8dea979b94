// Requests that were under way while their visitor signed in: a poll, another tab, a second click.
import assert from "node:assert/strict";
import https from "node:https";

import { patience, waitFor } from "./support.mjs";

// In front of the site: passes on what it is sent, but holds what has "?late" in its address, or what
// a test tells it to. So the site sees such a request after others that were sent later, with the
// cookie of when it was sent.
class HoldingProxy {
  #server;
  #held = [];
  holds = (request) => request.url.includes("?late");

  static async start({ deployment, url }) {
    const proxy = new HoldingProxy();
    const site = new URL(url);
    // What has come is passed on, also when the browser no longer waits for the answer.
    const passOn = (request, body, response) => new Promise((answered) => {
      const { method, url: path, headers } = request;
      const onward = https.request({
        host: "127.0.0.1", port: site.port, servername: site.hostname, path, method, headers,
        ca: deployment.file("ca.pem"),
      });
      onward.on("response", (answer) => {
        response.writeHead(answer.statusCode, answer.rawHeaders);
        answer.pipe(response);
        answer.on("end", answered);
      });
      onward.on("error", () => {
        response.destroy();
        answered();
      });
      onward.end(body);
    });
    const credentials = { cert: deployment.file("server.pem"), key: deployment.file("server.key") };
    proxy.#server = https.createServer(credentials, async (request, response) => {
      const parts = [];
      for await (const part of request) parts.push(part);
      const answer = () => passOn(request, Buffer.concat(parts), response);
      if (proxy.holds(request)) {
        proxy.#held.push(answer);
      } else {
        answer();
      }
    });
    proxy.#server.listen(0, "127.0.0.1");
    await new Promise((resolve) => proxy.#server.once("listening", resolve));
    proxy.url = `https://${site.hostname}:${proxy.#server.address().port}`;
    return proxy;
  }

  async isHolding(count) {
    await waitFor(`${count} requests to hold`, () => this.#held.length === count);
  }
  // Passes the oldest of them on, or the newest, and waits for the site's answer.
  async release({ newest = false } = {}) {
    const [passOn] = this.#held.splice(newest ? -1 : 0, 1);
    await passOn();
  }
  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

export function late(scenario, world) {
  const { mailbox } = world;

  // Ada has asked for a code, and all that she sends comes through a proxy.
  const throughProxy = (what, act) => scenario(what, async (arrive) => {
    const address = `ada.${what.replaceAll(" ", ".")}@example.org`;
    const proxy = await HoldingProxy.start(world);
    try {
      const ada = await arrive();
      ada.home = proxy.url;
      await ada.open();
      await ada.askForCode(address);
      await act(ada, proxy, address);
    } finally {
      proxy.stop();
    }
  });

  // Whether `send` is a request of the page or of another tab: it is under way before the sign-in,
  // and comes to the site after it. `send` returns what is there when its answer has come.
  const outlives = (what, send) => throughProxy(what, async (ada, proxy, address) => {
    const before = await ada.cookie();
    const answered = await send(ada, proxy);
    await proxy.isHolding(1);
    await ada.enterCode(await mailbox.nextCode(address));
    assert.equal(await ada.heading(), `Hello, ${address}`);
    const signedIn = await ada.cookie();
    assert.notEqual(signedIn.value, before.value);
    await proxy.release();
    await answered();
    assert.deepEqual(await ada.cookie(), signedIn, "the late answer leaves the cookie alone");
    await ada.page.reload();
    assert.equal(await ada.heading(), `Hello, ${address}`);
  });

  outlives("a poll does not sign out", async (ada, proxy) => {
    // Of another page: that of the form ends with its own requests.
    const poll = await ada.context.newPage();
    await poll.goto(`${proxy.url}/icon.svg`);
    const answer = poll.evaluate(async () => {
      const response = await fetch("/?late");
      return [response.status, await response.text()];
    });
    return async () => {
      const [status, text] = await answer;
      assert.equal(status, 200);
      assert.match(text, /load this page again/);
      await poll.close();
    };
  });

  outlives("a second tab does not sign out", async (ada, proxy) => {
    const tab = await ada.context.newPage();
    const loaded = tab.goto(`${proxy.url}/?late`, { timeout: patience });
    return async () => {
      await loaded;
      assert.match(await tab.innerText("body"), /load this page again/);
      await tab.goto(proxy.url);
      assert.match(await tab.innerText("h1"), /^Hello, /);
      await tab.close();
    };
  });

  // The second click comes when the first has sent the form already: the browser sends it again, and
  // waits for that answer only. The site sees both. (Of two faster clicks a browser sends one.)
  const clickTwice = (what, goOn) => throughProxy(what, async (ada, proxy, address) => {
    await ada.page.locator("input[name=code]").fill(await mailbox.nextCode(address));
    proxy.holds = (request) => request.method === "POST";
    const button = ada.page.getByRole("button", { name: "Sign in", exact: true });
    const { x, y, width, height } = await button.boundingBox();
    for (const click of [1, 2]) {
      await ada.page.mouse.click(x + width / 2, y + height / 2);
      await proxy.isHolding(click);
    }
    proxy.holds = () => false;
    await goOn(ada, proxy, address);
  });
  const isSignedIn = (ada, address) =>
    waitFor("the sign-in", async () => (await ada.heading()) === `Hello, ${address}`);

  clickTwice("the second click signs in and the first does no harm", async (ada, proxy, address) => {
    await proxy.release({ newest: true });
    await isSignedIn(ada, address);
    const signedIn = await ada.cookie();
    await proxy.release();
    assert.deepEqual(await ada.cookie(), signedIn, "the late answer leaves the cookie alone");
    await ada.page.reload();
    assert.equal(await ada.heading(), `Hello, ${address}`);
  });

  // The answer with the new cookie is one that nobody waits for, and a code is good for one sign-in.
  clickTwice("the first click uses up the code and a new one helps", async (ada, proxy, address) => {
    await proxy.release();
    await proxy.release();
    await waitFor("the answer", async () =>
      /load this page again/.test(await ada.page.innerText("body")));
    await ada.open();
    await ada.askForCode(address);
    await ada.enterCode(await mailbox.nextCode(address));
    assert.equal(await ada.heading(), `Hello, ${address}`);
  });
}
