// The console without a mouse: every step is a key, and whoever presses it sees where they are.

import assert from "node:assert/strict";
import { EMAIL, HOME, PASSWORD, command, keyIn, opened, simulate, travel } from "./browser.mjs";

const { CONSOLE_ADDRESS, CONSOLE_SET_UP } = process.env;
// More steps than any page has links, buttons and fields.
const STEPS = 400;

// Somebody's keyboard at a page.
class Keyboard {
  constructor(page) {
    this.page = page;
  }
  async press(...keys) {
    for (const key of keys) await this.page.keyboard.press(key);
  }
  async type(text) {
    await this.page.keyboard.type(text);
  }
  // What has the focus: its name as it is read out, its kind, and whether the focus is seen.
  here() {
    return this.page.evaluate(() => {
      const here = document.activeElement;
      const label = here.labels?.[0]?.textContent ?? "";
      const name = here.getAttribute("aria-label") ?? (label || here.textContent);
      const isRinged = (one) => one && (getComputedStyle(one).outlineStyle !== "none" || getComputedStyle(one).boxShadow !== "none");
      return { kind: here.localName, name: name.trim().replace(/\s+/g, " "), isSeen: isRinged(here) || isRinged(here.closest("label")) };
    });
  }
  // Goes from one to the next until it is there.
  async goTo(kind, name) {
    const passed = [];
    for (let steps = 0; steps < STEPS; steps += 1) {
      await this.press("Tab");
      const here = await this.here();
      if (here.kind === "body") continue;
      assert.ok(here.isSeen, `nobody sees the focus on the ${here.kind} "${here.name}" of ${this.page.url()}`);
      if (here.kind === kind && (name instanceof RegExp ? name.test(here.name) : here.name === name)) return;
      passed.push(here.name);
    }
    assert.fail(`no key leads to the ${kind} "${name}" of ${this.page.url()}: ${[...new Set(passed)].join(" | ")}`);
  }
  async take(kind, name) {
    await this.goTo(kind, name);
    await this.press("Enter");
  }
  async search(text) {
    await this.press("/");
    await this.type(text);
    await this.press("Enter");
    await this.page.waitForURL(/\/(licenses|customers)\/\w+/);
  }
  async reads(text) {
    await this.page.getByText(text).first().waitFor();
  }
}

await travel({
  async "the server is set up"() {
    const page = await (await opened()).newPage();
    this.keys = new Keyboard(page);
    await page.goto(CONSOLE_SET_UP);
    await this.keys.goTo("input", /^E-mail/);
    await this.keys.type(EMAIL);
    await this.keys.goTo("input", /^Password/);
    await this.keys.type(PASSWORD);
    await this.keys.press("Enter");
    await page.waitForURL(CONSOLE_ADDRESS + HOME);
  },

  async "the first step leads past the menus to what the page is about"() {
    const { keys } = this;
    await keys.take("a", "Skip to the page");
    assert.equal(await keys.page.evaluate(() => location.hash), "#main");
    await keys.press("?");
    await keys.page.getByRole("dialog").waitFor();
    await keys.press("Escape");
    assert.equal(await keys.page.getByRole("dialog").count(), 0);
  },

  async "a price is mapped, and its buyer found"() {
    const { keys } = this;
    simulate("unmapped", "--plan", "studio-pro", "--email", "babbage@example.com");
    await keys.page.goto(HOME);
    await keys.take("a", "Map the price");
    await keys.reads("1 order waits for this price");
    await keys.goTo("select", /^It gives the plan/);
    await keys.type("studio-pro");
    await keys.take("button", "Map it");
    await keys.reads("The rule is saved.");
    await keys.search("babbage@example.com");
    await keys.reads("active");
  },

  async "a license is extended, frozen and thawed in dialogs, and the focus comes back"() {
    const { keys } = this;
    const key = keyIn(simulate("checkout", "--plan", "studio-pro", "--email", "lovelace@example.com"));
    await keys.search(key);
    await keys.reads("Active because it is paid for.");
    for (const [action, done] of [["Freeze", "The license is frozen."], ["Unfreeze", "The license works again."]]) {
      await keys.take("summary", /^(More|Actions)/);
      await keys.take("a", action);
      await keys.page.getByRole("dialog").waitFor();
      await keys.goTo("textarea", /^Reason/).catch(() => keys.goTo("input", /^Reason/));
      await keys.type("asked for");
      await keys.take("button", new RegExp(`^${action}`));
      await keys.reads(done);
    }
    await keys.take("a", "Resend the key");
    await keys.page.getByRole("dialog").waitFor();
    await keys.press("Escape");
    assert.equal((await keys.here()).name, "Resend the key");
  },

  async "what the app would get is asked"() {
    const { keys } = this;
    await keys.goTo("input", "Device or domain");
    await keys.type("b7c1-mac-studio");
    await keys.press("Enter");
    await keys.reads('"valid": ');
  },

  async "licenses are filtered, chosen and changed together"() {
    const { keys } = this;
    await keys.press("g", "l");
    await keys.page.waitForURL(`${CONSOLE_ADDRESS}${HOME}/licenses`);
    await keys.goTo("input", /^Choose all/);
    await keys.press("Space");
    await keys.goTo("select", /^Do with many/);
    await keys.type("Freeze");
    await keys.take("button", "Those chosen…");
    await keys.reads("This changes 2 licenses.");
    await keys.take("button", "Freeze them");
    await keys.reads("Each license has its own entry");
  },

  async "an event is tried out and played again"() {
    const { keys } = this;
    await keys.page.goto(`${HOME}/inbound`);
    await keys.take("a", "checkout.session.completed");
    await keys.page.waitForURL(/\/inbound\/in_\w+/);
    await keys.take("a", "Replay");
    await keys.page.getByRole("dialog").getByText("Tried out just now").waitFor();
    await keys.take("button", "Replay");
    await keys.reads("The event is worked on again.");
  },

  async "a purchase is simulated"() {
    const { keys } = this;
    await keys.page.goto(`${HOME}/simulator`);
    await keys.take("button", "Simulate it");
    await keys.reads("Issued");
  },
});
