// From the first visit to signing out, with all the mistakes on the way.
import assert from "node:assert/strict";

import { cookieName, waitFor } from "./support.mjs";

const wrongCode = (code) => (code === "123456" ? "654321" : "123456");
const seconds = (clock) => clock.split(":").reduce((sum, part) => 60 * sum + Number(part), 0);

// Gives a wrong code until there are no tries left, and returns what was said each time.
async function exhaust(visitor, code) {
  const said = [];
  for (let tries = 0; tries < 20; ++tries) {
    await visitor.enterCode(wrongCode(code));
    said.push(await visitor.flash("error"));
    if (!/You have \d+ tr(y|ies) left/.test(said.at(-1))) return said;
  }
  throw new Error(`a code can be guessed without end: ${said.join(" ")}`);
}

async function tabTo(page, selector) {
  for (let tabs = 0; tabs < 40; ++tabs) {
    const focused = await page.evaluate((wanted) => {
      return document.activeElement?.matches(wanted) ?? false;
    }, selector);
    if (focused) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`the Tab key does not lead to ${selector}`);
}

// Whether somebody who uses the keyboard sees where they are.
async function focusIsVisible(page) {
  return await page.evaluate(() => {
    const style = getComputedStyle(document.activeElement);
    return style.outlineStyle !== "none" || style.boxShadow !== "none";
  });
}

export function signingIn(scenario, { mailbox }) {
  scenario("the whole way, from the first visit to signing out", async (arrive) => {
    const address = "ada@example.org";
    const ada = await arrive();
    await ada.open();
    assert.equal(await ada.heading(), "Sign in");
    await ada.open();
    assert.deepEqual(await ada.context.cookies(), [], "a visitor who stores nothing has no cookie");

    await ada.askForCode(address);
    const anonymous = await ada.cookie();
    assert(anonymous, "whoever waits for a code has a session");
    await ada.enterCode(await mailbox.nextCode(address));
    assert.equal(await ada.heading(), `Hello, ${address}`);
    assert.notEqual((await ada.cookie()).value, anonymous.value, "signing in gives a new id");

    const views = await ada.views();
    await ada.page.reload();
    assert.equal(await ada.views(), views + 1);
    assert.equal(await ada.devices().count(), 1);
    assert.equal(await ada.devices().locator(".current").innerText(), "this one");

    await ada.press("Sign out");
    assert.equal(await ada.heading(), "Sign in");
    await ada.open();
    assert.equal(await ada.heading(), "Sign in");
  });

  scenario("the browser keeps the cookie as it should", async (arrive) => {
    const ada = await arrive();
    await ada.signIn("ada.cookie@example.org");
    const cookie = await ada.cookie();
    assert(cookie, `there is a cookie ${cookieName}`);
    assert.match(cookie.value, /^[A-Za-z0-9_-]{32}$/);
    assert.equal(cookie.secure, true);
    assert.equal(cookie.httpOnly, true);
    assert.equal(cookie.sameSite, "Lax");
    assert.equal(cookie.path, "/");
    assert.equal(cookie.domain, "sessions.test", "host-only: it would begin with a dot otherwise");
    const hours = (cookie.expires - Date.now() / 1000) / 3600;
    assert(hours > 11.9 && hours <= 12, `it expires with the session, not in ${hours} hours`);
    assert.equal((await ada.context.cookies()).length, 1, "there is no other cookie");
    assert.equal(await ada.page.evaluate(() => document.cookie), "", "scripts cannot read it");
  });

  scenario("the countdown ticks", async (arrive) => {
    const ada = await arrive();
    await ada.signIn("ada.countdown@example.org");
    const countdown = ada.page.locator("#countdown");
    const first = await countdown.innerText();
    assert.match(first, /^\d+:\d\d$/);
    const later = await waitFor("the countdown to tick", async () => {
      const text = await countdown.innerText();
      return text !== first && text;
    });
    assert(seconds(later) < seconds(first), `${first}, later ${later}`);
    assert(seconds(first) <= 1800 && seconds(later) > 1700, `30 minutes are left, not ${later}`);
  });

  scenario("a wrong code can be corrected; what is said is said once", async (arrive) => {
    const address = "ada.wrong@example.org";
    const ada = await arrive();
    await ada.open();
    await ada.askForCode(address);
    const code = await mailbox.nextCode(address);
    await ada.enterCode(wrongCode(code));
    assert.equal(await ada.heading(), "Enter the code");
    const said = await ada.flash("error");
    const left = Number(/^That was not the code\. You have (\d+) tr(y|ies) left\./.exec(said)?.[1]);
    assert(left > 0, said);
    await ada.page.reload();
    assert.equal(await ada.flash("error"), null, "a flash message is shown once");

    await ada.enterCode(wrongCode(code));
    assert.match(await ada.flash("error"), new RegExp(`You have ${left - 1} tr(y|ies) left`));
    await ada.enterCode(code);
    assert.equal(await ada.heading(), `Hello, ${address}`);
    assert.equal(await ada.flash("error"), null);
  });

  scenario("after too many wrong codes a new one helps", async (arrive) => {
    const address = "ada.exhausted@example.org";
    const ada = await arrive();
    await ada.open();
    await ada.askForCode(address);
    const code = await mailbox.nextCode(address);
    const said = await exhaust(ada, code);
    assert(said.length > 1, `there is more than one try: ${said}`);
    assert.match(said.at(-1), /new (code|one)/i, "it says what to do");

    await ada.enterCode(code);
    assert.notEqual(await ada.heading(), `Hello, ${address}`, "the code is of no use any more");
    await ada.press("Send a new code");
    assert.equal(await ada.heading(), "Enter the code");
    await ada.enterCode(await mailbox.nextCode(address));
    assert.equal(await ada.heading(), `Hello, ${address}`);
  });

  scenario("an old code is of no use once there is a new one", async (arrive) => {
    const address = "ada.old@example.org";
    const ada = await arrive();
    await ada.open();
    await ada.askForCode(address);
    const old = await mailbox.nextCode(address);
    await ada.press("Send a new code");
    const fresh = await mailbox.nextCode(address);
    if (old !== fresh) {
      await ada.enterCode(old);
      assert.match(await ada.flash("error"), /That was not the code/);
    }
    await ada.enterCode(fresh);
    assert.equal(await ada.heading(), `Hello, ${address}`);
  });

  scenario("a code works only in the browser that asked for it", async (arrive) => {
    const address = "ada.other@example.org";
    const ada = await arrive();
    const eve = await arrive();
    await ada.open();
    await ada.askForCode(address);
    const code = await mailbox.nextCode(address);
    await eve.open();
    await eve.askForCode("eve@example.org");
    if (code !== (await mailbox.nextCode("eve@example.org"))) {
      await eve.enterCode(code);
      assert.match(await eve.flash("error"), /That was not the code/);
    }
    await ada.enterCode(code);
    assert.equal(await ada.heading(), `Hello, ${address}`);
  });

  scenario("it works without JavaScript", async (arrive) => {
    const address = "ada.plain@example.org";
    const ada = await arrive({ javaScriptEnabled: false });
    await ada.signIn(address);
    const views = await ada.views();
    await ada.page.reload();
    assert.equal(await ada.views(), views + 1);
    assert.match(await ada.page.locator("#countdown").innerText(), /^\d+:\d\d$/);
    await ada.press("Sign out");
    assert.equal(await ada.heading(), "Sign in");
  });

  scenario("it works with the keyboard alone", async (arrive) => {
    const address = "ada.keyboard@example.org";
    const ada = await arrive();
    const { keyboard } = ada.page;
    const enter = () => ada.nextPage(() => keyboard.press("Enter"));
    await ada.open();
    await tabTo(ada.page, "input[name=email]");
    assert(await focusIsVisible(ada.page), "one sees that the address is focused");
    await keyboard.type(address);
    await enter();
    assert.equal(await ada.heading(), "Enter the code");
    await tabTo(ada.page, "input[name=code]");
    await keyboard.type(await mailbox.nextCode(address));
    await enter();
    assert.equal(await ada.heading(), `Hello, ${address}`);
    await tabTo(ada.page, "form[action='/sign-out'] button");
    assert(await focusIsVisible(ada.page), "one sees that the button is focused");
    await enter();
    assert.equal(await ada.heading(), "Sign in");
  });
}
