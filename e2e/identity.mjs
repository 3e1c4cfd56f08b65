// Members come in by their vendor's identity provider, which is a real one on this machine.

import assert from "node:assert/strict";
import { EMAIL, HOME, PASSWORD, examine, opened, setUp, travel } from "./browser.mjs";
import { startProvider } from "./identity-provider.mjs";

const { CONSOLE_ADDRESS } = process.env;
const CLIENT = { client_id: "keywright", client_secret: "only for tests, and long enough" };
const SETTINGS = `${HOME}/settings/sign-in`;

const provider = await startProvider({
  ...CLIENT,
  redirect: `${CONSOLE_ADDRESS}/sign-in/default/callback`,
  accounts: {
    "u-ada": { email: EMAIL, email_verified: true, name: "Ada" },
    "u-bob": { email: "bob@acme.test", email_verified: true, name: "Bob" },
    "u-bob-2": { email: "bob@acme.test", email_verified: true, name: "Bob the second" },
    "u-eve": { email: "eve@acme.test", email_verified: false },
    "u-mallory": { email: "mallory@elsewhere.test", email_verified: true },
  },
});

// A browser that also loads the provider's pages.
const browsing = (options = {}) => opened(options, [provider.issuer]);

// Says at the provider who somebody is.
const saysWho = async (page, account) => {
  await page.getByRole("heading", { name: "Acme ID" }).waitFor();
  await page.getByLabel("Account").fill(account);
  await page.getByRole("button", { name: "Sign in" }).click();
};

// Comes from the sign-in page to the console, or to what is said instead.
const comes = async (context, account, path = "/sign-in") => {
  const page = await context.newPage();
  await page.goto(path);
  await page.getByRole("link", { name: "Sign in with Acme ID" }).click();
  await saysWho(page, account);
  return page;
};

const steps = {
  async "the owner sets it up and tries it"() {
    this.owner = await browsing();
    const page = await setUp(this.owner);
    await page.goto(`${HOME}/settings`);
    await page.getByRole("link", { name: /^Sign-in/ }).click();
    await page.getByText(`${CONSOLE_ADDRESS}/sign-in/default/callback`).waitFor();
    await page.getByRole("link", { name: "Set one up" }).click();
    await page.getByLabel("Name").fill("Acme ID");
    await page.getByLabel("Issuer").fill("http://localhost:1");
    await page.getByLabel("Client ID").fill(CLIENT.client_id);
    await page.getByLabel("Client secret").fill(CLIENT.client_secret);
    await page.getByLabel("Domains", { exact: true }).fill("acme.test");
    await page.getByLabel("whom nobody invited").selectOption("developer");
    await page.getByRole("button", { name: "Set it up" }).click();
    await page.getByText("This issuer does not answer as an OpenID Connect provider").waitFor();
    await page.getByLabel("Issuer").fill(provider.issuer);
    await page.getByLabel("Client secret").fill(CLIENT.client_secret);
    await page.getByRole("button", { name: "Set it up" }).click();
    await page.getByText("Saved.").waitFor();
    await page.getByRole("link", { name: "Try it" }).click();
    await saysWho(page, "u-ada");
    await page.getByText("By Acme ID you would come in as owner.").waitFor();
  },

  async "somebody of the domain comes in, and is known from then on"() {
    this.bob = await browsing();
    const page = await comes(this.bob, "u-bob", `/sign-in?next=${HOME}/team`);
    await page.getByRole("heading", { name: "Team" }).waitFor();
    await page.getByRole("row").filter({ hasText: "bob@acme.test" }).getByText("developer").waitFor();
    const again = await comes(await browsing(), "u-bob-2");
    await again.getByText("has another account at Acme ID").waitFor();
  },

  async "without scripts it is the same"() {
    const context = await browsing({ javaScriptEnabled: false });
    const page = await comes(context, "u-bob", "/sign-in/default");
    await page.getByRole("heading", { name: "Home" }).waitFor();
    await context.close();
  },

  async "who does not come in reads why, and never the provider's own words"() {
    for (const [account, why] of [
      ["u-eve", "Acme ID has not verified your e-mail address"],
      ["u-mallory", "Take your account at work."],
    ]) {
      const context = await browsing();
      const page = await comes(context, account);
      await page.getByText(why).waitFor();
      assert.ok(!page.url().includes("code="), page.url());
      await context.close();
    }
    const page = await (await browsing()).newPage();
    await page.goto("/sign-in");
    await page.getByRole("link", { name: "Sign in with Acme ID" }).click();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByText("You did not sign in at Acme ID.").waitFor();
  },

  async "before secrets are shown the provider asks again"() {
    const page = await this.bob.newPage();
    const wanted = `${HOME}/developers/new-key`;
    for (const [account, leadsTo] of [
      ["u-mallory", "That was another account at Acme ID than yours."],
      ["u-bob", "New API key"],
    ]) {
      await page.goto(`/confirm?next=${wanted}`);
      await page.getByRole("link", { name: "Go on at Acme ID" }).click();
      await saysWho(page, account);
      await page.getByText(leadsTo).first().waitFor();
    }
    assert.equal(new URL(page.url()).pathname, wanted);
  },

  async "its pages are accessible, in light and dark, and fit a phone"() {
    const stranger = await browsing();
    for (const [context, paths] of [
      [this.owner, [SETTINGS, `${SETTINGS}/change`, `${SETTINGS}/remove`, `${SETTINGS}?tried=unverified`]],
      [this.bob, ["/account", `/confirm?next=${HOME}`]],
      [stranger, ["/sign-in", "/sign-in/default", "/sign-in/default?problem=nobody"]],
    ]) {
      const page = await context.newPage();
      for (const path of paths) {
        for (const colorScheme of ["light", "dark"]) {
          await page.emulateMedia({ colorScheme });
          await page.setViewportSize({ width: colorScheme === "light" ? 1280 : 375, height: 800 });
          assert.equal((await page.goto(path)).status(), 200, path);
          await examine(page, `${path} in ${colorScheme}`);
        }
      }
    }
  },

  async "when it is required, passwords open the vendor to owners alone"() {
    const page = await this.owner.newPage();
    await page.goto(`${SETTINGS}/change`);
    await page.getByLabel("Everybody but owners").check();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Saved.").waitFor();
    const other = await (await browsing()).newPage();
    await other.goto("/sign-in/default");
    assert.equal(await other.getByLabel("Password").count(), 0);
    await other.getByRole("link", { name: "Owners can sign in with a password" }).click();
    await other.getByLabel("E-mail").fill(EMAIL);
    await other.getByLabel("Password").fill(PASSWORD);
    await other.getByRole("button", { name: "Sign in", exact: true }).click();
    await other.getByRole("heading", { name: "Home" }).waitFor();
  },
};

try {
  await travel(steps);
} finally {
  provider.stop();
}
