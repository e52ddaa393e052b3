# SPDX-License-Identifier: Apache-2.0
"""Random dialogues of several clients over few keys: transactions, what is watched, mistakes, and commands
between them. What two servers answer to them does not depend on the time."""

from wire import encode

KEYS = [f"k{number}" for number in range(6)]
LONGEST_PACKET = 6
# The expiries of two commands differ by more than a run takes, so that it is certain which is later.
EXPIRY_STEP_SECONDS = 100


class Dialogue:
    """Draws packets of commands, each for one of `clients` clients."""

    def __init__(self, rng, clients):
        self.rng = rng
        self.queueing = [False] * clients  # whether a client is between MULTI and EXEC
        self.expiries = 0
        self.execs = 0

    def next_packet(self):
        """A client and commands that it sends at once; it is answered before anybody sends again. No
        commands: it leaves, and another takes its place."""
        client = self.rng.randrange(len(self.queueing))
        if self.rng.random() < 0.005:
            self.queueing[client] = False
            return client, []
        count = self.rng.choice([1, 1, 1, 2, 3, LONGEST_PACKET])
        return client, [self._command(client) for _ in range(count)]

    def _command(self, client):
        command = self._inside() if self.queueing[client] else self._outside()
        name = command[0].upper()
        if name == "MULTI" and len(command) == 1:
            self.queueing[client] = True
        # An EXEC of wrong arity ends the transaction, a DISCARD or RESET of wrong arity does not.
        elif name == "EXEC" or (name in ("DISCARD", "RESET") and len(command) == 1):
            self.execs += name == "EXEC" and self.queueing[client]
            self.queueing[client] = False
        return command

    def _outside(self):
        chance = self.rng.random()
        if chance < 0.30:
            return ("MULTI",)
        if chance < 0.50:
            return ("WATCH", *self._keys())
        if chance < 0.55:
            return self.rng.choice(
                [("UNWATCH",), ("EXEC",), ("DISCARD",), ("RESET",), ("EXEC", "x"), ("MULTI", "x"), ("WATCH",)]
            )
        return self._any()

    def _inside(self):
        chance = self.rng.random()
        if chance < 0.25:
            return ("EXEC",)
        if chance < 0.28:
            return ("DISCARD",)
        if chance < 0.31:
            return self.rng.choice([("MULTI",), ("WATCH", *self._keys()), ("UNWATCH",)])
        if chance < 0.33:
            return self.rng.choice(
                [("SAVE",), ("EXEC", "x"), ("DISCARD", "x"), ("WATCH",), ("UNWATCH", "x"), ("MULTI", "x"), ("RESET",)]
            )
        return self._any()

    def _any(self):
        if self.rng.random() < 0.01:
            return self.rng.choice([("NoSuch", self._key()), ("SET", self._key()), ("CONFIG", "NOPE"), ("get",)])
        return self.rng.choice(self.rng.choice([self._reads, self._writes, self._writes])())

    def _key(self):
        return self.rng.choice(KEYS)

    def _keys(self):
        return [self._key() for _ in range(self.rng.choice([1, 1, 2, 3]))]

    def _value(self):
        return self.rng.choice(
            [b"%d" % self.rng.randint(-3, 99), b"text", b"", b"9223372036854775807", self.rng.randbytes(8), b"x" * 500]
        )

    def _seconds(self):
        self.expiries += 1
        sign = self.rng.choice([1, 1, 1, -1])
        return sign * self.expiries * EXPIRY_STEP_SECONDS

    def _reads(self):
        key = self._key()
        return [
            ("GET", key), ("MGET", *self._keys()), ("EXISTS", *self._keys()), ("STRLEN", key), ("TYPE", key),
            ("KEYS", key), ("PING",), ("ECHO", self._value()), ("SELECT", 0), ("SELECT", 99), ("CLIENT", "GETNAME"),
            ("CONFIG", "GET", "timeout"), ("GETRANGE", key, self.rng.randint(-9, 9), self.rng.randint(-9, 9)), ("TOUCH", *self._keys()),
            ("SUBSTR", key, 0, self.rng.randint(-3, 3)), ("OBJECT", "ENCODING", key), ("SCAN", "x"), ("READONLY",), ("AUTH", "x"),
            ("COMMAND", "GETKEYS", "MSET", key, 1, self._key(), 2), ("CLIENT", "GETREDIR"),
        ]  # fmt: skip

    def _writes(self):
        key, value = self._key(), self._value()
        several = [part for name in self._keys() for part in (name, self._value())]
        return [
            ("SET", key, value), ("SET", key, value), ("SET", key, value, "GET"), ("SET", key, value, "NX"),
            ("SET", key, value, "XX", "GET"), ("SET", key, value, "KEEPTTL"), ("SET", key, value, "EX", self._seconds()),
            ("SET", key, value, "EXAT", 1), ("MSET", *several), ("APPEND", key, value), ("INCR", key), ("DECR", key),
            ("INCRBY", key, self.rng.randint(-5, 5)), ("DECRBY", key, "many"), ("DEL", *self._keys()),
            ("EXPIRE", key, self._seconds()), ("EXPIRE", key, self._seconds(), self.rng.choice(["NX", "XX", "GT", "LT"])),
            ("PEXPIRE", key, 1000 * self._seconds()), ("PERSIST", key), ("PERSIST", key),
            ("CLIENT", "SETNAME", self.rng.choice(["me", "you", ""])),
            ("SETNX", key, value), ("MSETNX", *several), ("SETEX", key, abs(self._seconds()), value), ("PSETEX", key, self._seconds(), value),
            ("GETSET", key, value), ("GETDEL", key), ("GETEX", key), ("GETEX", key, "EX", abs(self._seconds())), ("GETEX", key, "PERSIST"),
            ("GETEX", key, "EXAT", 1), ("INCRBYFLOAT", key, self.rng.choice([b"0.5", b"-3", b"1e3", b"many", b"0.1"])),
            ("SETRANGE", key, self.rng.randint(-1, 9), value), ("RENAME", key, self._key()), ("RENAMENX", key, self._key()),
            ("COPY", key, self._key()), ("COPY", key, self._key(), "REPLACE"), ("SET", key, value, "EX", 7, "EX", abs(self._seconds())),
            self.rng.choice([("FLUSHALL",), ("FLUSHDB",), ("GET", key), ("GET", key)]),
        ]  # fmt: skip


class Talk:
    """The clients of a dialogue with one server."""

    def __init__(self, server, protocols):
        self.server = server
        self.protocols = protocols
        with server.wire() as wire:
            assert wire.call("FLUSHALL") == "OK"
        self.wires = [server.wire(protocol) for protocol in protocols]

    def send(self, client, commands):
        if commands:
            self.wires[client].send_bytes(b"".join(encode(*command) for command in commands))
        else:
            self.wires[client].socket.close()
            self.wires[client] = self.server.wire(self.protocols[client])

    def read(self, client, commands):
        return [self.wires[client].read_raw() for _ in commands]

    def end(self):
        for wire in self.wires:
            wire.socket.close()
