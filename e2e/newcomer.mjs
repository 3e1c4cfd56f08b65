// A newcomer: from the link that a new server prints to a license and a connected provider. Only buttons and links of the pages
// lead on, no documentation and no command. The clicks are counted.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { EMAIL, PASSWORD, opened, travel } from "./browser.mjs";

const { CONSOLE_SET_UP } = process.env;
// What a shop at Paddle has sold, as Paddle tells it.
const SOLD = new URL("../crates/providers/fixtures/paddle/transaction-once.json", import.meta.url);

// Posts an event as a provider signs it.
const told = async (address, header, sign, body) => {
  const answer = await fetch(address, { method: "POST", headers: { "content-type": "application/json", [header]: sign(body) }, body });
  assert.equal(answer.status, 200, await answer.text());
};
const digest = (secret, text) => createHmac("sha256", secret).update(text).digest("hex");
const seconds = () => Math.floor(Date.now() / 1000);

// Clicks of the journey so far.
let clicks = 0;
const click = async (locator) => {
  clicks += 1;
  await locator.click();
};
const link = (page, name) => page.getByRole("link", { name, exact: true });
const button = (page, name) => page.getByRole("button", { name, exact: true });

await travel({
  async "sets the server up and is told what to do first"() {
    const page = (this.page = await (this.context = await opened()).newPage());
    await page.goto(CONSOLE_SET_UP);
    await page.getByText("Your browser reached it by this address.").waitFor();
    await page.getByLabel("E-mail").fill(EMAIL);
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByLabel("What you sell").fill("Halo Studio");
    await click(button(page, "Begin"));
    await page.getByRole("heading", { name: "Before buyers come" }).waitFor();
  },

  async "makes a plan"() {
    const { page } = this;
    await click(link(page, "Make a plan"));
    await page.getByLabel("Code").fill("pro");
    await page.getByLabel("Name").fill("Pro");
    await click(button(page, "Make it"));
    await page.getByText("The plan is made.").waitFor();
  },

  async "sees a purchase wait for a rule, maps its price, and opens the license"() {
    const { page } = this;
    await click(link(page, "Simulate a purchase"));
    await click(page.getByLabel("Unmapped"));
    await click(button(page, "Simulate it"));
    await page.getByText("waits for you").waitFor();
    this.run = new URL(page.url()).pathname;
    for (const milestone of ["Received", "Waits"]) await page.getByText(milestone, { exact: true }).first().waitFor();
    await click(link(page, "Map it"));
    const dialog = page.getByRole("dialog");
    await dialog.getByText("1 order waits for this price").waitFor();
    // The plan that is called as the provider calls the price is chosen already.
    assert.equal(await dialog.getByLabel("It gives the plan").inputValue(), "pro");
    await click(dialog.getByRole("button", { name: "Map it" }));
    await page.getByText("The rule is saved.").waitFor();
    await click(link(page, "Open its page"));
    await page.getByText("Active because it is paid for.").waitFor();
    this.license = new URL(page.url()).pathname;
    console.log(`${clicks} clicks from the link to the license`);
    assert.ok(clicks <= 9, `${clicks} clicks`);
  },

  async "gives the money back from the page of the run, and sees the key and the mail"() {
    const { page } = this;
    await page.goto(this.run);
    await link(page, "See the key").waitFor();
    await click(button(page, "Refund"));
    await page.getByText("Revoked", { exact: true }).first().waitFor();
    await click(link(page, "Mailed"));
    await page.getByRole("heading", { name: "Facts" }).waitFor();
    await page.getByText("ada@example.com").first().waitFor();
    await page.goto(this.license);
    await page.getByText(/Revoked because payment .* was refunded in full/).first().waitFor();
  },

  async "plays the same without scripts"() {
    const context = await opened({ javaScriptEnabled: false, storageState: await this.context.storageState() });
    const page = await context.newPage();
    await page.goto("/console/default/test/simulator");
    await button(page, "Simulate it").click();
    await page.getByText("What happened").waitFor();
    while (!(await link(page, "Open its page").isVisible())) await link(page, "Look again").click();
    for (const milestone of ["Received", "Matched", "Issued", "Mailed"]) {
      assert.ok(await page.getByText(milestone, { exact: true }).first().isVisible(), milestone);
    }
    await context.close();
  },

  async "connects Stripe: copies an address, pastes a secret, and sees the first signed event"() {
    const { page } = this;
    const before = clicks;
    await click(link(page, "Home"));
    await click(link(page, "Connect one"));
    await click(link(page, "Stripe Connect"));
    const address = (await page.locator("code", { hasText: "/v1/webhooks/stripe/" }).first().textContent()).trim();
    await page.getByLabel("Signing secret of the webhook").fill("whsec_newcomer");
    await click(button(page, "Connect"));
    await page.getByText("waiting for the first signed event").waitFor();
    const sign = (body) => `t=${seconds()},v1=${digest("whsec_newcomer", `${seconds()}.${body}`)}`;
    const event = { id: "evt_newcomer", object: "event", type: "product.created", created: seconds(), livemode: false, data: { object: { id: "prod_1", object: "product" } } };
    await told(address, "stripe-signature", sign, JSON.stringify(event));
    await click(link(page, "Look again"));
    await page.locator(".pill", { hasText: "connected" }).first().waitFor();
    console.log(`${clicks - before} clicks from Home to a connected provider`);
  },

  async "connects Paddle, and maps the price that it sells"() {
    const { page } = this;
    await link(page, "Connect a provider").click();
    await link(page, "Paddle Connect").click();
    const address = (await page.locator("code", { hasText: "/v1/webhooks/paddle/" }).first().textContent()).trim();
    await page.getByLabel("Signing secret of the webhook").fill("pdl_ntfset_newcomer");
    await button(page, "Connect").click();
    await page.getByText("waiting for the first signed event").waitFor();
    const sign = (body) => `ts=${seconds()};h1=${digest("pdl_ntfset_newcomer", `${seconds()}:${body}`)}`;
    await told(address, "paddle-signature", sign, readFileSync(SOLD, "utf8"));
    await link(page, "Prices").first().click();
    while (!(await page.getByText("Not mapped yet").isVisible())) await page.reload();
    await link(page, "Map it").click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("It gives the plan").selectOption("pro");
    await dialog.getByRole("button", { name: "Map it" }).click();
    await page.getByText("The rule is saved.").waitFor();
    await link(page, "Licenses").first().click();
    await page.locator("tbody tr").nth(3).waitFor();
  },
});
