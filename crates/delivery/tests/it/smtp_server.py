"""A real SMTP server for the tests, by aiosmtpd. It prints one JSON object a line: first its port, then what happened.

    smtp_server.py MODE... [--user USER --password PASSWORD] [--certificate FILE]

Each message meets the next MODE, and the last one for good:
accept, slow (accept, two seconds after DATA), refuse (550 to the recipient), relay-denied (554 to the recipient), greylist (451 the
first time, by recipient), stall (no answer to the recipient), hang (no answer after DATA), drop (hangs up after DATA), lose (takes
it, and hangs up before it says so), quote (554 that quotes the message), refuse-sender (553), later (451).
With a certificate (PEM, key included) it offers STARTTLS.
"""

import argparse
import asyncio
import base64
import email
import email.policy
import json
import ssl

from aiosmtpd.smtp import SMTP, AuthResult


def tell(**what):
    print(json.dumps(what), flush=True)


class Handler:
    def __init__(self, modes):
        self.modes = modes
        self.greylisted = set()

    def mode(self):
        return self.modes[0]

    def next(self):
        if len(self.modes) > 1:
            self.modes.pop(0)

    async def handle_MAIL(self, server, session, envelope, address, options):
        if self.mode() == "refuse-sender":
            self.next()
            tell(event="sender refused")
            return f"553 5.7.1 <{address}>: Sender address rejected"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(self, server, session, envelope, address, options):
        mode = self.mode()
        if mode == "refuse":
            self.next()
            tell(event="refused")
            return f"550 5.1.1 <{address}>: no such user here"
        if mode == "relay-denied":
            self.next()
            tell(event="refused")
            return f"554 5.7.1 <{address.lower()}>: Relay access denied"
        if mode == "stall":
            self.next()
            tell(event="stalled")
            await asyncio.sleep(3600)
        if mode == "later":
            self.next()
            tell(event="later")
            return "451 4.3.0 come back"
        if mode == "greylist" and address not in self.greylisted:
            self.greylisted.add(address)
            tell(event="greylisted")
            return "451 4.7.1 greylisted, come back later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server, session, envelope):
        mode = self.mode()
        self.next()
        if mode == "hang":
            tell(event="hung")
            await asyncio.sleep(3600)
        if mode == "drop":
            tell(event="dropped")
            server.transport.abort()
            return "421 4.3.2 gone"
        if mode == "slow":
            await asyncio.sleep(2)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = {part.get_content_type(): part.get_content() for part in message.walk() if not part.is_multipart()}
        if mode == "quote":
            tell(event="quoted")
            text = body["text/plain"]
            key = next(line.strip() for line in text.splitlines() if line.startswith("    "))
            return f"554 5.6.0 not for {envelope.rcpt_tos[0]}: looks bad: {key}"
        tell(
            event="accepted",
            mail_from=envelope.mail_from,
            recipients=envelope.rcpt_tos,
            headers={name.lower(): str(value) for name, value in message.items()},
            text=body["text/plain"],
            html=body["text/html"],
            encrypted=session.ssl is not None,
            peer=session.peer[1],
            raw=base64.b64encode(envelope.content).decode(),
            user=session.auth_data.decode() if session.auth_data else None,
        )
        if mode == "lose":
            server.transport.abort()
        return "250 2.0.0 Ok: queued as 4242"


def server_factory(arguments, handler):
    def authenticate(server, session, envelope, mechanism, data):
        fits = data.login == arguments.user.encode() and data.password == arguments.password.encode()
        return AuthResult(success=fits, handled=False, auth_data=data.login)

    options = {"hostname": "relay.test", "enable_SMTPUTF8": True}
    if arguments.user:
        options.update(authenticator=authenticate, auth_required=True, auth_require_tls=False)
    if arguments.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.certificate)
        options.update(tls_context=context)
    return lambda: SMTP(handler, **options)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("modes", nargs="+")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--certificate")
    arguments = parser.parse_args()
    factory = server_factory(arguments, Handler(arguments.modes))
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    tell(port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


asyncio.run(main())
