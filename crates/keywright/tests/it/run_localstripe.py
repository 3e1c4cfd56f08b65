"""Runs localstripe, unchanged, where only this machine can reach it.

Its own main listens on every address of the machine and writes all it knows to one fixed file, which tests that run side
by side must not share. The program is started as a whole with other sockets and another file; nothing of it is imported
here. Prints `port NUMBER` once it listens.
"""

import builtins
import os
import runpy
import signal
import socket
import sys

SECONDS_MAX = 300
STORE = "/tmp/localstripe.pickle"

open_any = builtins.open


class Loopback(socket.socket):
    def __init__(self, family=-1, *rest, **named):
        super().__init__(socket.AF_INET if family == socket.AF_INET6 else family, *rest, **named)

    def bind(self, address):
        super().bind(("127.0.0.1", address[1]))

    def listen(self, *backlog):
        super().listen(*backlog)
        print(f"port {self.getsockname()[1]}", flush=True)


def open_but_the_store(file, *rest, **named):
    return open_any(os.devnull if file == STORE else file, *rest, **named)


# Whoever started it may be gone.
signal.alarm(SECONDS_MAX)
socket.socket = Loopback
builtins.open = open_but_the_store
sys.argv = ["localstripe", "--from-scratch", "--port", "0"]
runpy.run_module("localstripe", run_name="__main__", alter_sys=True)
