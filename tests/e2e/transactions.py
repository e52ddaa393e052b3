# SPDX-License-Identifier: Apache-2.0
"""What the tests of transactions share: clients that compare each reply byte for byte."""

import shutil
import threading

import pytest

import live
from wire import encode, pack

QUEUED = "+QUEUED"
NESTED = "-ERR MULTI calls can not be nested"
NO_MULTI = "-ERR EXEC without MULTI"
NOT_ALLOWED = "-ERR Command not allowed inside a transaction"
WATCH_INSIDE = "-ERR WATCH inside MULTI is not allowed"
DISCARDED = "-EXECABORT Transaction discarded because of previous errors."
NO_INTEGER = "-ERR value is not an integer or out of range"

SERVERS = [
    "engram",
    pytest.param(
        "redis",
        marks=pytest.mark.skipif(
            shutil.which("redis-check-rdb") is None, reason="redis-tools is not installed"
        ),
    ),
]


NULL_ARRAY = object()
ABORTED = NULL_ARRAY  # an EXEC that a watched key prevented


EAST, NORTH, WEST = pack(1, 0), pack(0, 1), pack(-1, 0)


def start(name, folder):
    return live.Redis(folder) if name == "redis" else live.Server(folder)


def encoded(reply, protocol):
    """The bytes of a reply: text is a line as it is sent, bytes are a bulk string, a list is an
    array."""
    if reply is NULL_ARRAY:
        return b"_\r\n" if protocol == 3 else b"*-1\r\n"
    if reply is None:
        return b"_\r\n" if protocol == 3 else b"$-1\r\n"
    if isinstance(reply, str):
        return reply.encode() + b"\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, bytes):
        return b"$%d\r\n%s\r\n" % (len(reply), reply)
    return b"*%d\r\n%s" % (len(reply), b"".join(encoded(part, protocol) for part in reply))


def packet(*commands):
    return b"".join(encode(*words_of(command)) for command in commands)


def receive(wire, replies, protocol):
    """As many bytes as the replies have, if they come; they need not be whole replies."""
    expected = b"".join(encoded(reply, protocol) for reply in replies)
    received = b""
    while len(received) < len(expected):
        received += wire.socket.recv(len(expected) - len(received))
    assert received == expected


def words_of(command):
    """A command as one types it; a tuple has arguments that contain spaces or other bytes."""
    return command.split() if isinstance(command, str) else command


class Caller:
    """A connection that is called with a command and the reply it must get."""

    def __init__(self, server, protocol):
        self.protocol = protocol
        self.wire = server.wire(protocol)

    def __call__(self, command, *replies):
        self.wire.send(*words_of(command))
        self.expect(*replies)

    def expect(self, *replies):
        for reply in replies:
            assert self.wire.read_raw() == encoded(reply, self.protocol)

    def queue(self, *commands):
        """Opens a transaction of these commands."""
        self("MULTI", "+OK")
        for command in commands:
            self(command, QUEUED)

    def ask(self, command):
        return self.wire.call(*words_of(command))

    def client_field(self, name):
        """A field of this client's line, as another one sees it in CLIENT LIST."""
        number = self.ask("CLIENT ID")
        return lambda other: field(other.ask(f"CLIENT LIST ID {number}"), name)


def text(reply):
    """A bulk string, or the verbatim string that RESP3 has for it."""
    return reply if isinstance(reply, str) else reply.decode()


def field(line, name):
    return dict(part.split("=", 1) for part in text(line).split())[name]


@pytest.fixture
def connect(server, protocol):
    callers = []

    def connect_one():
        callers.append(Caller(server, protocol))
        return callers[-1]

    yield connect_one
    for caller in callers:
        caller.wire.socket.close()


@pytest.fixture
def a(connect):
    return connect()


@pytest.fixture
def b(connect):
    return connect()


def run_all(*functions):
    """Runs each on a thread of its own; raises what one of them raised."""
    failures = []

    def guarded(function):
        try:
            function()
        except BaseException as error:  # the caller's thread raises it
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
