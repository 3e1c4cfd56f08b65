// What mails say is written, looked at, tried out and saved; a mail is sent once more. The server has a relay.

import assert from "node:assert/strict";
import { EMAIL, HOME, examine, keyIn, opened, setUp, simulate, travel } from "./browser.mjs";

const EDITOR = `${HOME}/mails/templates/license-delivery?product=studio&language=en`;

// What the preview shows.
const preview = (page) => page.frameLocator("iframe.letter:not(.coming)");

await travel({
  async "the relay is tried out, and what it says is shown"() {
    this.context = await opened();
    const page = await setUp(this.context);
    await page.goto(`${HOME}/mails/sender`);
    await page.getByRole("button", { name: "Try it" }).click();
    await page.getByText(new RegExp(`has taken it for ${EMAIL}: 250`)).waitFor();
  },

  async "a mail is seen while it is written, and what is wrong is told"() {
    const page = (this.page = await this.context.newPage());
    await page.goto(EDITOR);
    await preview(page).getByText("Your Halo Studio license key is ready").first().waitFor();
    const past = await page.evaluate(() => history.length);
    await page.getByLabel("Subject", { exact: true }).fill("Hello from {{ product }}");
    await preview(page).getByText("Hello from Halo Studio").first().waitFor();
    await page.getByLabel("First sentences", { exact: true }).fill("Thank you, {{ kee }}");
    await preview(page).getByText("First sentences in line 1 asks for kee").or(preview(page).getByText("One thing to mend")).first().waitFor();
    await page.getByLabel("First sentences", { exact: true }).fill("It is about ");
    await page.getByText("What it may ask for").click();
    await page.getByRole("button", { name: "Insert order" }).click();
    assert.equal(await page.getByLabel("First sentences", { exact: true }).inputValue(), "It is about {{ order }}");
    await preview(page).frameLocator("iframe").getByText("It is about 1042").waitFor();
    for (const view of ["Phone", "Dark", "Text"]) {
      await page.locator(".views").getByText(view).click();
      await page.locator("iframe.coming").waitFor({ state: "detached" });
    }
    await preview(page).locator("pre").getByText("It is about 1042").waitFor();
    assert.equal(await page.evaluate(() => history.length), past, "the way back is as it was");
  },

  async "what a vendor writes runs nowhere"() {
    await this.page.getByText("A text and an HTML of your own").click();
    await this.page.getByLabel("HTML", { exact: true }).fill("<p>{{ key }}</p><script>top.document.title = 'taken'</script><img src=x onerror=alert(1)>");
    await preview(this.page).getByText("One thing to mend").waitFor();
    assert.match(await this.page.title(), /License delivery/);
    await this.page.getByLabel("HTML", { exact: true }).fill("");
    await preview(this.page).getByText("One thing to mend").waitFor({ state: "detached" });
  },

  async "a test goes to whoever writes it, and what is saved can be compared and taken back"() {
    const { page } = this;
    await page.getByRole("button", { name: "Send a test" }).click();
    await page.getByText(new RegExp(`has taken it for ${EMAIL}: 250`)).waitFor();
    await page.getByLabel("Reason", { exact: true }).fill("friendlier");
    await page.getByRole("button", { name: "Save as a new version" }).click();
    await page.getByText("This version is used from now on.").waitFor();
    await page.getByRole("link", { name: "Version 1" }).click();
    await page.locator("ins", { hasText: "Hello from {{ product }}" }).waitFor();
    await page.getByRole("link", { name: "To the mail" }).click();
    await page.getByRole("link", { name: "Back to the built-in one" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Go back" }).click();
    await page.getByText("None of your versions is used any more").waitFor();
  },

  async "the same works without scripts"() {
    const quiet = await opened({ javaScriptEnabled: false, storageState: await this.context.storageState() });
    const page = await quiet.newPage();
    await page.goto(EDITOR);
    await page.getByLabel("Subject", { exact: true }).fill("Quiet {{ product }}");
    await page.getByRole("button", { name: "Show" }).click();
    await preview(page).getByText("Quiet Halo Studio").first().waitFor();
    await page.goto(`${HOME}/settings/brand/studio`);
    await page.getByLabel("Colour", { exact: true }).fill("reddish");
    await page.getByRole("button", { name: "Show" }).click();
    await preview(page).getByText("is not a colour").waitFor();
    await quiet.close();
  },

  async "a mistyped address is corrected while its mail is sent once more, and the relay has it"() {
    const { page } = this;
    const key = keyIn(simulate("checkout", "--plan", "studio-pro", "--email", "aad@example.com"));
    await page.goto(`${HOME}/search?q=${key}`);
    await page.getByRole("link", { name: "Resend the key" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.frameLocator("iframe").getByText("Download Halo Studio").first().waitFor();
    await dialog.getByLabel("To", { exact: true }).fill("ada@example.com");
    await dialog.getByRole("button", { name: "Send it" }).click();
    await page.getByText("The mail is on its way.").waitFor();
    await page.locator("dd", { hasText: /^250 / }).waitFor();
    await page.locator("dd", { hasText: /^ada@example\.com$/ }).waitFor();
  },

  async "every page is accessible, in light and dark, and fits a phone"() {
    const pages = ["mails", "mails/templates", "mails/templates?product=studio", "mails/sender", "settings/brand", "settings/brand/studio"];
    const version = EDITOR.replace("?", "/versions/1?");
    for (const path of [...pages.map((path) => `${HOME}/${path}`), EDITOR, `${EDITOR}&begin=built-in`, version]) {
      for (const colorScheme of ["light", "dark"]) {
        await this.page.emulateMedia({ colorScheme });
        await this.page.setViewportSize({ width: colorScheme === "light" ? 1280 : 375, height: 800 });
        await this.page.goto(path);
        await examine(this.page, `${path} in ${colorScheme}`);
      }
    }
  },
});
