# SPDX-License-Identifier: Apache-2.0
"""A node of a cluster that answers what a test tells it to."""

import collections
import contextlib
import socket
import threading

import live
from wire import Closed, Wire, encode

ALL_SLOTS = "0-16383"


class _Accepted(Wire):
    """The server's end of a connection; commands are read as replies are."""

    def __init__(self, accepted):
        self.socket = accepted
        self.buffer = bytearray()
        self.start = 0


class ScriptedNode(live.Reachable):
    """`view` are the lines of CLUSTER NODES, `slots` the reply to CLUSTER SLOTS. `replies` has, by the first word of a command, the bytes of its replies; the last
    of them is given again and again. `asked` counts commands. A context manager."""

    def __init__(self):
        self._listener = socket.create_server((self.host, 0))
        self.port = self._listener.getsockname()[1]
        self.address = f"{self.host}:{self.port}"
        self.view = []
        self.slots = b"*0\r\n"
        self.replies = {}
        self.asked = collections.Counter()
        self._accepted = []
        threading.Thread(target=self._accept, daemon=True).start()

    def line(self, epoch, flags, slots=ALL_SLOTS):
        """How a node's CLUSTER NODES lists this one."""
        return f"id{self.port} {self.address}@1 {flags} - 0 0 {epoch} connected {slots}".rstrip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for end in (self._listener, *self._accepted):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                accepted = self._listener.accept()[0]
                self._accepted.append(accepted)
                threading.Thread(target=self._serve, args=(_Accepted(accepted),), daemon=True).start()

    def _serve(self, wire):
        with contextlib.suppress(OSError, Closed):
            while True:
                wire.send_bytes(self._answer([word.decode(errors="replace") for word in wire.read()]))

    def _answer(self, words):
        name = words[0]
        self.asked[name] += 1
        if words == ["CLUSTER", "SLOTS"]:
            return self.slots
        if words == ["CLUSTER", "NODES"]:
            return bulk("".join(f"{line}\n" for line in self.view))
        replies = self.replies.get(name)
        if replies is None:
            return b"-ERR it is not in the script\r\n"
        return replies.pop(0) if len(replies) > 1 else replies[0]


def bulk(value):
    """The reply of that value."""
    return encode(value).split(b"\r\n", 1)[1]


def slots_of(*nodes):
    """CLUSTER SLOTS with the addresses of these; which slots they serve is told by their lines."""
    told = [b"*1\r\n*%d\r\n:0\r\n:0\r\n" % (2 + len(nodes))]
    for node in nodes:
        told.append(b"*3\r\n%b:%d\r\n%b" % (bulk(node.host), node.port, bulk(f"id{node.port}")))
    return b"".join(told)


def moved(target):
    return f"-MOVED 0 {target.address}\r\n".encode()
