// How a vendor is kept safe, as its owner does it: keys that follow each other, the log's chain, a text for support.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { HOME, examine, opened, setUp, simulate, travel } from "./browser.mjs";

const PAGES = ["settings", "settings/security", "settings/signing-keys", "settings/retention", "settings/integrations", "settings/about", "audit"];

await travel({
  async "a signing key is rotated in a dialog"() {
    const page = await setUp((this.context = await opened()));
    simulate("checkout", "--plan", "studio-pro", "--email", "buyer@example.com");
    await page.goto(`${HOME}/settings/signing-keys`);
    await page.getByRole("link", { name: "Rotate" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("The new key signs").selectOption({ label: "In a week" });
    await dialog.getByLabel("Reason").fill("yearly");
    await dialog.getByRole("button", { name: "Make a new key" }).click();
    await page.getByText("The new key is published.").waitFor();
    assert.deepEqual(await page.locator(".card .pill").allInnerTexts(), ["next", "signs"]);
  },

  async "the log says who did it, its chain is followed, and it is taken along"() {
    const page = await this.context.newPage();
    await page.goto(`${HOME}/audit`);
    await page.getByLabel("What").selectOption({ label: "Signing key: all" });
    await page.getByRole("button", { name: "Filter" }).click();
    await page.getByText("yearly").waitFor();
    await page.getByRole("link", { name: "Export" }).click();
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download" }).click();
    const lines = readFileSync(await (await download).path(), "utf8").trim().split("\r\n");
    assert.equal(lines.length, 2);
    assert.match(lines[1], /,signing_key\.rotated,/);
    await page.goto(`${HOME}/audit`);
    await page.getByRole("button", { name: "Follow it now" }).click();
    await page.getByText("none is missing, changed, or was put in later").waitFor();
  },

  async "nobody locks themselves out"() {
    const page = await this.context.newPage();
    await page.goto(`${HOME}/settings/security`);
    await page.getByRole("link", { name: "Require it" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Require it" }).click();
    await dialog.getByText("Set up a second factor of your own first").waitFor();
  },

  async "everything is examined, and the text for support is copied"() {
    await this.context.grantPermissions(["clipboard-read", "clipboard-write"]);
    const page = await this.context.newPage();
    await page.goto(`${HOME}/settings/about`);
    await page.getByRole("button", { name: "Examine everything" }).click();
    await page.getByText("All invariants hold").waitFor();
    await page.getByRole("button", { name: "Copy", exact: true }).last().click();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(copied, /^keywright .*licenses: 1.*findings: none$/s);
    assert.ok(!copied.includes("example.com"));
  },

  async "it fits a phone, in the dark"() {
    const storageState = await this.context.storageState();
    const phone = await opened({ storageState, viewport: { width: 375, height: 700 }, colorScheme: "dark" });
    for (const path of PAGES) {
      const page = await phone.newPage();
      await page.goto(`${HOME}/${path}`);
      await examine(page, path);
    }
  },
});
