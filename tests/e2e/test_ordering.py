# SPDX-License-Identifier: Apache-2.0
"""The ordering rule: on one connection replies leave in command order, and every command sees what the
ones before it did."""

import random
import threading

import numpy as np
import pytest

from wire import encode

COMMANDS = 10_000
DIM = 8
SEED = 20_240


class Model:
    """Draws commands and knows what each must answer."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.numpy = np.random.default_rng(seed)
        self.strings = {}
        self.vectors = {}
        self.counter = 0
        self.kinds = [
            method for name, method in sorted(vars(Model).items()) if name.startswith("make_")
        ]

    def next(self, number):
        return self.random.choice(self.kinds)(self, number)

    def some_key(self):
        return f"key {self.random.randrange(50)}".encode()

    def make_echo(self, number):
        return ("ECHO", number), str(number).encode()

    def make_set(self, number):
        key = self.some_key()
        self.strings[key] = str(number).encode()
        return ("SET", b"s " + key, number), "OK"

    def make_get(self, _):
        key = self.some_key()
        return ("GET", b"s " + key), self.strings.get(key)

    def make_incr(self, _):
        self.counter += 1
        return ("INCR", "counter"), self.counter

    def make_wrong(self, number):
        return ("NOSUCH", number), f"ERR unknown command 'NOSUCH', with args beginning with: '{number}' "

    def make_vadd(self, _):
        key = self.some_key()
        vector = self.numpy.normal(size=DIM).astype("<f4").tobytes()
        is_new = key not in self.vectors
        self.vectors[key] = vector
        return ("VADD", "index", key, vector), int(is_new)

    def make_vget(self, _):
        key = self.some_key()
        return ("VGET", "index", key), self.vectors.get(key)

    def make_vdel(self, _):
        key = self.some_key()
        return ("VDEL", "index", key), int(self.vectors.pop(key, None) is not None)

    def make_vsearch(self, _):
        """The vector of a key has distance 0 to that key, and to no other."""
        if not self.vectors:
            return ("VSEARCH", "index", bytes(4 * DIM), 1), []
        key = self.random.choice(sorted(self.vectors))
        return ("VSEARCH", "index", self.vectors[key], 1), [key, b"0"]


@pytest.mark.parametrize("primitive", ["flat", "hnsw"])
def test_mixed_commands_of_one_pipeline(server, primitive):
    model = Model(SEED)
    commands, expected = zip(*(model.next(number) for number in range(COMMANDS)))
    with server.wire() as wire:
        assert wire.call("VNEW", "index", DIM, "METRIC", "l2", "PRIMITIVE", primitive) == "OK"
        sender = threading.Thread(
            target=wire.send_bytes, args=(b"".join(encode(*command) for command in commands),)
        )
        sender.start()
        for number, (command, reply) in enumerate(zip(commands, expected)):
            assert wire.read() == reply, f"seed {SEED}, command {number}: {command[0]}"
        sender.join()


def test_a_pipeline_cut_into_single_bytes(server):
    model = Model(SEED + 1)
    commands, expected = zip(*(model.next(number) for number in range(200)))
    with server.wire() as wire:
        wire.call("VNEW", "index", DIM, "METRIC", "l2", "PRIMITIVE", "flat")
        for byte in b"".join(encode(*command) for command in commands):
            wire.send_bytes(bytes([byte]))
        assert [wire.read() for _ in commands] == list(expected)


def test_replies_may_be_off_or_skipped(server):
    with server.wire() as wire:
        wire.send("CLIENT", "REPLY", "SKIP")
        wire.send("SET", "a", 1)
        wire.send("CLIENT", "REPLY", "OFF")
        wire.send("INCR", "a")
        wire.send("NOSUCH")
        wire.send("CLIENT", "REPLY", "ON")
        wire.send("GET", "a")
        assert [wire.read(), wire.read()] == ["OK", b"2"]


def test_quit_answers_and_drops_the_rest(server):
    with server.wire() as wire:
        wire.send_bytes(encode("SET", "a", 1) + encode("QUIT") + encode("SET", "a", 2))
        assert [wire.read(), wire.read()] == ["OK", "OK"]
        assert wire.is_closed()
    assert server.redis().get("a") == b"1"


def test_many_connections_count_together(server):
    connections, rounds = 20, 200

    def count():
        with server.wire() as wire:
            wire.send_bytes(encode("INCR", "n") * rounds)
            replies = [wire.read() for _ in range(rounds)]
            assert replies == sorted(set(replies))

    threads = [threading.Thread(target=count) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.redis().get("n") == str(connections * rounds).encode()
