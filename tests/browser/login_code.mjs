// The example login_code behind examples/two_servers, as people with browsers meet it.
//
//   node login_code.mjs CONFIGURATION
//
// CONFIGURATION is JSON: browser (a program), twoServers (the script), workdir (what it has started),
// mails (a folder of smtp_sink.mjs) and smtp (its URL), loginCode (a program), screenshots (a folder).
import { after, before, describe, it } from "node:test";

import { chromium } from "playwright-core";

import { devices } from "./devices.mjs";
import { late } from "./late.mjs";
import { looks } from "./looks.mjs";
import { outages } from "./outages.mjs";
import { safety } from "./safety.mjs";
import { signingIn } from "./signing_in.mjs";
import { Deployment, Mailbox, patience, Visitor } from "./support.mjs";
import { trustedKey } from "./trusted_key.mjs";

const configuration = JSON.parse(process.argv[2]);
const deployment = new Deployment(configuration.twoServers, configuration.workdir);
const world = {
  ...configuration,
  deployment,
  mailbox: new Mailbox(configuration.mails),
  url: `https://sessions.test:${deployment.noted("port")}`,
  browser: undefined, // while the tests run
};

async function launch() {
  return await chromium.launch({
    executablePath: configuration.browser,
    timeout: 3 * patience,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--host-resolver-rules=MAP *.test 127.0.0.1",
      `--ignore-certificate-errors-spki-list=${await trustedKey(deployment)}`,
    ],
  });
}

// A case of a few visitors. arrive(options) brings one; options are those of Playwright's contexts.
function scenario(name, play) {
  it(name, async () => {
    const visitors = [];
    const arrive = async (options) => {
      visitors.push(await Visitor.arrive(world, options));
      return visitors.at(-1);
    };
    try {
      await play(arrive);
      const complaints = visitors.flatMap((visitor) => visitor.complaints);
      if (complaints.length > 0) throw new Error(`the browser complains: ${complaints.join("\n")}`);
    } catch (error) {
      const views = await Promise.all(visitors.map((visitor) => visitor.view()));
      throw new Error(`${error.stack}\nThe visitors see:\n${views.join("\n")}`);
    } finally {
      await Promise.all(visitors.map((visitor) => visitor.context.close()));
    }
  });
}

describe("login_code", () => {
  before(async () => {
    world.browser = await launch();
  });
  after(async () => {
    await world.browser?.close();
  });
  for (const cases of [signingIn, late, devices, safety, outages, looks]) cases(scenario, world);
});
