// Pages change while somebody looks at them, without being loaded again.

import assert from "node:assert/strict";
import { HOME, examine, keyIn, opened, setUp, simulate, travel } from "./browser.mjs";

// A page that is loaded again forgets this.
const remember = (page) => page.evaluate(() => (globalThis.isTheSame = true));
const isTheSame = (page) => page.evaluate(() => globalThis.isTheSame === true);

await travel({
  async "a purchase comes, and the tick of the first license turns green"() {
    this.context = await opened();
    const page = await setUp(this.context);
    await remember(page);
    const step = page.locator(".steps li", { hasText: "See a purchase become a license" });
    await step.and(page.locator(":not(.done)")).waitFor();
    const link = page.getByRole("link", { name: "See the calls" });
    await link.focus();
    await page.evaluate(() => scrollTo(0, 120));
    this.key = keyIn(simulate("checkout", "--plan", "studio-pro", "--email", "buyer@example.com"));
    await step.and(page.locator(".done")).waitFor();
    await page.locator(".news").getByText("License issued").waitFor();
    await page.locator(".funnel").getByText("keys caught, not mailed").waitFor();
    // Nobody sends mails here, which a person has to know.
    await page.locator(".bell.some").waitFor();
    assert.ok(await isTheSame(page), "the page was loaded again");
    assert.ok(await link.evaluate((one) => one === document.activeElement), "the focus stays where it is");
    assert.equal(await page.evaluate(() => scrollY), 120);
  },

  async "nothing moves under somebody who decides"() {
    const page = await this.context.newPage();
    await page.goto(`${HOME}/search?q=${this.key}`);
    await page.getByText("Active because it is paid for.").waitFor();
    await remember(page);
    const chip = page.getByRole("button", { name: "Decisions" });
    await chip.click();
    const shown = () => page.locator("#timeline li:visible").count();
    const [before, all] = [await shown(), await page.locator("#timeline li").count()];
    await page.locator(".actions summary").click();
    await page.getByRole("link", { name: "Freeze", exact: true }).click();
    const reason = page.getByRole("dialog").getByLabel("Reason");
    await reason.fill("half a sente");
    simulate("refund", "--last");
    assert.equal(await reason.inputValue(), "half a sente");
    await page.getByRole("dialog").getByRole("link", { name: "Cancel" }).click();
    await page.getByText(/Revoked because payment .* was refunded in full/).first().waitFor();
    assert.ok(await isTheSame(page));
    assert.ok((await page.locator("#timeline li").count()) > all, "the timeline goes on");
    assert.ok((await shown()) >= before && (await chip.getAttribute("aria-pressed")) === "true", "what is chosen stays chosen");
  },

  async "however many pages a browser shows, one of them listens for all"() {
    // More than the six connections that a browser has to a server.
    const context = await opened({ storageState: await this.context.storageState() });
    let streams = 0;
    context.on("request", (request) => (streams += new URL(request.url()).pathname.endsWith("/live") ? 1 : 0));
    const pages = [];
    for (let number = 0; number < 8; number += 1) {
      const page = await context.newPage();
      await page.goto(HOME);
      await remember(page);
      pages.push(page);
    }
    const issued = (page) => page.locator(".funnel a", { hasText: "licenses issued" }).locator("b");
    const number = Number(await issued(pages[0]).textContent());
    const more = (by) => new RegExp(`^${number + by}$`);
    simulate("checkout", "--plan", "studio-pro", "--email", "second@example.com");
    for (const page of pages) await issued(page).filter({ hasText: more(1) }).waitFor();
    assert.equal(streams, 1);
    await pages.shift().close();
    simulate("checkout", "--plan", "studio-pro", "--email", "third@example.com");
    for (const page of pages) await issued(page).filter({ hasText: more(2) }).waitFor();
    assert.ok((await Promise.all(pages.map(isTheSame))).every(Boolean));
    await context.close();
  },

  async "charts are read in every color and width, and in numbers"() {
    const page = await this.context.newPage();
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width: colorScheme === "light" ? 1280 : 375, height: 800 });
      await page.goto(`${HOME}?window=7d`);
      const numbers = page.locator(".numbers summary").first();
      await numbers.press("Enter");
      await page.locator(".numbers[open] td").first().waitFor();
      await examine(page, `Home in ${colorScheme}`);
    }
  },
});
