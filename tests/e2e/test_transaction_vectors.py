# SPDX-License-Identifier: Apache-2.0
"""Transactions over vector commands: each step runs after the last one's answer, and what it answers is
what it answers outside."""

import os
import random
import re

import pytest
import redis

import live
from transactions import (  # noqa: F401: the fixtures
    ABORTED,
    DISCARDED,
    EAST,
    NORTH,
    NOT_ALLOWED,
    QUEUED,
    WEST,
    a,
    b,
    connect,
    pack,
    packet,
    receive,
    run_all,
)
from wire import ErrorReply

DIM = 8
NO_INDEX = "-ERR no such index '{}', VNEW makes one"
GONE = "-ERR no such index '{}'"
WRONG_DIM = "-ERR vector has 1 dimensions, index 'index' has 2"


@pytest.fixture
def index(b):
    """A flat index of two dimensions with east and north."""
    b("VNEW index 2 PRIMITIVE flat METRIC l2", "+OK")
    b(("VMADD", "index", "east", EAST, "north", NORTH), 2)
    return "index"


# ---- the same answers as outside


def script(primitive):
    """Every vector command, right and wrong, with others between them."""
    rng = random.Random(5)

    def vector(dim=DIM):
        return pack(*(rng.gauss(0, 1) for _ in range(dim)))

    def items(numbers):
        return [part for number in numbers for part in (f"k{number}", vector())]

    return [
        ("VADD", "i", "k0", vector()),
        ("VNEW", "i", DIM, "METRIC", "l2", "PRIMITIVE", primitive),
        ("VNEW", "i", DIM),
        ("VADD", "i", "k0", vector()),
        ("VMADD", "i", *items(range(60))),
        ("VSEARCH", "i", vector(), 5),
        ("VADD", "i", "short", vector(3)),
        ("VADD", "i", "k1", vector()),
        ("VMSEARCH", "i", 3, vector(), vector()),
        ("VGET", "i", "k1"),
        ("VDEL", "i", "k2"),
        ("VDEL", "i", "k2"),
        ("VGET", "i", "k2"),
        ("SET", "s", "text"),
        ("VSEARCH", "s", vector(), 5),
        ("GET", "i"),
        ("VTUNE", "i", "SAMPLE", 16),
        ("VTUNE", "i", "SAMPLE", 0),
        ("VRECALL", "i", "VEC", vector(), "TOP", 5, "WITHTRACE"),
        ("VRECALL", "i", "KEY", "k3"),
        ("VRECALL", "i", "KEY", "k2"),
        ("VENERGY", "i", vector()),
        ("VDIAG", "i", "SAMPLE", 16),
        ("VMADD", "i", *items(range(50, 80))),
        ("VSEARCH", "i", vector(), 5, "EF", 100),
        ("VSEARCH", "i", vector(), 0),
        ("VINFO", "i"),
        ("VLIST",),
        ("TYPE", "i"),
        ("VPRIMITIVES",),
        ("VINFO", "none"),
        ("DEL", "s"),
        ("VDROP", "i"),
        ("VSEARCH", "i", vector(), 5),
        ("VNEW", "i", 2),
        ("VADD", "i", "k", EAST),
        ("VSEARCH", "i", EAST, 5),
        ("FLUSHALL",),
        ("VLIST",),
    ]


def comparable(raw):
    """Without what differs from one index to the next of the same content."""
    return re.sub(rb"(vset-uid|memory-bytes|index-bytes|bytes-per-item)\r\n:\d+", rb"\1", raw)


def test_steps_answer_as_the_commands_do_outside(start, protocol):
    server = start("--workers", 1)  # several build a graph in another order each time
    with server.wire(protocol) as wire:
        described = wire.call("VPRIMITIVES")
        if protocol == 2:
            described = [dict(zip(entry[::2], entry[1::2])) for entry in described]
        for primitive in (entry["name"].decode() for entry in described):
            commands = script(primitive)
            outside = [wire.call_raw(*command) for command in commands]
            assert wire.call("MULTI") == "OK"
            assert {wire.call(*command) for command in commands} == {"QUEUED"}
            inside = comparable(wire.call_raw("EXEC"))
            parts = [b"*%d\r\n" % len(commands), *map(comparable, outside)]
            at = 0
            for command, part in zip([("EXEC",), *commands], parts):
                assert inside[at : at + len(part)] == part, f"{primitive}: {command[0]}"
                at += len(part)
            assert at == len(inside)


class RandomWork:
    """Draws commands over few indexes and keys, right and wrong ones."""

    def __init__(self, seed, primitives):
        self.rng = random.Random(seed)
        self.primitives = primitives

    def next(self):
        index, key, vector = f"i{self.rng.randrange(3)}", self._key(), self._vector()
        few = [
            ("VNEW", index, DIM, "METRIC", self.rng.choice(["l2", "cosine", "dot"]), "PRIMITIVE", self.rng.choice(self.primitives)),
            ("VDROP", index), ("DEL", index), ("FLUSHALL",), ("SET", index, "text"), ("EXPIRE", index, -1),
            ("VADD", index, key, vector[4:]), ("VLIST",), ("TYPE", index), ("DBSIZE",), ("INCR", "n"), ("GET", index),
        ]  # fmt: skip
        many = [part for _ in range(self.rng.randint(1, 20)) for part in (self._key(), self._vector())]
        often = [
            ("VADD", index, key, vector), ("VMADD", index, *many), ("VDEL", index, key), ("VGET", index, key),
            ("VSEARCH", index, vector, self.rng.randint(1, 9)), ("VMSEARCH", index, 3, vector, self._vector()),
        ]  # fmt: skip
        return self.rng.choice(few if self.rng.random() < 0.15 else often)

    def _key(self):
        return f"k{self.rng.randrange(40)}"

    def _vector(self):
        return pack(*(self.rng.gauss(0, 1) for _ in range(DIM)))


def test_random_steps_answer_as_the_commands_do_outside(start, capsys):
    """ENGRAM_TEST_SEED=<seed> repeats a run."""
    seed = int(os.environ.get("ENGRAM_TEST_SEED", random.SystemRandom().getrandbits(32)))
    with capsys.disabled():
        print(f"ENGRAM_TEST_SEED={seed}", flush=True)
    with start("--workers", 1).wire() as outside, start("--workers", 1).wire() as inside:
        names = [entry[1].decode() for entry in outside.call("VPRIMITIVES")]
        work = RandomWork(seed, names)
        for number in range(50 if live.SANITIZED else 250):
            commands = [work.next() for _ in range(work.rng.randint(1, 30))]
            replies = [outside.call_raw(*command) for command in commands]
            inside.send_bytes(packet("MULTI", *commands, "EXEC"))
            receive(inside, ["+OK", *[QUEUED] * len(commands), f"*{len(commands)}"], 2)
            for command, reply in zip(commands, replies):
                assert inside.read_raw() == reply, f"seed {seed}, transaction {number}: {command[:2]}"


def test_each_step_sees_those_before_it(a, protocol):
    def hit(key, distance):
        number = b",%s\r\n" if protocol == 3 else b"$1\r\n%s\r\n"
        return b"*2\r\n$%d\r\n%s\r\n%s" % (len(key), key, number % distance)

    a.queue(
        "VNEW i 2 PRIMITIVE flat METRIC l2",
        ("VADD", "i", "k", EAST), ("VSEARCH", "i", WEST, 5), ("VADD", "i", "k", WEST), ("VSEARCH", "i", WEST, 5),
        ("VDEL", "i", "k"), ("VSEARCH", "i", WEST, 5), ("VMADD", "i", "a", NORTH, "b", EAST), ("VDEL", "i", "a"),
        ("VSEARCH", "i", EAST, 5), "VDROP i", "EXISTS i",
    )  # fmt: skip
    raw = a.wire.call_raw("EXEC")
    assert raw == (
        b"*12\r\n+OK\r\n:1\r\n" + hit(b"k", b"2") + b":0\r\n" + hit(b"k", b"0") + b":1\r\n*0\r\n:2\r\n:1\r\n"
        + hit(b"b", b"0") + b"+OK\r\n:0\r\n"
    )  # fmt: skip


def test_a_step_that_fails_does_not_stop_those_after_it(a, b, index):
    a.queue(
        ("VADD", index, "west", WEST), ("VADD", index, "k", pack(1)), ("VADD", "none", "k", EAST), "INCR n",
        ("VSEARCH", index, pack(1), 3), ("VDEL", index, "east"), "VDROP none", ("VMADD", index, "a", EAST, "b", pack(1)),
        ("VADD", index, "last", EAST),
    )  # fmt: skip
    a("EXEC", [
        1, WRONG_DIM, NO_INDEX.format("none"), 1, WRONG_DIM, 1, GONE.format("none"), WRONG_DIM, 1,
    ])  # fmt: skip
    assert sorted(b.ask(("VSEARCH", index, EAST, 9))[::2]) == [b"last", b"north", b"west"]


def test_what_cannot_be_queued_discards_vector_work_too(a, b, index):
    for wrong, complaint in [
        ("VADD index k", "-ERR wrong number of arguments for 'VADD' command"),
        ("VSAVE", NOT_ALLOWED),
        ("VNOSUCH", "-ERR unknown command 'VNOSUCH', with args beginning with: "),
    ]:
        a.queue(("VADD", index, "west", WEST))
        a(wrong, complaint)
        a(("VDEL", index, "east"), QUEUED)
        a("EXEC", DISCARDED)
    a.queue(("VDEL", index, "east"))
    a("DISCARD", "+OK")
    b(("VGET", index, "east"), EAST)
    b(("VGET", index, "west"), None)
    assert "no_multi" in a.ask("COMMAND INFO VSAVE")[0][2]


def test_a_switch_of_the_protocol_reaches_the_distances(a, index):
    a("MULTI", "+OK")
    for command in ("HELLO 2", ("VSEARCH", index, EAST, 1), "HELLO 3", ("VSEARCH", index, EAST, 1)):
        a(command, QUEUED)
    raw = a.wire.call_raw("EXEC")
    assert b"*2\r\n$4\r\neast\r\n$1\r\n0\r\n%" in raw
    assert raw.endswith(b"*2\r\n$4\r\neast\r\n,0\r\n")


def test_replies_of_vector_work_may_be_off(a, index):
    a.wire.send("CLIENT", "REPLY", "OFF")
    for command in (("MULTI",), ("VADD", index, "west", WEST), ("VSEARCH", index, WEST, 1), ("EXEC",)):
        a.wire.send(*command)
    a("CLIENT REPLY ON", "+OK")
    a(("VGET", index, "west"), WEST)


def test_a_skip_amid_vector_work_concerns_what_follows_the_transaction(server, protocol, index):
    with server.wire(protocol) as wire:
        wire.send_bytes(
            packet(
                "MULTI", ("VADD", index, "west", WEST), "CLIENT REPLY SKIP", ("VADD", index, "west", WEST), "EXEC",
                "PING skipped", "PING x",
            )  # fmt: skip
        )
        receive(wire, ["+OK", *[QUEUED] * 3, "*3", 1, 0, b"x"], protocol)


def test_packets_may_hold_many_transactions_or_parts_of_one(a, index):
    def rounds(numbers):
        commands, replies = [], []
        for number in numbers:
            vector = pack(number, number)
            commands += [
                ("MULTI",), ("VADD", index, "k", vector), ("INCR", "n"), ("VGET", index, "k"), ("EXEC",),
                ("VGET", index, "k"), ("GET", "n"), ("VDEL", index, "k"),
            ]  # fmt: skip
            replies += ["+OK", *[QUEUED] * 3, [1, number, vector], vector, b"%d" % number, 1]
        return packet(*commands), replies

    data, replies = rounds(range(1, 101))
    a.wire.send_bytes(data)
    a.expect(*replies)
    data, replies = rounds(range(101, 104))
    for byte in data:
        a.wire.send_bytes(bytes([byte]))
    a.expect(*replies)


def test_reset_after_exec_waits_for_the_vector_work(a, b, index):
    commands = [("MULTI",), ("VADD", index, "west", WEST), ("EXEC",), ("RESET",), ("VGET", index, "west")]
    a.wire.send_bytes(packet(*commands))
    a.expect("+OK", QUEUED, [1], "+RESET", WEST)


def test_quit_after_exec_waits_for_the_vector_work(a, b, index):
    commands = [("MULTI",), ("VADD", index, "west", WEST), ("EXEC",), ("QUIT",), ("VDEL", index, "west")]
    a.wire.send_bytes(packet(*commands))
    a.expect("+OK", QUEUED, [1], "+OK")
    assert a.wire.is_closed()
    b(("VGET", index, "west"), WEST)


# ---- WATCH

TOUCHING = {
    "adding": ("VADD", "index", "k", WEST),
    "overwriting": ("VADD", "index", "east", WEST),
    "adding several": ("VMADD", "index", "k", WEST, "east", NORTH),
    "deleting a vector": ("VDEL", "index", "east"),
    "tuning": ("VTUNE", "index", "SAMPLE", 2),
    "dropping": ("VDROP", "index"),
    "deleting": ("DEL", "index"),
    "an expiry": ("EXPIRE", "index", 100),
    "emptying": ("FLUSHALL",),
}
NOT_TOUCHING = {
    "searching": ("VSEARCH", "index", EAST, 2),
    "reading": ("VGET", "index", "east"),
    "recalling": ("VRECALL", "index", "VEC", EAST),
    "surveying": ("VDIAG", "index", "SAMPLE", 2),
    "describing": ("VINFO", "index"),
    "deleting what is not there": ("VDEL", "index", "none"),
    "a vector of another dimension": ("VADD", "index", "k", pack(1)),
    "making it again": ("VNEW", "index", 2),
    "the wrong type": ("APPEND", "index", "x"),
    "another index": ("VNEW", "another", 2),
}


@pytest.mark.parametrize("what", TOUCHING)
def test_a_change_of_a_watched_index_prevents_exec(a, b, index, what):
    a(("WATCH", index), "+OK")
    assert not isinstance(b.ask(TOUCHING[what]), ErrorReply)
    a.queue("SET x 1")
    a("EXEC", ABORTED)
    a("EXISTS x", 0)
    a.queue("SET x 1")
    a("EXEC", ["+OK"])


@pytest.mark.parametrize("what", NOT_TOUCHING)
def test_what_leaves_an_index_as_it_is_prevents_nothing(a, b, index, what):
    a(("WATCH", index), "+OK")
    b.ask(NOT_TOUCHING[what])
    a.queue("SET x 1")
    a("EXEC", ["+OK"])


def test_a_watched_index_that_is_made_is_changed(a, b):
    a("WATCH index", "+OK")
    b("VNEW index 2", "+OK")
    a.queue("PING")
    a("EXEC", ABORTED)


def test_a_vector_added_by_a_transaction_is_a_change(a, b, index):
    a(("WATCH", index), "+OK")
    b.queue(("VADD", index, "west", WEST))
    b("EXEC", [1])
    a.queue(("VDEL", index, "east"))
    a("EXEC", ABORTED)
    a(("VGET", index, "east"), EAST)


# ---- redis-py


def test_redis_py_pipelines_are_transactions_by_default(server):
    client = server.redis()
    pipeline = client.pipeline()
    pipeline.execute_command("VNEW", "index", 2, "PRIMITIVE", "flat")
    pipeline.execute_command("VMADD", "index", "east", EAST, "north", NORTH)
    pipeline.set("text", "x").incr("n").get("text")
    pipeline.execute_command("VSEARCH", "index", EAST, 1)
    assert pipeline.execute() == [b"OK", 2, True, 1, b"x", [b"east", b"0"]]
    pipeline.incr("text").execute_command("VADD", "index", "west", WEST)
    error, added = pipeline.execute(raise_on_error=False)
    assert isinstance(error, redis.ResponseError) and added == 1
    pipeline.set("text", "y").execute_command("VADD", "index", "k")
    with pytest.raises(redis.ResponseError, match="wrong number of arguments"):
        pipeline.execute()
    assert client.get("text") == b"x"


def test_redis_py_notices_that_what_it_watches_was_changed(server):
    client, other = server.redis(), server.redis()
    client.execute_command("VNEW", "index", 2)
    with client.pipeline() as pipeline:
        pipeline.watch("index", "n")
        other.execute_command("VADD", "index", "k", EAST)
        pipeline.multi()
        pipeline.incr("n")
        with pytest.raises(redis.WatchError):
            pipeline.execute()
    assert client.get("n") is None


def test_redis_py_retries_until_a_transaction_succeeds(server):
    client = server.redis()
    client.execute_command("VNEW", "index", 2, "PRIMITIVE", "flat", "METRIC", "l2")
    clients, rounds = 4, 15

    def append():
        own = server.redis()

        def step(pipeline):
            number = int(pipeline.get("n") or 0)
            pipeline.multi()
            pipeline.set("n", number + 1)
            pipeline.execute_command("VADD", "index", number, pack(number, 0))

        for _ in range(rounds):
            assert own.transaction(step, "n") == [True, 1]

    run_all(*[append] * clients)
    assert client.get("n") == b"%d" % (clients * rounds)
    found = client.execute_command("VSEARCH", "index", pack(0, 0), 1000)
    assert found[::2] == [b"%d" % number for number in range(clients * rounds)]
