// What a visitor notices when parts of the deployment die.
import assert from "node:assert/strict";

export function outages(scenario, { deployment }) {
  scenario("a server dies, and nobody notices", async (arrive) => {
    const address = "ada.kill@example.org";
    const ada = await arrive();
    const bob = await arrive();
    await ada.signIn(address);
    await bob.open();
    await bob.askForCode("bob.kill@example.org");
    const views = await ada.views();
    deployment.kill("server_A");
    try {
      for (let click = 1; click <= 4; ++click) {
        const answer = await ada.page.reload();
        assert.equal(await ada.heading(), `Hello, ${address}`);
        assert.equal(await ada.views(), views + click);
        assert.equal(await answer.headerValue("x-served-by"), "server B");
      }
      await bob.enterCode(await bob.mailbox.nextCode("bob.kill@example.org"));
      assert.equal(await bob.heading(), "Hello, bob.kill@example.org", "a form works as well");
    } finally {
      await deployment.restartServer("A");
    }
    await ada.page.reload();
    assert.equal(await ada.heading(), `Hello, ${address}`);
  });

  scenario("both servers start again, and everybody is signed in still", async (arrive) => {
    const address = "ada.restart@example.org";
    const ada = await arrive();
    const bob = await arrive();
    await ada.signIn(address);
    await bob.open();
    await bob.askForCode("bob.restart@example.org");
    for (const letter of ["A", "B"]) await deployment.restartServer(letter);
    await ada.page.reload();
    assert.equal(await ada.heading(), `Hello, ${address}`);
    await bob.enterCode(await bob.mailbox.nextCode("bob.restart@example.org"));
    assert.equal(await bob.heading(), "Hello, bob.restart@example.org", "codes stay valid");
  });

  scenario("Redis dies, and comes back with all that it knew", async (arrive) => {
    const address = "ada.redis@example.org";
    const ada = await arrive();
    await ada.signIn(address);
    const views = await ada.views();
    const cookie = await ada.cookie();
    deployment.kill("redis");
    try {
      const answer = await ada.page.reload();
      assert.equal(answer.status(), 503);
      assert.match(await ada.page.innerText("body"), /try again/i, "it says what to do");
      assert.equal((await answer.headerValue("set-cookie")) ?? "", "");
      assert.equal((await ada.open("/health")).status(), 503);
    } finally {
      await deployment.restartRedis();
    }
    assert.deepEqual(await ada.cookie(), cookie, "an outage is not a logout");
    assert.equal((await ada.open("/health")).status(), 200);
    await ada.open();
    assert.equal(await ada.heading(), `Hello, ${address}`);
    assert.equal(await ada.views(), views + 1);
  });
}
