// What every journey through the console shares: a browser that remembers what is wrong, and the command line beside it.
//
// Needs in the environment: KEYWRIGHT_TEST_CHROMIUM, KEYWRIGHT_TEST_NODE_MODULES, CONSOLE_ADDRESS, CONSOLE_SET_UP (the link),
// CONSOLE_COMMAND (the binary) and CONSOLE_DATA (its data folder).

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { KEYWRIGHT_TEST_CHROMIUM, KEYWRIGHT_TEST_NODE_MODULES, CONSOLE_ADDRESS, CONSOLE_SET_UP, CONSOLE_COMMAND, CONSOLE_DATA } =
  process.env;
const require = createRequire(import.meta.url);
const { chromium } = require(`${KEYWRIGHT_TEST_NODE_MODULES}/playwright-core`);
const axe = readFileSync(`${KEYWRIGHT_TEST_NODE_MODULES}/axe-core/axe.min.js`, "utf8");

export const EMAIL = "ada@acme.test";
export const PASSWORD = "correct horse battery";
// The first page of the one vendor of a new server, in test mode.
export const HOME = "/console/default/test";

const complaints = [];
const browser = await chromium.launch({ executablePath: KEYWRIGHT_TEST_CHROMIUM, args: ["--no-sandbox"] });

// A browser of somebody; what it complains about, and what it loads from elsewhere than from the server and these origins,
// is remembered.
export const opened = async (options = {}, others = []) => {
  const context = await browser.newContext({ baseURL: CONSOLE_ADDRESS, ...options });
  context.setDefaultTimeout(15_000);
  context.on("weberror", (error) => complaints.push(String(error.error())));
  context.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  context.on("request", (request) => {
    const url = new URL(request.url());
    if (![CONSOLE_ADDRESS, ...others].includes(url.origin) && url.protocol !== "data:") complaints.push(`loads ${url}`);
  });
  return context;
};

// A browser in which the first owner has set the server up, and is on its first page.
export const setUp = async (context) => {
  const page = await context.newPage();
  await page.goto(CONSOLE_SET_UP);
  await page.getByLabel("E-mail").fill(EMAIL);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Begin" }).click();
  await page.getByRole("heading", { name: "Home" }).waitFor();
  return page;
};

// Runs the command line on the server's folder.
export const command = (...words) => execFileSync(CONSOLE_COMMAND, [...words, "--data-dir", CONSOLE_DATA], { encoding: "utf8" });

// Plays a scenario of Stripe against the server.
export const simulate = (...words) => command("simulate", "stripe", ...words, "--server", CONSOLE_ADDRESS);

// The key that was issued, as a scenario told it.
export const keyIn = (told) => told.match(/[A-Z]+(-[0-9A-Z]{4}){4}/)[0];

// The page is no wider than its window, and accessible in these colors.
export const examine = async (page, what) => {
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= page.viewportSize().width, `${what} is ${width} wide`);
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe);
  const found = await page.evaluate(`axe.run({ resultTypes: ["violations"] }).then(({ violations }) => violations.map((one) => one.id + " " + one.nodes[0].target))`);
  assert.deepEqual(found, [], what);
};

// Whatever can be clicked on the page can be reached by a key, and shows that it has the focus.
export const reach = async (page, what) => {
  const wrong = await page.evaluate(() => {
    const native = "a[href], button, input:not([type=hidden]), select, textarea, summary";
    const acting = "[data-copy], [data-only], [data-close], [data-all], [data-dialog], [data-key], [role=button], [role=link]";
    const isRinged = (one) => one && (getComputedStyle(one).outlineStyle !== "none" || getComputedStyle(one).boxShadow !== "none");
    const found = [...document.querySelectorAll(acting)].filter((one) => !one.matches(native)).map((one) => `no key reaches ${one.outerHTML}`);
    for (const one of document.querySelectorAll(native)) {
      if (one.disabled || one.ariaHidden === "true" || !one.checkVisibility({ visibilityProperty: true })) continue;
      one.focus({ focusVisible: true, preventScroll: true });
      if (document.activeElement !== one || one.tabIndex < 0) found.push(`no key reaches ${one.outerHTML}`);
      else if (!isRinged(one) && !isRinged(one.closest("label"))) found.push(`nobody sees the focus on ${one.outerHTML}`);
    }
    document.activeElement.blur();
    return found.slice(0, 5);
  });
  assert.deepEqual(wrong, [], what);
};

// Takes the steps of a journey one after the other, with what they remember as `this`.
export const travel = async (steps) => {
  const memory = {};
  try {
    for (const [name, step] of Object.entries(steps)) {
      await step.call(memory);
      console.log(`ok ${name}`);
    }
    // A page that says no says so with its status, which the browser tells as well.
    assert.deepEqual(complaints.filter((text) => !/status of (401|403|422)/.test(text)), []);
  } finally {
    await browser.close();
  }
};
