// Several tabs of one browser, and several browsers of one person.
import assert from "node:assert/strict";

import { phone } from "./support.mjs";

export function devices(scenario) {
  scenario("two tabs load at once, again and again", async (arrive) => {
    const rounds = 20;
    const ada = await arrive();
    await ada.signIn("ada.tabs@example.org");
    const views = await ada.views();
    const id = (await ada.cookie()).value;
    const tabs = [ada.page, await ada.context.newPage()];
    const seen = [];
    for (let round = 0; round < rounds; ++round) {
      await Promise.all(tabs.map((tab) => tab.goto(ada.home)));
      for (const tab of tabs) seen.push(Number(await tab.locator("#views").innerText()));
    }
    seen.sort((one, other) => one - other);
    const expected = Array.from({ length: 2 * rounds }, (_, i) => views + 1 + i);
    assert.deepEqual(seen, expected, "every view was counted, once");
    assert.equal((await ada.cookie()).value, id, "it is the same session still");
  });

  scenario("both tabs are signed in when one has signed in", async (arrive) => {
    const address = "ada.second.tab@example.org";
    const ada = await arrive();
    const tab = await ada.context.newPage();
    await tab.goto(ada.home);
    await ada.signIn(address);
    await tab.reload();
    assert.equal(await tab.getByRole("heading", { level: 1 }).innerText(), `Hello, ${address}`);
  });

  scenario("one browser ends the other's session", async (arrive) => {
    const address = "ada.two@example.org";
    const desk = await arrive();
    const mobile = await arrive({ userAgent: phone });
    await desk.signIn(address);
    await mobile.signIn(address);
    await desk.page.reload();
    assert.equal(await desk.devices().count(), 2);
    assert.equal(await desk.page.locator("li.device .current").count(), 1);
    const other = desk.devices().filter({ hasText: "Firefox" });
    assert.equal(await other.count(), 1, "the devices have names");
    assert.equal(await other.locator(".current").count(), 0);

    await desk.endDevice();
    assert.equal(await desk.heading(), `Hello, ${address}`);
    assert.equal(await desk.devices().count(), 1);
    await mobile.page.reload();
    assert.equal(await mobile.heading(), "Sign in", "the other one is out at its next click");
    await desk.page.reload();
    assert.equal(await desk.heading(), `Hello, ${address}`);
  });

  scenario("signing out everywhere ends the others at their next click", async (arrive) => {
    const address = "ada.everywhere@example.org";
    const everybody = [await arrive(), await arrive(), await arrive({ userAgent: phone })];
    for (const one of everybody) await one.signIn(address);
    const bystander = await arrive();
    await bystander.signIn("bob@example.org");

    await everybody[0].press("Sign out everywhere");
    assert.equal(await everybody[0].heading(), "Sign in");
    await everybody[1].press("Sign out");
    assert.equal(await everybody[1].heading(), "Sign in", "a click on a page that is still open");
    await everybody[2].page.reload();
    assert.equal(await everybody[2].heading(), "Sign in");
    await bystander.page.reload();
    assert.equal(await bystander.heading(), "Hello, bob@example.org");

    await everybody[0].signIn(address);
    assert.equal(await everybody[0].devices().count(), 1, "none of the old ones is left");
  });

  scenario("signing out ends this browser alone", async (arrive) => {
    const address = "ada.one@example.org";
    const desk = await arrive();
    const mobile = await arrive({ userAgent: phone });
    await desk.signIn(address);
    await mobile.signIn(address);
    await mobile.press("Sign out");
    await desk.page.reload();
    assert.equal(await desk.heading(), `Hello, ${address}`);
    assert.equal(await desk.devices().count(), 1);
  });
}
