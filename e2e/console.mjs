// The console in a real browser, as its people use it. The test that starts this has a server, and says where it is.
//
// Needs in the environment: KEYWRIGHT_TEST_CHROMIUM, KEYWRIGHT_TEST_NODE_MODULES, CONSOLE_ADDRESS, CONSOLE_SET_UP (the link),
// CONSOLE_COMMAND (the binary) and CONSOLE_DATA (its data folder).

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { KEYWRIGHT_TEST_CHROMIUM, KEYWRIGHT_TEST_NODE_MODULES, CONSOLE_ADDRESS, CONSOLE_SET_UP, CONSOLE_COMMAND, CONSOLE_DATA } =
  process.env;
const require = createRequire(import.meta.url);
const { chromium } = require(`${KEYWRIGHT_TEST_NODE_MODULES}/playwright-core`);
const axe = readFileSync(`${KEYWRIGHT_TEST_NODE_MODULES}/axe-core/axe.min.js`, "utf8");

const EMAIL = "ada@acme.test";
const PASSWORD = "correct horse battery";
// The first paint needs less than this, whatever is on the page.
const FIRST_PAINT_BYTES = 100 * 1024;

const browser = await chromium.launch({ executablePath: KEYWRIGHT_TEST_CHROMIUM, args: ["--no-sandbox"] });
const complaints = [];

// A browser of somebody; what it complains about and what it loads from elsewhere is remembered.
const opened = async (options = {}) => {
  const context = await browser.newContext({ baseURL: CONSOLE_ADDRESS, ...options });
  context.setDefaultTimeout(15_000);
  context.on("weberror", (error) => complaints.push(String(error.error())));
  context.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  context.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== CONSOLE_ADDRESS && url.protocol !== "data:") complaints.push(`loads ${url}`);
  });
  return context;
};

const simulate = (...words) =>
  execFileSync(CONSOLE_COMMAND, ["simulate", "stripe", ...words, "--server", CONSOLE_ADDRESS, "--data-dir", CONSOLE_DATA], {
    encoding: "utf8",
  });

// RFC 6238 for a secret in base32.
const code = (secret) => {
  const bits = [...secret].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const digest = createHmac("sha1", key).update(counter).digest();
  const number = digest.readUInt32BE(digest[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
};

const steps = {
  async "the first owner sets the server up and sees what is still to do"() {
    const page = await (this.context = await opened()).newPage();
    await page.goto(CONSOLE_SET_UP);
    await page.getByLabel("E-mail").fill(EMAIL);
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: "Begin" }).click();
    await page.getByRole("heading", { name: "Home" }).waitFor();
    assert.equal(new URL(page.url()).pathname, "/console/default/test");
    await page.getByText("Before buyers come").waitFor();
  },

  async "a purchase becomes a license with a page that says why"() {
    const told = simulate("checkout", "--plan", "studio-pro", "--email", "buyer@example.com");
    this.key = told.match(/STUDIO(-[0-9A-Z]{4}){4}/)[0];
    const page = await this.context.newPage();
    await page.goto("/console/default/test");
    await page.keyboard.press("/");
    await page.keyboard.type(this.key);
    await page.keyboard.press("Enter");
    await page.getByText("Active because it is paid for.").waitFor();
    this.license = new URL(page.url()).pathname;
  },

  async "it is frozen and thawed in a dialog, by keyboard alone"() {
    const page = await this.context.newPage();
    await page.goto(this.license);
    for (const [button, done, why] of [
      ["Freeze", "The license is frozen.", "Frozen because it was frozen by hand."],
      ["Unfreeze", "The license works again.", "Active because it is paid for."],
    ]) {
      const link = page.locator(".actions, .why").getByRole("link", { name: button, exact: true }).first();
      if (!(await link.isVisible())) await page.locator(".actions summary").press("Enter");
      await link.focus();
      await page.keyboard.press("Enter");
      const dialog = page.getByRole("dialog");
      await dialog.getByLabel("Reason").fill("asked for");
      await page.keyboard.press("Enter");
      await page.getByText(done).waitFor();
      await page.getByText(why).waitFor();
    }
  },

  async "a refund is told with its payment, and what the app would get is shown"() {
    simulate("refund", "--last");
    const page = await this.context.newPage();
    await page.goto(this.license);
    await page.getByText(/Revoked because payment .* was refunded in full/).first().waitFor();
    await page.getByRole("button", { name: "What would the app get?" }).click();
    await page.getByText('"valid": false').waitFor();
    await page.getByRole("button", { name: "Mails" }).click();
    assert.ok((await page.locator("#timeline li:visible").count()) < (await page.locator("#timeline li").count()));
  },

  async "everything works without scripts"() {
    const context = await opened({ javaScriptEnabled: false, storageState: await this.context.storageState() });
    const page = await context.newPage();
    const told = simulate("checkout", "--plan", "studio-pro", "--email", "quiet@example.com");
    await page.goto(`/console/default/test/search?q=${told.match(/STUDIO(-[0-9A-Z]{4}){4}/)[0]}`);
    await page.locator(".actions summary").click();
    await page.getByRole("link", { name: "Revoke", exact: true }).click();
    await page.getByRole("button", { name: "Revoke the license" }).click();
    await page.getByText("Revoked because it was revoked by hand.").waitFor();
    await page.getByRole("link", { name: "Undo the revocation" }).first().click();
    await page.getByRole("button", { name: "Undo it" }).click();
    await page.getByText("Active because it is paid for.").waitFor();
    await context.close();
  },

  async "every page is accessible, in light and dark, and fits a phone"() {
    const page = await this.context.newPage();
    await page.goto("/console/default/test");
    const sections = await page.locator("nav.nav a").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
    const pages = [...sections, this.license, `${this.license}/revoke`, `${this.license}/extend`, "/account", "/console/default/test/search?q=x"];
    for (const path of pages) {
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width: colorScheme === "light" ? 1280 : 375, height: 800 });
        const answer = await page.goto(path);
        assert.equal(answer.status(), 200, path);
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= page.viewportSize().width, `${path} is ${width} wide`);
        const found = await page.evaluate(`${axe}; axe.run().then(({ violations }) => violations.map((one) => one.id + " " + one.nodes[0].target))`);
        assert.deepEqual(found, [], `${path} in ${colorScheme}`);
      }
    }
  },

  async "the first paint needs little"() {
    const context = await opened({ storageState: await this.context.storageState() });
    const page = await context.newPage();
    const sizes = [];
    page.on("response", (response) => sizes.push(response.body().then((body) => body.length, () => 0)));
    await page.goto(this.license, { waitUntil: "networkidle" });
    const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    assert.ok(bytes < FIRST_PAINT_BYTES, `${bytes} bytes`);
    await context.close();
  },

  async "a code is asked for once there is an authenticator"() {
    const page = await this.context.newPage();
    await page.goto("/account/authenticator");
    const secret = (await page.locator("code").first().textContent()).trim();
    await page.getByLabel("Code", { exact: true }).fill(code(secret));
    await page.getByRole("button", { name: "Use it" }).click();
    await page.getByText("From now on a code is asked for").waitFor();
    const other = await (await opened()).newPage();
    await other.goto("/");
    await other.getByLabel("E-mail").fill(EMAIL);
    await other.getByLabel("Password").fill(PASSWORD);
    await other.getByRole("button", { name: "Sign in" }).click();
    await other.getByLabel("Code").fill("000000");
    await other.getByRole("button", { name: "Sign in" }).click();
    await other.getByText("That is not right.").waitFor();
  },
};

const state = {};
try {
  for (const [name, step] of Object.entries(steps)) {
    await step.call(state);
    console.log(`ok ${name}`);
  }
  // A page that says no says so with its status, which the browser tells as well.
  assert.deepEqual(complaints.filter((text) => !/status of (401|403|422)/.test(text)), []);
} finally {
  await browser.close();
}
