// Every page as people see it: pictures for whoever wants to look, and what can be checked of them.
import assert from "node:assert/strict";
import { join } from "node:path";

import { phone, startPlainServer } from "./support.mjs";

const screens = {
  desktop: { viewport: { width: 1000, height: 700 } },
  phone: {
    viewport: { width: 360, height: 740 },
    deviceScaleFactor: 2,
    isMobile: true,
    hasTouch: true,
  },
  night: { viewport: { width: 1000, height: 700 }, colorScheme: "dark" },
};
const longAddress = `${"a-very-long-name.".repeat(4).slice(0, 64)}@${"sub-domain.".repeat(5)}example.org`;

export function looks(scenario, world) {
  const { deployment, mailbox, screenshots } = world;
  for (const [screen, options] of Object.entries(screens)) {
    // Takes a picture of a visitor's page, and checks what holds for each page.
    const photograph = async (visitor, name) => {
      const { page } = visitor;
      await page.screenshot({ path: join(screenshots, `${name}-${screen}.png`), fullPage: true });
      const facts = await page.evaluate(() => ({
        language: document.documentElement.lang,
        title: document.title,
        content: document.scrollingElement.scrollWidth,
        room: document.scrollingElement.clientWidth,
        unnamed: [...document.querySelectorAll("input:not([type=hidden])")]
          .filter((input) => input.labels.length === 0)
          .map((input) => input.name),
      }));
      assert.equal(facts.language, "en", name);
      assert.notEqual(facts.title, "", name);
      assert.deepEqual(facts.unnamed, [], `${name}: every field has a label`);
      assert(facts.content <= facts.room, `${name} scrolls sideways: ${JSON.stringify(facts)}`);
      assert.equal(facts.room, options.viewport.width, `${name} fits the screen`);
    };

    scenario(`the pages (${screen})`, async (arrive) => {
      const address = `ada.${screen}@example.org`;
      const ada = await arrive(options);
      await ada.open();
      await photograph(ada, "01-sign-in");
      await ada.askForCode(address);
      await photograph(ada, "02-enter-code");
      const code = await mailbox.nextCode(address);
      await ada.enterCode(code === "123456" ? "654321" : "123456");
      await photograph(ada, "03-wrong-code");
      await ada.enterCode(code);
      await photograph(ada, "04-signed-in");
      const other = await arrive({ ...options, userAgent: phone });
      await other.signIn(address);
      await ada.open();
      await photograph(ada, "05-two-devices");
      await ada.endDevice();
      await photograph(ada, "06-device-ended");
      await other.page.reload();
      await photograph(other, "07-ended-elsewhere");
      await ada.press("Sign out everywhere");
      await photograph(ada, "08-signed-out");
      await ada.open("/no-such-page");
      await photograph(ada, "09-not-found");
    });

    if (screen === "night") continue; // these look as those above
    scenario(`a long address (${screen})`, async (arrive) => {
      const address = screen[0] + longAddress.slice(1);
      const ada = await arrive(options);
      await ada.open();
      await ada.askForCode(address);
      await photograph(ada, "10-long-address-code");
      await ada.enterCode(await mailbox.nextCode(address));
      assert.equal(await ada.heading(), `Hello, ${address}`);
      await photograph(ada, "11-long-address");
    });

    scenario(`a form that is out of date (${screen})`, async (arrive) => {
      const ada = await arrive(options);
      await ada.signIn(`ada.form.${screen}@example.org`);
      const tokens = await ada.page.locator("input[name=csrf]").all();
      for (const token of tokens) await token.evaluate((input) => (input.value = "old"));
      await ada.press("Sign out");
      await photograph(ada, "13-form-out-of-date");
      await ada.open();
      assert.match(await ada.heading(), /^Hello/);
    });

    scenario(`the page for development (${screen})`, async (arrive) => {
      const ada = await arrive(options);
      const server = await startPlainServer(world);
      try {
        ada.home = `http://localhost:${server.port}`;
        await ada.open();
        await ada.askForCode("ada@example.org");
        await ada.nextPage(() => ada.page.locator("a[href='/dev/mail']").click());
        await photograph(ada, "14-development-mail");
        const code = /Your code: (\d{6})/.exec(await ada.page.innerText("body"))[1];
        await ada.open("/enter-code");
        await ada.enterCode(code);
        assert.equal(await ada.heading(), "Hello, ada@example.org");
      } finally {
        await server.stop();
      }
    });

    scenario(`an outage (${screen})`, async (arrive) => {
      const ada = await arrive(options);
      await ada.signIn(`ada.outage.${screen}@example.org`);
      deployment.kill("redis");
      try {
        await ada.page.reload();
        await photograph(ada, "12-outage");
      } finally {
        await deployment.restartRedis();
      }
    });
  }
}
