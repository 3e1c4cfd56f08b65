// The console as its people use it: set up, bought, frozen, refunded, without scripts, with an authenticator.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { EMAIL, HOME, PASSWORD, keyIn, opened, setUp, simulate, travel } from "./browser.mjs";

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

await travel({
  async "the first owner sets the server up and sees what is still to do"() {
    const page = await setUp((this.context = await opened()));
    assert.equal(new URL(page.url()).pathname, HOME);
    await page.getByText("Before buyers come").waitFor();
  },

  async "a purchase becomes a license with a page that says why"() {
    const told = simulate("checkout", "--plan", "studio-pro", "--email", "buyer@example.com");
    this.key = keyIn(told);
    const page = await this.context.newPage();
    await page.goto(HOME);
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
    await page.goto(`${HOME}/search?q=${keyIn(told)}`);
    await page.locator(".actions summary").click();
    await page.getByRole("link", { name: "Revoke", exact: true }).click();
    await page.getByRole("button", { name: "Revoke the license" }).click();
    await page.getByText("Revoked because it was revoked by hand.").waitFor();
    await page.getByRole("link", { name: "Undo the revocation" }).first().click();
    await page.getByRole("button", { name: "Undo it" }).click();
    await page.getByText("Active because it is paid for.").waitFor();
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
});
