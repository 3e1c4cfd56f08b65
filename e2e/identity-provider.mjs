// A real OpenID Connect provider on this machine, with a page on which people say who they are; no password is asked for.

import { createServer } from "node:http";

const { KEYWRIGHT_TEST_NODE_MODULES } = process.env;
const { default: Provider } = await import(`${KEYWRIGHT_TEST_NODE_MODULES}/oidc-provider/lib/index.js`);

// Not the server's own host, so that the way between the two leads from one site to another.
const HOST = "localhost";

const PAGE = `<!doctype html><html lang="en"><title>Acme ID</title><link rel="icon" href="data:,"><main><h1>Acme ID</h1>
<form method="post"><label>Account <input name="account"></label><button>Sign in</button></form>
<form method="post"><button name="cancel" value="on">Cancel</button></form></main></html>`;

// Starts it for a client; `accounts` has what is said of each account.
export const startProvider = async ({ client_id, client_secret, redirect, accounts }) => {
  let provider;
  const server = createServer(async (request, response) => {
    if (!request.url.startsWith("/interaction/")) return provider.callback()(request, response);
    if (request.method === "GET") return response.setHeader("content-type", "text/html").end(PAGE);
    let body = "";
    for await (const piece of request) body += piece;
    const sent = new URLSearchParams(body);
    const result = sent.has("cancel") ? { error: "access_denied" } : { login: { accountId: sent.get("account") } };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  });
  await new Promise((listening) => server.listen(0, HOST, listening));
  const issuer = `http://${HOST}:${server.address().port}`;
  provider = new Provider(issuer, {
    clients: [{ client_id, client_secret, redirect_uris: [redirect] }],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    cookies: { keys: ["only for tests"] },
    features: { devInteractions: { enabled: false } },
    findAccount: (_, accountId) =>
      accounts[accountId] && { accountId, claims: async () => ({ sub: accountId, ...accounts[accountId] }) },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    // Nobody is asked whether this client may know what it asks for.
    loadExistingGrant: async ({ oidc }) => {
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope("openid email profile");
      await grant.save();
      return grant;
    },
    renderError: (context, { error }) => {
      context.body = error;
    },
  });
  return { issuer, stop: () => server.close() };
};
