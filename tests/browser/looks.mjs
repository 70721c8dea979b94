// Every page as people see it: pictures for whoever wants to look, and what can be checked of them.
import assert from "node:assert/strict";
import { join } from "node:path";

import { phone } from "./support.mjs";

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

export function looks(scenario, { deployment, mailbox, screenshots }) {
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
      const other = await arrive({ userAgent: phone });
      await other.signIn(address);
      await ada.open();
      await photograph(ada, "05-two-devices");
      await ada.endDevice();
      await photograph(ada, "06-device-ended");
      await ada.press("Sign out everywhere");
      await photograph(ada, "07-signed-out");
      await ada.open("/no-such-page");
      await photograph(ada, "08-not-found");
    });

    scenario(`a long address (${screen})`, async (arrive) => {
      const address = screen[0] + longAddress.slice(1);
      const ada = await arrive(options);
      await ada.open();
      await ada.askForCode(address);
      await photograph(ada, "09-long-address-code");
      await ada.enterCode(await mailbox.nextCode(address));
      assert.equal(await ada.heading(), `Hello, ${address}`);
      await photograph(ada, "10-long-address");
    });

    scenario(`an outage (${screen})`, async (arrive) => {
      const ada = await arrive(options);
      await ada.signIn(`ada.outage.${screen}@example.org`);
      deployment.kill("redis");
      try {
        await ada.page.reload();
        await photograph(ada, "11-outage");
      } finally {
        await deployment.restartRedis();
      }
    });
  }
}
