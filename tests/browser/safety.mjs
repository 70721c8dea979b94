// What others try with somebody's browser, and the trap of a Secure cookie over plain http.
import assert from "node:assert/strict";
import https from "node:https";

import { cookieName, startPlainServer, waitFor } from "./support.mjs";

// A site whose every page has a form that posts to the example's.
async function startStranger({ deployment, url }) {
  const answer = (request, response) => {
    const { searchParams } = new URL(request.url, "https://stranger.test");
    const inputs = [...searchParams].filter(([name]) => name !== "action").map(([name, value]) => {
      return `<input name="${name}" value="${value}">`;
    });
    response.setHeader("content-type", "text/html");
    response.end(`<!doctype html><title>A stranger</title><h1>You have won</h1>
      <form method="post" action="${url}${searchParams.get("action")}">
      ${inputs.join("")}<button>Take it</button></form>`);
  };
  const credentials = { cert: deployment.file("server.pem"), key: deployment.file("server.key") };
  const server = https.createServer(credentials, answer).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return server;
}

// Lets a visitor press the button of a stranger's form in a new tab, and returns what came of it.
async function fallFor(visitor, server, host, action, fields) {
  const page = await visitor.context.newPage();
  const query = new URLSearchParams({ action, ...fields });
  await page.goto(`https://${host}:${server.address().port}/?${query}`);
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.url().endsWith(action)),
    page.waitForEvent("load"),
    page.getByRole("button").click(),
  ]);
  const result = { status: answer.status(), cookie: await answer.headerValue("set-cookie") };
  await page.close();
  return result;
}

export function safety(scenario, world) {
  const { deployment, mailbox } = world;

  // The cookie is not sent with a form of another site (SameSite); from a neighbour under the same
  // domain it is, and the token alone helps.
  for (const host of ["stranger.test", "neighbour.sessions.test"]) {
    scenario(`a form of ${host} is refused`, async (arrive) => {
      const address = `ada.${host}@example.org`;
      const victim = `victim.${host}@example.org`;
      const ada = await arrive();
      await ada.signIn(address);
      const server = await startStranger(world);
      try {
        for (const action of ["/sign-out-everywhere", "/sign-out", "/end-device"]) {
          const answer = await fallFor(ada, server, host, action, { csrf: "guessed" });
          assert.equal(answer.status, 403, action);
          assert.equal(answer.cookie, null, action);
          await ada.page.reload();
          assert.equal(await ada.heading(), `Hello, ${address}`, `after ${action}`);
        }
        await fallFor(ada, server, host, "/send-code", { email: victim });
        const bob = await arrive();
        await fallFor(bob, server, host, "/send-code", { email: victim });
        assert.deepEqual(await bob.context.cookies(), [], "nor does it start a session");
        await bob.signIn(`bob.${host}@example.org`); // a mail that comes after the victim's would
        assert.deepEqual(mailbox.mailsTo(victim), []);
      } finally {
        server.close();
      }
    });
  }

  scenario("every form of a session has a token", async (arrive) => {
    const ada = await arrive();
    const check = async (count) => {
      const forms = await ada.page.locator("form").count();
      assert(forms >= count, `${forms} forms`);
      const tokens = ada.page.locator("form[method=post i] input[type=hidden][name=csrf]");
      assert.equal(await tokens.count(), forms);
      for (const token of await tokens.all()) assert.notEqual(await token.inputValue(), "");
    };
    await ada.open();
    await ada.askForCode("ada.forms@example.org");
    await check(2);
    await ada.enterCode(await mailbox.nextCode("ada.forms@example.org"));
    await check(2);
  });

  scenario("plain http leads to https", async (arrive) => {
    const ada = await arrive();
    await ada.page.goto(`http://sessions.test:${deployment.noted("http_port")}/`);
    assert.equal(ada.page.url(), `${world.url}/`);
    assert.equal(await ada.heading(), "Sign in");
  });

  scenario("the development page of codes is not in production", async (arrive) => {
    const ada = await arrive();
    assert.equal((await ada.open("/dev/mail")).status(), 404);
  });

  scenario("a Secure cookie over plain http: nobody stays signed in", async (arrive) => {
    const address = "ada.trap@example.org";
    const ada = await arrive();
    const server = await startPlainServer(world, "--smtp", world.smtp, "--secure");
    try {
      const cookies = [];
      ada.page.on("response", async (response) => {
        const cookie = await response.headerValue("set-cookie");
        if (cookie) cookies.push(cookie);
      });
      ada.home = `http://plain.test:${server.port}`;
      for (let visit = 1; visit <= 2; ++visit) {
        await ada.open();
        await ada.page.locator("input[name=email]").fill(address);
        await ada.press("Send me a code");
        await waitFor("the cookie of a new session", () => cookies.length === visit);
        assert.deepEqual(await ada.context.cookies(), [], "the browser refuses it");
        await mailbox.nextCode(address);
        await ada.open();
        assert.equal(await ada.heading(), "Sign in");
      }
      for (const cookie of cookies) assert(cookie.startsWith(`${cookieName}=`), cookie);
      assert.notEqual(cookies[0].split(";")[0], cookies[1].split(";")[0], "a new id each time");
      await waitFor("the warning", () => /warning: .*https/i.test(server.log()));

      // Browsers trust the machine itself, so who tries it at home does not see the trap.
      ada.home = `http://localhost:${server.port}`;
      await ada.signIn(address);
      assert.equal((await ada.cookie()).secure, true);
    } catch (error) {
      error.message += `\nThe server says:\n${server.log()}`;
      throw error;
    } finally {
      await server.stop();
    }
  });

  scenario("without a proxy the cookie fits plain http", async (arrive) => {
    const address = "ada.http@example.org";
    const ada = await arrive();
    const server = await startPlainServer(world, "--smtp", world.smtp);
    try {
      ada.home = `http://plain.test:${server.port}`;
      await ada.signIn(address);
      const [cookie, ...more] = await ada.context.cookies();
      assert.equal(cookie.name, "sid");
      assert.equal(cookie.secure, false);
      assert.equal(cookie.httpOnly, true);
      assert.deepEqual(more, []);
    } finally {
      await server.stop();
    }
  });
}
