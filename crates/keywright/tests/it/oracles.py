"""Other people's implementations, asked by the tests: the official packages of Stripe and Paddle, and PyJWT.

    oracles.py deliver URL SECRET TIMES   signs the event on stdin as Stripe does and posts it, all at once;
                                          a line of JSON for each answer
    oracles.py construct SECRET HEADER    reads the body on stdin as a vendor's own webhook would; prints the event
    oracles.py paddle-sign SECRET...      signs the body on stdin as Paddle does, once with each secret; prints the header
    oracles.py paddle-verify HEADER SECRET...
                                          verifies the body on stdin as a vendor of Paddle would; prints whether it is valid
    oracles.py lease URL AUDIENCE         verifies the lease on stdin with the keys at URL; prints header and claims
    oracles.py call BASE KEY VERSION      calls the API at BASE as the JSON on stdin says: `of` (whose method), `arguments`
                                          and, for what changes something, `options`; prints the answer
"""

import http.client
import json
import os
import sys
import threading
import time
import urllib.parse

import jwt
import stripe

PATIENCE_SECONDS = 60


def tell(what):
    print(json.dumps(what), flush=True)


def call(method, url, body=None, headers=None):
    """One call, never through a proxy."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, parts.path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def deliver(body, url, secret, times):
    header = stripe.WebhookSignature.generate_signature_header(body, secret)
    headers = {"Stripe-Signature": header, "Content-Type": "application/json"}
    together = threading.Barrier(int(times))
    answers = []

    def one():
        together.wait(PATIENCE_SECONDS)
        status, text = call("POST", url, body.encode(), headers)
        answers.append({"status": status, "body": text, "answered_at": time.time()})

    threads = [threading.Thread(target=one) for _ in range(int(times))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in answers:
        tell(answer)


def construct(body, secret, header):
    event = stripe.Webhook.construct_event(body, header, secret)
    tell({"id": event.id, "type": event.type, "session": event.data.object.id})


def paddle_sign(body, *secrets):
    from paddle_billing.Notifications.PaddleSignature import PaddleSignature

    signed_at = int(time.time())
    made = [PaddleSignature.calculate_hmac(secret, f"{signed_at}:{body}".encode()).hexdigest() for secret in secrets]
    tell({"header": ";".join([f"ts={signed_at}"] + [f"h1={signature}" for signature in made])})


def paddle_verify(body, header, *secrets):
    from paddle_billing.Notifications import Secret, Verifier

    class Request:
        pass

    Request.headers, Request.body = {"Paddle-Signature": header}, body.encode()
    # The five seconds that it allows by itself may pass while Python starts.
    try:
        valid = Verifier(maximum_variance=PATIENCE_SECONDS).verify(Request, [Secret(secret) for secret in secrets])
    except ConnectionRefusedError:
        valid = False
    tell({"valid": valid})


def lease(token, url, audience):
    status, text = call("GET", url)
    assert status == 200, (status, text)
    header = jwt.get_unverified_header(token)
    key = jwt.PyJWKSet.from_dict(json.loads(text))[header["kid"]]
    claims = jwt.decode(token, key, algorithms=["EdDSA"], audience=audience)
    tell({"header": header, "claims": claims, "keys": text})


def call_api(what, base, key, version):
    os.environ["no_proxy"] = "*"
    what = json.loads(what)
    client = stripe.StripeClient(key, base_addresses={"api": base}, stripe_version=version, max_network_retries=0)
    method = client.v1
    for name in what["of"]:
        method = getattr(method, name)
    options = {"options": what["options"]} if "options" in what else {}
    tell(json.loads(str(method(*what["arguments"], **options))))


ask = {
    "deliver": deliver,
    "construct": construct,
    "paddle-sign": paddle_sign,
    "paddle-verify": paddle_verify,
    "lease": lease,
    "call": call_api,
}[sys.argv[1]]
ask(sys.stdin.buffer.read().decode(), *sys.argv[2:])
