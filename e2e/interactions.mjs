// The ten interactions that decide whether support staff like the console, each with the clicks it takes.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { HOME, command, keyIn, opened, setUp, simulate, travel } from "./browser.mjs";

const DEVICE = "b7c1-mac-studio";
const DOMAIN = "shop.example.com";

// A hand at a page: it counts what it clicks. Typing, and Enter where somebody typed, are no clicks.
class Hand {
  clicks = 0;
  constructor(page) {
    this.page = page;
  }
  async click(locator) {
    this.clicks += 1;
    await locator.click();
  }
  button(name) {
    return this.page.getByRole("button", { name, exact: true });
  }
  link(name) {
    return this.page.getByRole("link", { name, exact: true });
  }
  // Pastes something into the box at the top.
  async search(text) {
    await this.page.getByRole("searchbox", { name: "Search" }).fill(text);
    await this.page.keyboard.press("Enter");
    await this.page.waitForURL(/\/(licenses|orders|customers|inbound|deliveries|developers)\/\w+/);
  }
}

// What an app asks.
const asked = async (path, body) => {
  const answer = await fetch(`${process.env.CONSOLE_ADDRESS}/v1/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { request: answer.headers.get("request-id") ?? answer.headers.get("x-request-id"), ...(await answer.json()) };
};

// A receiver of webhooks that fails until it is mended.
const receiver = { isMended: false, told: 0 };
receiver.server = createServer((request, answer) => {
  request.resume().on("end", () => {
    if (receiver.isMended) receiver.told += 1;
    answer.writeHead(receiver.isMended ? 204 : 410).end();
  });
});
await new Promise((listens) => receiver.server.listen(0, "127.0.0.1", listens));

await travel({
  async "somebody has bought, uses it on a device, and got their money back"() {
    const file = `${tmpdir()}/keywright-interactions-${process.pid}.toml`;
    const url = `http://127.0.0.1:${receiver.server.address().port}/hooks`;
    writeFileSync(file, `[[webhook_endpoint]]\ncode = "crm"\nmode = "test"\nurl = "${url}"\n`);
    command("apply", file);
    this.key = keyIn(simulate("checkout", "--plan", "studio-pro", "--email", "lovelace@example.com"));
    await asked("activate", { key: this.key, product: "studio", device: { fingerprint: DEVICE, name: "Ada's Mac" } });
    await asked("activate", { key: this.key, product: "studio", domain: DOMAIN });
    this.context = await opened();
    this.page = await setUp(this.context);
    this.hand = () => new Hand(this.page);
  },

  async "1. whatever is pasted leads to its page, without a click"() {
    const hand = this.hand();
    await hand.search(this.key);
    this.license = new URL(this.page.url()).pathname;
    const order = await this.page.locator('a[href*="/orders/ord_"]').first().getAttribute("href");
    await this.page.goto(order);
    const names = await this.page.locator("section", { hasText: "Its names" }).locator("code").allTextContents();
    assert.ok(names.some((name) => name.startsWith("cs_")), `a session is among ${names}`);
    for (const [text, section] of [
      [this.key.slice(-5), "licenses"],
      [this.key.toLowerCase(), "licenses"],
      [this.license.split("/").pop(), "licenses"],
      [DEVICE, "licenses"],
      [DOMAIN, "licenses"],
      ["lovelace@example.com", "customers"],
      ...names.map((name) => [name, "orders"]),
    ]) {
      await this.page.goto(HOME);
      await hand.search(text);
      assert.match(this.page.url(), new RegExp(`/${section}/`), text);
    }
    assert.equal(hand.clicks, 0);
  },

  async "2. why it does not work is one sentence, with its cause and the undo"() {
    simulate("refund", "--last");
    const hand = this.hand();
    await this.page.goto(HOME);
    await hand.search(this.key);
    const why = this.page.getByRole("region", { name: "Why" });
    await why.getByText(/^Revoked because payment .* was refunded in full \(79\.00 EUR\)/).waitFor();
    await why.getByRole("link", { name: /^See / }).waitFor();
    assert.equal(hand.clicks, 0);
  },

  async "3. one list tells of payments, decisions, mails, devices and staff"() {
    await this.page.goto(`${this.license}/freeze`);
    await this.page.getByLabel("Reason").fill("asked for");
    await this.hand().click(this.page.getByRole("button", { name: /^Freeze/ }));
    for (const kind of ["money", "decision", "mail", "device", "staff", "webhook"]) {
      await this.page.locator(`#timeline li.${kind}`).first().waitFor();
    }
  },

  async "4. the key is sent once more: two clicks, and the mail is seen before"() {
    const hand = this.hand();
    const key = keyIn(simulate("checkout", "--plan", "studio-pro", "--email", "byron@example.com"));
    await this.page.goto(HOME);
    await hand.search(key);
    await hand.click(hand.link("Resend the key"));
    const dialog = this.page.getByRole("dialog");
    assert.equal(await dialog.getByLabel("To").inputValue(), "byron@example.com");
    await dialog.frameLocator("iframe").getByText(/^STUDIO-\S+$/).first().waitFor();
    await hand.click(dialog.getByRole("button", { name: "Send it" }));
    await this.page.getByText("byron@example.com").first().waitFor();
    await this.page.locator(".pill", { hasText: "held" }).first().waitFor();
    assert.equal(hand.clicks, 2);
  },

  async "5. a price is mapped where it is missing: two clicks, and the buyer has a key"() {
    const hand = this.hand();
    simulate("unmapped", "--plan", "studio-pro", "--email", "babbage@example.com");
    await this.page.goto(HOME);
    await hand.click(hand.link("Map the price").first());
    const form = this.page.locator("#action");
    await form.getByText("1 order waits for this price").waitFor();
    await form.getByLabel("It gives the plan").selectOption("studio-pro");
    await hand.click(form.getByRole("button", { name: "Map it" }));
    await this.page.getByText("The rule is saved.").waitFor();
    assert.equal(hand.clicks, 2);
    await hand.search("babbage@example.com");
    await this.page.locator(".pill", { hasText: "active" }).first().waitFor();
  },

  async "6. an event is tried out, then played again: two clicks"() {
    const hand = this.hand();
    await this.page.goto(`${HOME}/inbound`);
    await this.page.getByRole("link", { name: "charge.refunded" }).first().click();
    await hand.click(hand.link("Replay"));
    const dialog = this.page.getByRole("dialog");
    await dialog.getByText("Tried out just now, without writing anything").waitFor();
    await hand.click(dialog.getByRole("button", { name: "Replay" }));
    await this.page.getByText("The event is worked on again.").waitFor();
    assert.equal(hand.clicks, 2);
  },

  async "7. a device is free with one click, and what follows is said beside it"() {
    const hand = this.hand();
    await this.page.goto(this.license);
    await this.page.getByText("Its app notices with its next check, or when its lease ends").waitFor();
    const device = this.page.locator(".devices li", { hasText: DEVICE });
    await hand.click(device.getByRole("button", { name: "Free" }));
    await this.page.getByText("The device is free").waitFor();
    assert.equal(await device.count(), 0);
    assert.equal(hand.clicks, 1);
  },

  async "8. what the app would get is shown with one click"() {
    const hand = this.hand();
    await this.page.getByLabel("Device or domain").fill(DOMAIN);
    await hand.click(hand.button("What would the app get?"));
    await this.page.getByText('"valid": false').waitFor();
    assert.equal(hand.clicks, 1);
  },

  async "9. what failed is delivered once more: two clicks"() {
    receiver.isMended = true;
    const hand = this.hand();
    await this.page.goto(`${HOME}/settings/webhooks`);
    const enable = hand.link("Enable");
    if (await enable.isVisible()) {
      await enable.click();
      await this.page.getByRole("dialog").getByRole("button", { name: "Enable" }).click();
    }
    await hand.click(hand.link("Deliver once more"));
    await hand.click(this.page.getByRole("dialog").getByRole("button", { name: "Recover" }));
    await this.page.getByText("It goes on in the background").waitFor();
    assert.equal(hand.clicks, 2);
    for (let looks = 0; receiver.told === 0; looks += 1) {
      assert.ok(looks < 300, "nothing arrives");
      await this.page.waitForTimeout(100);
    }
  },

  async "10. a purchase is simulated with one click, and its milestones light up"() {
    const hand = this.hand();
    await this.page.goto(`${HOME}/simulator`);
    await hand.click(hand.button("Simulate it"));
    for (const milestone of ["Received", "Matched", "Issued", "Mailed", "Delivered"]) {
      await this.page.getByText(milestone, { exact: true }).first().waitFor();
    }
    await hand.link("Open its page").waitFor();
    assert.equal(hand.clicks, 1);
  },
});
receiver.server.close();
