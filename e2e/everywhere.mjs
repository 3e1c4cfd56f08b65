// Every page that a link leads to, on a server where everything has happened: it is there, accessible in light and in dark, by
// keyboard, no wider than a desk's window or a phone's, small at its first load, and the browser has nothing to say about it.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { HOME, command, examine, keyIn, opened, reach, setUp, simulate, travel } from "./browser.mjs";

const { CONSOLE_ADDRESS, CONSOLE_SET_UP } = process.env;
// The first load of a page needs less than this, whatever is on it.
const FIRST_LOAD_BYTES = 100 * 1024;
// Pages that are looked at at the same time.
const PAGES = 4;
// What moves is at its end at once, so that no color is looked at on its way to another.
const STILL = { reducedMotion: "reduce" };

// Sends a form as a page of the console does; what is answered.
const send = async (context, path, form) => {
  const answer = await context.request.post(`${HOME}/${path}`, { form, headers: { origin: CONSOLE_ADDRESS }, maxRedirects: 0 });
  assert.ok([200, 303].includes(answer.status()), `${path}: ${answer.status()} ${await answer.text()}`);
  return answer.text();
};

// What an app asks, or a vendor's own system with its key.
const ask = (path, body, key) =>
  fetch(`${CONSOLE_ADDRESS}/v1/${path}`, {
    method: body ? "POST" : "GET",
    headers: { "content-type": "application/json", ...(key && { authorization: `Bearer ${key}` }) },
    body: body && JSON.stringify(body),
  });

// A receiver of webhooks that takes every second one.
const receiver = { told: 0 };
receiver.server = createServer((request, answer) => {
  receiver.told += 1;
  request.resume().on("end", () => answer.writeHead(receiver.told % 2 ? 204 : 500).end());
});
await new Promise((listens) => receiver.server.listen(0, "127.0.0.1", listens));

// What an address is a page of: one license stands for all, and one filter of a list. Of live mode, where nothing has
// happened, the sections alone.
const pattern = (address) =>
  address
    .replace(/\b[a-z]{2,5}_[0-9a-z]{26}\b/g, "ID")
    .replace(/\/(signing-keys|simulator|products|plans|brand|templates|events|versions|reference)\/(?!new\b)[^/?]+/g, "/$1/NAME")
    .replace(/\?.*/, "?…");
const isWithin = ({ pathname, search }) => /^\/(account|console\/default\/(test|live(\/\w+)?$))/.test(pathname + search);

// Where a page leads to, on this server.
const links = async (page) => {
  const found = await page.locator("a[href]").evaluateAll((all) => all.map((one) => new URL(one.getAttribute("href"), document.baseURI).href));
  const addresses = found.map((href) => new URL(href)).filter((url) => url.origin === CONSOLE_ADDRESS && isWithin(url));
  return addresses.map((url) => url.pathname + url.search);
};

// What a browser that has nothing yet loads to show the page; what scripts ask for afterwards is no part of it.
const firstLoad = (page) =>
  page.evaluate(() => {
    const loaded = ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind));
    return loaded.filter((one) => one.initiatorType !== "fetch").reduce((bytes, one) => bytes + one.encodedBodySize, 0);
  });

// Looks at a page: at a desk by day, and on a phone by night.
const look = async (page, path) => {
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 800 });
  const answer = await page.goto(path);
  assert.equal(answer.status(), 200, path);
  const bytes = await firstLoad(page);
  assert.ok(bytes < FIRST_LOAD_BYTES, `${path} needs ${bytes} bytes`);
  await examine(page, `${path} in light`);
  await reach(page, path);
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize({ width: 375, height: 800 });
  await examine(page, `${path} in dark`);
};

// Looks at all pages from these on, one of each kind; what is wrong with them, and how many there are.
const walk = async (context, ahead) => {
  const known = new Set(ahead.map(pattern));
  const wrong = [];
  const visit = async (page, path) => {
    await look(page, path).catch((error) => wrong.push(error.message));
    for (const address of await links(page)) {
      if (known.has(pattern(address))) continue;
      known.add(pattern(address));
      ahead.push(address);
    }
  };
  const pages = await Promise.all(Array.from({ length: PAGES }, () => context.newPage()));
  for (const page of pages) {
    // What the browser advises whoever writes forms is no complaint.
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && wrong.push(`${page.url()}: ${message.text()}`));
  }
  while (ahead.length > 0) {
    const wave = ahead.splice(0);
    await Promise.all(
      pages.map(async (page) => {
        for (let path = wave.shift(); path; path = wave.shift()) await visit(page, path);
      }),
    );
  }
  return { wrong, known: [...known] };
};

await travel({
  async "the pages outside are for everybody"() {
    this.outside = await opened(STILL);
    await look(await this.outside.newPage(), CONSOLE_SET_UP);
    this.context = await opened(STILL);
    await setUp(this.context);
    await look(await this.outside.newPage(), "/sign-in");
  },

  async "everything happens that can happen"() {
    const server = ["--server", CONSOLE_ADDRESS];
    const key = keyIn(simulate("checkout", "--plan", "studio-pro", "--email", "lovelace@example.com"));
    for (const device of ["mac-studio", "thinkpad"]) {
      await ask("activate", { key, product: "studio", device: { fingerprint: device, name: `Ada's ${device}` } });
    }
    simulate("dispute", "--plan", "studio-pro", "--email", "hopper@example.com");
    simulate("refund", "--plan", "studio-pro", "--email", "byron@example.com");
    simulate("unmapped", "--plan", "studio-pro", "--email", "babbage@example.com");
    command("simulate", "paddle", "subscription", "--plan", "relay-starter", ...server);
    command("simulate", "appsumo", "checkout", "--plan", "studio-solo", ...server);
    command("simulate", "lemonsqueezy", "checkout", "--plan", "studio-solo", ...server);
    // What is played waits until it is delivered, and this receiver takes its time.
    const file = `${tmpdir()}/keywright-everywhere-${process.pid}.toml`;
    const url = `http://127.0.0.1:${receiver.server.address().port}/hooks`;
    writeFileSync(file, `[[webhook_endpoint]]\ncode = "crm"\nmode = "test"\nurl = "${url}"\n`);
    command("apply", file);
  },

  async "and people have worked here"() {
    const { context } = this;
    const invited = await send(context, "team/invite", { email: "bob@acme.test", role: "support", note: "" });
    await look(await this.outside.newPage(), invited.match(/\/join\/[\w-]+/)[0]);
    const made = await send(context, "developers/new-key", { name: "shop", kind: "api", "license:read": "on" });
    await ask("licenses", null, made.match(/kw_test_\w+/)[0]);
    await send(context, "licenses/views/new?state=active", { name: "Active", note: "" });
    const feast = "licenses/changes/new?action=extend&all=on";
    const asked = await (await context.request.get(`${HOME}/${feast}`)).text();
    const seen = asked.match(/name="seen" value="([^"]+)"/)[1];
    const changed = await send(context, feast, { days: "10", note: "a feast", seen });
    assert.equal(changed, "");
    await send(context, "simulator", { provider: "stripe", scenario: "checkout", email: "curie@example.com", quantity: "1" });
    await send(context, "settings/signing-keys/rotate", { overlap_hours: "168", note: "" });
  },

  async "every page is there, accessible, narrow and small"() {
    const chosen = `${HOME}/licenses/changes/new?action=freeze&all=on`;
    const { wrong, known } = await walk(this.context, [HOME, chosen, `${HOME}/search?q=nobody`, "/account", "/confirm?next=/account"]);
    assert.deepEqual(wrong, []);
    console.log(`${known.length} kinds of pages`);
    const kinds = ["licenses", "orders", "customers", "inbound", "mails", "deliveries", "simulator", "licenses/changes", "developers/requests"];
    for (const kind of kinds) {
      assert.ok(known.some((address) => new RegExp(`^${HOME}/${kind}/(ID|NAME)$`).test(address)), `no page of ${kind} among ${known.join(" ")}`);
    }
  },
});
receiver.server.close();
