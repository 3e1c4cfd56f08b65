// Other people's implementations for Node, asked by the tests, as oracles.py asks those for Python.
//
//     oracles.cjs paddle-verify SECRET HEADER NOW   verifies the body on stdin as a vendor of Paddle would when the clock
//                                                   shows NOW, in seconds since 1970; prints whether it is valid, and the
//                                                   event that it is read as

"use strict";

const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");

const installed = createRequire(`${process.env.KEYWRIGHT_TEST_NODE_MODULES}/`);

function setClock(seconds) {
  const Real = Date;
  globalThis.Date = class extends Real {
    constructor(...given) {
      super(...(given.length > 0 ? given : [seconds * 1000]));
    }
  };
}

async function paddleVerify(body, secret, header, now) {
  const { Paddle } = installed("@paddle/paddle-node-sdk");
  const { webhooks } = new Paddle("a key that is never used");
  setClock(Number(now));
  const valid = await webhooks.isSignatureValid(body, secret, header);
  const event = await webhooks.unmarshal(body, secret, header).catch(() => null);
  return { valid, event: event && { eventId: event.eventId, eventType: event.eventType } };
}

const oracles = { "paddle-verify": paddleVerify };
const [asked, ...given] = process.argv.slice(2);
oracles[asked](readFileSync(0, "utf8"), ...given).then((answer) => console.log(JSON.stringify(answer)));
