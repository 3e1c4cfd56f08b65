// Passkeys in a real browser, whose device the browser plays itself: made, used, refused and removed.

import assert from "node:assert/strict";
import { EMAIL, PASSWORD, examine, opened, setUp, travel } from "./browser.mjs";

const { CONSOLE_ADDRESS } = process.env;
const HOST = new URL(CONSOLE_ADDRESS).hostname;

// Wide and narrow, in light and dark.
const examined = async (page, what) => {
  for (const [colorScheme, width] of [["light", 1280], ["dark", 375]]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    await examine(page, `${what} in ${colorScheme}`);
  }
};

const signOut = async (page) => {
  await page.goto("/");
  await page.locator("details.menu.end summary").click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
};

await travel({
  async "an owner adds a passkey"() {
    const page = (this.page = await setUp(await opened()));
    const device = await page.context().newCDPSession(page);
    await device.send("WebAuthn.enable");
    const options = {
      protocol: "ctap2",
      ctap2Version: "ctap2_1",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      // Nobody touches the device before the journey says so.
      automaticPresenceSimulation: false,
    };
    const { authenticatorId } = await device.send("WebAuthn.addVirtualAuthenticator", { options });
    this.told = (what, more = {}) => device.send(`WebAuthn.${what}`, { authenticatorId, ...more });
    this.touched = (enabled) => this.told("setAutomaticPresenceSimulation", { enabled });
    // A button is pressed, and the device is touched.
    this.pressed = async (name, told) => {
      await this.touched(true);
      await page.getByRole("button", { name }).click();
      await told.waitFor();
      await this.touched(false);
    };
    // The device is touched for whatever is asked. A browser that fills nothing in asks only for what is pressed.
    await page.addInitScript(() => {
      if (sessionStorage.fillsNothingIn) PublicKeyCredential.isConditionalMediationAvailable = async () => false;
    });
    this.fillsIn = (whether) => page.evaluate((whether) => (sessionStorage.fillsNothingIn = whether ? "" : "yes"), whether);
    await this.fillsIn(false);
    await page.goto("/account");
    await examined(page, "an account without passkeys");
    await page.getByRole("link", { name: "Add a passkey" }).click();
    await examined(page, "adding a passkey");
    await page.getByLabel("Its name").fill("Laptop");
    await this.pressed("Make it", page.getByText("The passkey is added"));
    await page.getByText("Never used").waitFor();
    await examined(page, "an account with a passkey");
    const { credentials } = await this.told("getCredentials");
    const [{ isResidentCredential, rpId, userName }] = credentials;
    assert.deepEqual([credentials.length, isResidentCredential, rpId, userName], [1, true, HOST, EMAIL]);
  },

  async "a device makes no second one"() {
    await this.page.getByRole("link", { name: "Add another" }).click();
    await this.pressed("Make it", this.page.getByText("This device has a passkey for you here already."));
  },

  async "the button signs in, by the passkey alone"() {
    const { page } = this;
    await signOut(page);
    await examined(page, "signing in");
    await this.pressed("Sign in with a passkey", page.getByRole("heading", { name: "Home" }));
    await page.goto("/account");
    await page.getByText("Used just now").waitFor();
  },

  async "it is offered beside the e-mail address, and signs in when it is chosen there"() {
    const { page } = this;
    await signOut(page);
    await this.fillsIn(true);
    await this.touched(true);
    const chosen = page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/sign-in/passkey"));
    await page.goto("/sign-in");
    await chosen;
    await page.getByRole("heading", { name: "Home" }).waitFor();
    await this.touched(false);
    await this.fillsIn(false);
  },

  async "it proves once more who somebody is"() {
    const { page } = this;
    await page.goto("/confirm?next=/account");
    await examined(page, "proving who one is");
    await this.pressed("Use a passkey", page.getByRole("heading", { name: "Account and security" }));
  },

  async "a device that does not know its user signs nobody in"() {
    const { page } = this;
    await signOut(page);
    await this.told("setUserVerified", { isUserVerified: false });
    await this.pressed("Sign in with a passkey", page.getByText("Nothing was chosen, or it took too long. Try again."));
    await this.told("setUserVerified", { isUserVerified: true });
  },

  async "a copy that signed less often is noticed"() {
    const { page } = this;
    const { credentials } = await this.told("getCredentials");
    const [credential] = credentials;
    const { credentialId } = credential;
    assert.ok(credential.signCount > 1, `it counts: ${credential.signCount}`);
    await this.told("removeCredential", { credentialId });
    await this.told("addCredential", { credential: { ...credential, signCount: 1 } });
    await page.goto("/sign-in");
    await this.pressed("Sign in with a passkey", page.getByText("as if it had been copied"));
    await this.told("removeCredential", { credentialId });
    await this.told("addCredential", { credential: { ...credential, signCount: credential.signCount + 1 } });
  },

  async "a passkey that was removed opens nothing"() {
    const { page } = this;
    await page.goto("/sign-in");
    await page.getByLabel("E-mail").fill(EMAIL);
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByRole("heading", { name: "Home" }).waitFor();
    await page.goto("/account");
    await page.getByRole("link", { name: "Remove Laptop" }).click();
    await examined(page, "removing a passkey");
    await page.getByRole("button", { name: "Remove it" }).click();
    await page.getByText("The passkey signs nobody in any more.").waitFor();
    await signOut(page);
    await this.pressed("Sign in with a passkey", page.getByText("This passkey is not known here, or was removed"));
  },

  async "without scripts there are passwords"() {
    const page = await (await opened({ javaScriptEnabled: false })).newPage();
    await page.goto("/sign-in");
    await page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
    assert.equal(await page.getByRole("button", { name: "Sign in with a passkey" }).isVisible(), false);
  },
});
