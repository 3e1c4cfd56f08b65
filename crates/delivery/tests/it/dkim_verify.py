"""Verifies signed messages as their receivers would: JSON on standard input with the messages, the name of the key's record
and its value. Prints for each whether its signature holds."""

import base64
import json
import sys

import dkim
from cryptography.hazmat.primitives.serialization import load_der_public_key

asked = json.load(sys.stdin)
value = asked["value"]
if "k=rsa" in value:
    # The record is read by others as well.
    load_der_public_key(base64.b64decode(value.split("p=")[1]))


def records(name, timeout=5):
    return value.encode() if name == asked["name"].encode() + b"." else None


def holds(message):
    try:
        return bool(dkim.DKIM(base64.b64decode(message)).verify(dnsfunc=records))
    except dkim.DKIMException as problem:
        print(f"{type(problem).__name__}: {problem}", file=sys.stderr)
        return False


print(json.dumps([holds(message) for message in asked["messages"]]))
