# SPDX-License-Identifier: Apache-2.0
"""Clients of the crash test: each owns its keys, sends a random mix of commands, alone and in
pipelines, and knows of each whether it was answered."""

import threading
import time

import numpy as np

import crash_model as model
from wire import Closed, ErrorReply, encode

HOUR_MS = 3_600_000
LARGEST_PIPELINE = 24
NAMES = 40
METRICS = ("cosine", "l2", "dot")


def now_ms():
    return int(time.time() * 1000)


class Client:
    """`state` is what its keys hold after all commands that were answered, `doubtful` are those sent
    since, in order."""

    def __init__(self, number, primitives, rng, turns):
        self.number = number
        self.primitives = primitives  # whether each takes DECAY, by name
        self.names = sorted(primitives)
        self.rng = rng
        self.turns = turns  # one lock per client, held while commands of it are on their way
        self.state = {}
        self.parity = 0
        self.doubtful = []
        self.sent_ms = 0
        self.touched = set()
        self.answered = 0
        self.flushing = False
        self.failure = None

    # ---- at work

    def run(self, server, others, stop):
        """Until `stop` is set or the server is gone."""
        try:
            with server.wire() as wire:
                while not stop.is_set():
                    if self.rng.random() < 0.001:
                        self._flush(wire, others)
                    else:
                        with self.turns[self.number]:
                            self._send(wire, self._choose())
        except (Closed, OSError):
            pass
        except Exception as error:  # seen by the thread that waits for this one
            self.failure = error

    def _send(self, wire, commands):
        self.sent_ms = now_ms()
        self.doubtful = commands
        wire.send_bytes(b"".join(encode(*command) for command in commands))
        while self.doubtful:
            reply = wire.read()
            self._take(reply, model.Window(self.sent_ms, now_ms()))

    def _take(self, reply, window):
        command = self.doubtful[0]
        state, expected = model.apply(self.state, command, window)
        right = expected is model.ANY_REPLY or (
            reply == expected and not isinstance(reply, ErrorReply)
        )
        assert right, f"{command[:2]} was answered {reply!r}, expected {expected!r}"
        self.state = state
        self.doubtful = self.doubtful[1:]
        self.answered += 1

    def _flush(self, wire, others):
        """All clients wait, so that the command is the only one on its way."""
        for lock in self.turns:
            lock.acquire()
        try:
            self.flushing = True
            assert wire.call("FLUSHALL") == "OK"
            for client in others:
                client.touched |= client.state.keys()
                client.state = {}
            self.flushing = False
        finally:
            for lock in self.turns:
                lock.release()

    # ---- what may be there after the server was killed

    def candidates(self, died_ms):
        """States that are right: any number of the doubtful commands was executed, in their order."""
        state = self.state
        found = [state]
        for command in self.doubtful:
            state, _ = model.apply(state, command, model.Window(self.sent_ms, died_ms))
            found.append(state)
        return found

    # ---- what to send

    def _choose(self):
        count = 1 if self.rng.random() < 0.5 else self.rng.randint(2, LARGEST_PIPELINE)
        window = model.Window(now_ms(), now_ms())
        planned = self.state
        commands = []
        for _ in range(count):
            command = self._command(planned)
            planned, _ = model.apply(planned, command, window)
            commands.append(command)
            if command[0][0] == "V":
                self.touched.add(command[1] if len(command) > 1 else "")
            if command[0] == "DEL":
                self.touched |= set(command[1:])
        return commands

    def _command(self, state):
        chance = self.rng.random()
        if chance < 0.015:
            return (self.rng.choice(["BGSAVE", "VSAVE"]),)
        if chance < 0.10:
            return self._fleeting()
        return self._text(state) if chance < 0.45 else self._vectors(state)

    def _key(self, kind, count):
        return f"{self.number}:{kind}:{self.rng.randrange(count)}"

    def _fleeting(self):
        key = self._key("fleeting", 4)
        return self.rng.choice(
            [
                ("SET", key, self._value(), "PX", self.rng.randint(1, 400)),
                ("SET", key, self._value(), "PX", self.rng.randint(1, 400)),
                ("SET", key, self._value()),
                ("DEL", key),
            ]
        )

    def _value(self):
        size = self.rng.choice([0, 1, 10, 100, 1000, 5000])
        return b"%x" % self.rng.getrandbits(64) + self.rng.randbytes(size)

    def _text(self, state):
        key, counter = self._key("text", 8), self._key("counter", 3)
        ttl = self.rng.randint(HOUR_MS, 2 * HOUR_MS)
        some = [self._key("text", 8) for _ in range(self.rng.randint(1, 4))]
        return self.rng.choice(
            [
                ("SET", key, self._value()),
                ("SET", key, self._value(), "KEEPTTL"),
                ("SET", key, self._value(), "NX"),
                ("SET", key, self._value(), "XX", "PX", ttl),
                ("SET", key, self._value(), "EX", ttl // 1000),
                ("SET", key, self._value(), "PXAT", now_ms() + ttl),
                ("MSET", *[part for name in some for part in (name, self._value())]),
                ("APPEND", key, self._value()),
                ("APPEND", key, self._value()),
                ("INCRBY", counter, self.rng.randint(-5, 100)),
                ("INCRBY", counter, 1),
                ("DEL", *some),
                ("PEXPIRE", self.rng.choice([key, counter, self._index_key()]), ttl),
                ("PERSIST", self.rng.choice([key, counter])),
            ]
        )

    def _index_key(self):
        """Half of the indexes are left alone between two deaths."""
        number = 2 * self.rng.randrange(2 * len(self.names)) + self.parity
        return f"{self.number}:index:{number}"

    def _vectors(self, state):
        key = self._index_key()
        index = state.get(key)
        if index is None:
            # Also a primitive's and a metric's turn, so that each of them is met.
            number = int(key.rsplit(":", 1)[1])
            primitive = self.names[number // 2 % len(self.names)]
            metric = METRICS[(number + self.number) % len(METRICS)]
            decay = ()
            if self.primitives[primitive] and self.rng.random() < 0.5:
                decay = ("DECAY", "exp", model.HALF_LIFE_MS, "CLOCK", "logical")
            dim = self.rng.choice([3, 16, 33])
            return ("VNEW", key, dim, "METRIC", metric, "PRIMITIVE", primitive, *decay)
        chance = self.rng.random()
        if chance < 0.01:
            return (self.rng.choice(["VDROP", "DEL"]), key)
        if chance < 0.20:
            return ("VDEL", key, self._name())
        if chance < 0.30:
            return ("VSETATTR", key, self._name(), self._attributes())
        gives = ("SETATTR", self._attributes()) if self.rng.random() < 0.3 else ()
        if index.strengths is not None:
            gain = ("STRENGTH" if chance < 0.65 else "GAIN", self.rng.randint(1, 9), "AT", self.rng.randrange(9000))
            if chance >= 0.65:
                return ("VTOUCH", key, self._name(), *gain)
            keeps = ("KEEPSTRENGTH",) if self.rng.random() < 0.3 else ()
            return ("VADD", key, self._name(), self._vector(index.dim), *gain, *keeps, *gives)
        if chance < 0.65:
            return ("VADD", key, self._name(), self._vector(index.dim), *gives)
        return ("VMADD", key, *self._items(index.dim))

    def _items(self, dim):
        names = self.rng.sample(range(NAMES), self.rng.randint(2, 12))
        return [part for name in names for part in (b"%d" % name, self._vector(dim))]

    def _name(self):
        return b"%d" % self.rng.randrange(NAMES)

    def _attributes(self):
        """A JSON object, or nothing, which removes what there is."""
        if self.rng.random() < 0.2:
            return b""
        return b'{"n":%d,"s":"%s"}' % (self.rng.randrange(9), b"x" * self.rng.choice([0, 3, 3000]))

    def _vector(self, dim):
        return random_vector(self.rng, dim)


def random_vector(rng, dim):
    return np.array([rng.gauss(0, 1) for _ in range(dim)], dtype="<f4").tobytes()


def make_turns(count):
    return [threading.Lock() for _ in range(count)]
