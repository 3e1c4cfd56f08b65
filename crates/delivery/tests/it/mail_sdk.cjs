// Has a service's own SDK send a mail: mail_sdk.cjs SERVICE BASE SECRET, with the mail as JSON on standard input.
"use strict";

const path = require("node:path");
const modules = process.env.KEYWRIGHT_TEST_NODE_MODULES;
const [service, base, secret] = process.argv.slice(2);
const mail = JSON.parse(require("node:fs").readFileSync(0, "utf8"));

async function postmark() {
  const { ServerClient } = require(path.join(modules, "postmark"));
  const client = new ServerClient(secret, { useHttps: false, requestHost: new URL(base).host });
  return client.sendEmail({
    From: mail.from,
    To: mail.to,
    ReplyTo: mail.reply_to ?? undefined,
    Subject: mail.subject,
    TextBody: mail.text,
    HtmlBody: mail.html,
    MessageStream: "outbound",
    Headers: Object.entries({ ...mail.headers, "X-PM-KeepID": "true" }).map(([Name, Value]) => ({ Name, Value })),
  });
}

async function resend() {
  const { Resend } = require(path.join(modules, "resend"));
  const client = new Resend(secret, { baseUrl: base });
  const options = { idempotencyKey: mail.idempotency_key };
  const sent = await client.emails.send(
    {
      from: mail.from,
      to: [mail.to],
      replyTo: mail.reply_to ?? undefined,
      subject: mail.subject,
      text: mail.text,
      html: mail.html,
      headers: mail.headers,
    },
    options,
  );
  if (sent.error) throw new Error(JSON.stringify(sent.error));
  return sent;
}

({ postmark, resend })[service]().catch((error) => {
  console.error(error);
  process.exit(1);
});
