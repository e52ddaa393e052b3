# SPDX-License-Identifier: Apache-2.0
"""A connection that shows replies as they are on the wire."""

import socket
import struct


class ErrorReply(str):
    """An error, without its '-'."""


class Closed(Exception):
    """The server closed the connection."""


def pack(*numbers):
    """A vector as commands take it."""
    return struct.pack(f"<{len(numbers)}f", *numbers)


def encode(*arguments):
    """A command as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        if not isinstance(argument, bytes):
            argument = str(argument).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(argument), argument))
    return b"".join(parts)


class Wire:
    """One RESP connection."""

    def __init__(self, port, protocol=2, timeout=20, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.buffer = bytearray()
        self.start = 0
        if protocol == 3:
            assert self.call("HELLO", 3)["proto"] == 3

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *arguments):
        self.send_bytes(encode(*arguments))

    def send_bytes(self, data):
        self.socket.sendall(data)

    def call(self, *arguments):
        self.send(*arguments)
        return self.read()

    def call_raw(self, *arguments):
        self.send(*arguments)
        return self.read_raw()

    def read_raw(self):
        """The bytes of the next reply."""
        self._forget_consumed()
        self.read()
        return bytes(self.buffer[: self.start])

    def read(self):
        """The next reply as Python values; both kinds of null are None."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return ErrorReply(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b",":
            return float(rest)
        if kind == b"#":
            return {b"t": True, b"f": False}[rest]
        if kind == b"_":
            return None
        if kind in b"$=":
            return self._bulk(kind, int(rest))
        if kind in b"*~>":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        if kind == b"%":
            return {_hashable(self.read()): self.read() for _ in range(int(rest))}
        raise AssertionError(f"no reply starts with {line[:64]!r}")

    def is_closed(self):
        """Whether nothing but the end of the stream is left; waits for it."""
        try:
            self._line()
        except Closed:
            return self.start == len(self.buffer)
        return False

    def _bulk(self, kind, size):
        if size == -1:
            return None
        data = self._take(size + 2)[:-2]
        return data[4:].decode() if kind == b"=" else data

    def _line(self):
        while (end := self.buffer.find(b"\r\n", self.start)) < 0:
            self._receive()
        return self._take(end + 2 - self.start)[:-2]

    def _take(self, size):
        while len(self.buffer) < self.start + size:
            self._receive()
        data = bytes(self.buffer[self.start : self.start + size])
        self.start += size
        return data

    def _receive(self):
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionError as error:
            raise Closed from error
        if not data:
            raise Closed
        self.buffer += data

    def _forget_consumed(self):
        del self.buffer[: self.start]
        self.start = 0


def _hashable(key):
    return key.decode() if isinstance(key, bytes) else key
