# SPDX-License-Identifier: Apache-2.0
"""Transactions with vector work beside other clients: their reads go on, their writes wait."""

import select

import numpy as np
import pytest

import live
from transactions import (  # noqa: F401: the fixtures
    ABORTED,
    EAST,
    QUEUED,
    Caller,
    a,
    b,
    connect,
    pack,
    packet,
    run_all,
)

SAMPLE = 100 if live.SANITIZED else 700
ITEMS = 300 if live.SANITIZED else 3000


@pytest.fixture
def protocol():
    return 2


@pytest.fixture
def busy(b):
    """Commands that keep a worker busy for a good while."""
    b("VNEW busy 32 METRIC l2 PRIMITIVE flat", "+OK")
    vectors = np.random.default_rng(6).normal(size=(4096, 32)).astype("<f4")
    b(("VMADD", "busy", *(part for key, row in enumerate(vectors) for part in (key, row.tobytes()))), 4096)
    return [("VTUNE", "busy", "SAMPLE", SAMPLE, "SEED", seed) for seed in range(3)]


def is_readable(caller):
    return bool(select.select([caller.wire.socket], [], [], 0)[0])


def read_while_it_runs(reader, running, rounds=5):
    """Reads are answered while the transaction of `running` is not."""
    for _ in range(rounds):
        reader.ask("GET n")
        assert reader.ask(("VSEARCH", "busy", pack(*[0.0] * 32), 1))[0] is not None
        assert not is_readable(running), "the transaction has ended already, or reads waited for it"


def test_reads_go_on_and_writes_wait_while_a_transaction_works(connect, a, b, busy):
    writer, adder = connect(), connect()
    a.queue("INCR n", *busy, "INCR n")
    a.wire.send("EXEC")
    read_while_it_runs(b, a)
    writer.wire.send_bytes(packet("INCR n", "GET n"))
    adder.wire.send("VADD", "busy", "new", pack(*[9.0] * 32))
    read_while_it_runs(b, a)
    assert not is_readable(writer) and not is_readable(adder)
    first, *_, last = a.wire.read()
    assert (first, last) == (1, 2)
    writer.expect(3, b"3")
    adder.expect(1)


def test_a_survey_that_was_begun_before_changes_its_index_only_afterwards(connect, a, b, busy):
    """VTUNE is a write whose change comes when all has been computed."""
    tuner = connect()
    tuner.wire.send(*busy[0])
    a.queue("INCR n", *busy, "INCR n")
    a.wire.send("EXEC")
    read_while_it_runs(b, a)
    tuner.wire.read()
    assert select.select([a.wire.socket], [], [], 0.2)[0], "it was answered amid the transaction"


@pytest.fixture
def slow(b):
    """A command that takes a good while and overwrites the last vector of an index at its end."""
    b("VNEW slow 32 PRIMITIVE hnsw METRIC l2", "+OK")
    b(("VADD", "slow", "last", OLD), 1)
    vectors = np.random.default_rng(8).normal(size=(ITEMS, 32)).astype("<f4")
    items = [part for key, row in enumerate(vectors) for part in (key, row.tobytes())]
    return ("VMADD", "slow", *items, "last", NEW)


OLD, NEW, MINE = (pack(*[number] * 32) for number in (1.0, 2.0, 3.0))


def test_a_write_that_was_begun_before_does_not_end_between_two_steps(connect, a, b, busy, slow):
    writer = connect()
    writer.wire.send(*slow)
    a.queue("VGET slow last", *busy, "VGET slow last")
    before, *_, after = a.ask("EXEC")
    writer.expect(ITEMS)
    assert before == after


def test_a_write_that_is_on_its_way_is_not_lost_under_watch(connect, a, b, slow):
    """Either the transaction follows it and knows its value, or it follows the transaction."""
    writer = connect()
    writer.wire.send(*slow)
    a("WATCH slow", "+OK")
    seen = a.ask("VGET slow last")
    a.queue(("VADD", "slow", "last", MINE))
    done = a.ask("EXEC")
    writer.expect(ITEMS)
    b("VGET slow last", MINE if done and seen == NEW else NEW)


def test_a_watch_begins_after_the_writes_before_it(a, b, slow):
    """Those of the same client that are not answered yet, too."""
    a.wire.send_bytes(packet(slow, "WATCH slow", "MULTI", "VGET slow last", "EXEC"))
    a.expect(ITEMS, "+OK", "+OK", QUEUED, [NEW])


def test_a_watched_key_is_looked_at_when_the_turn_has_come(connect, a, b, busy):
    b("WATCH n", "+OK")
    b.queue("SET n 5")
    a.queue(*busy, "INCR n")
    a.wire.send("EXEC")
    read_while_it_runs(connect(), a)
    b("EXEC", ABORTED)
    assert a.wire.read()[-1] == 1
    b("GET n", b"1")


def test_a_transaction_is_finished_when_its_client_has_left(connect, a, b, busy):
    a.queue("SET n 1", *busy, "SET n 2", ("VADD", "busy", "new", pack(*[9.0] * 32)))
    a.wire.send("EXEC")
    read_while_it_runs(b, a)
    a.wire.socket.close()
    b("INCR n", 3)
    b(("VGET", "busy", "new"), pack(*[9.0] * 32))
    other = connect()
    number = other.ask("CLIENT ID")
    other.queue("SET n 5", *busy, "SET n 6")
    other.wire.send("EXEC")
    read_while_it_runs(b, other)
    b(f"CLIENT KILL ID {number}", 1)
    b("INCR n", 7)


def test_writers_that_wait_may_leave(connect, a, b, busy):
    leaving = connect()
    a.queue("SET n 1", *busy, "GET n")
    a.wire.send("EXEC")
    read_while_it_runs(b, a)
    leaving.wire.send("SET", "n", 2)
    read_while_it_runs(b, a)
    leaving.wire.socket.close()
    assert a.wire.read()[-1] == b"1"
    assert b.ask("GET n") in (b"1", b"2")
    b("SET n 3", "+OK")


def test_many_writers_wait_for_their_turn(connect, a, b, busy):
    writers, rounds = [connect() for _ in range(50)], 40
    a.queue("INCR n", *busy, "INCR n")
    a.wire.send("EXEC")
    read_while_it_runs(b, a)
    for number, writer in enumerate(writers):
        one = ("INCR n", ("VGET", "busy", number), "PING", "GET n")
        other = ("MULTI", "INCR n", ("VADD", "busy", number, pack(*[1.0] * 32)), "EXEC")
        writer.wire.send_bytes(packet(*one, *other) * rounds)
    read_while_it_runs(b, a)
    assert not any(map(is_readable, writers))
    last = 2
    assert a.wire.read()[-1] == last
    for writer in writers:
        for _ in range(rounds):
            first = writer.wire.read()
            assert len(writer.wire.read()) == 4 * 32
            writer.expect("+PONG")
            assert int(writer.wire.read()) >= first
            writer.expect("+OK", QUEUED, QUEUED)
            second, added = writer.wire.read()
            assert added == 0 and first < second
            last = max(last, second)
    assert last == 2 + 2 * rounds * len(writers)


def test_a_client_that_does_not_read_its_answer_holds_nobody_up(connect, a, b, busy):
    value = b"x" * 500_000
    b(("SET", "large", value), "+OK")
    count = 100
    a.queue(busy[0], *["GET large"] * count, busy[0], "INCR n")
    a.wire.send("EXEC")
    read_while_it_runs(b, a, rounds=2)
    b("INCR n", 2)
    connect()("SET n 7", "+OK")
    reply = a.wire.read()
    assert reply[1 : 1 + count] == [value] * count and reply[-1] == 1


def test_a_transaction_may_have_very_many_steps(a, b):
    b("VNEW index 2 PRIMITIVE flat METRIC l2", "+OK")
    steps = 2_000 if live.SANITIZED else 20_000
    commands = [
        command
        for number in range(steps // 4)
        for command in (
            ("VADD", "index", number % 100, pack(number, 0)),
            ("INCR", "n"),
            ("VSEARCH", "index", pack(number, 0), 1),
            ("GET", "none"),
        )
    ]
    a("MULTI", "+OK")
    a.wire.send_bytes(packet(*commands))
    a.expect(*[QUEUED] * steps)
    reply = a.ask("EXEC")
    assert len(reply) == steps
    assert reply[1::4] == list(range(1, steps // 4 + 1))
    assert [hit[0] for hit in reply[2::4]] == [b"%d" % (number % 100) for number in range(steps // 4)]


def test_counting_beside_vector_work_loses_nothing(server, protocol):
    clients, rounds = 8, 15
    with server.wire() as wire:
        assert wire.call("VNEW", "index", 2, "PRIMITIVE", "hnsw", "METRIC", "l2") == "OK"

    def count(me):
        caller = Caller(server, protocol)
        done = 0
        while done < rounds:
            caller("WATCH n", "+OK")
            number = int(caller.ask("GET n") or 0)
            caller.queue(
                ("VADD", "index", number, pack(me, number)), f"SET n {number + 1}",
                ("VSEARCH", "index", pack(me, number), 1),
            )  # fmt: skip
            reply = caller.ask("EXEC")
            if reply is not None:
                added, answer, (nearest, _) = reply
                assert (added, answer, nearest) == (1, "OK", b"%d" % number)
                done += 1
        caller.wire.socket.close()

    run_all(*(lambda me=me: count(me) for me in range(clients)))
    total = clients * rounds
    with server.wire() as wire:
        assert wire.call("GET", "n") == b"%d" % total
        found = wire.call("VSEARCH", "index", pack(0, 0), 10 * total, "EF", 10 * total)
        assert sorted(map(int, found[::2])) == list(range(total))


def test_transactions_with_vector_work_take_turns(server, protocol):
    """Each writes its own name over all keys and vectors of a group, then looks at what is there."""
    with server.wire() as wire:
        assert wire.call("VNEW", "index", 2, "PRIMITIVE", "hnsw", "METRIC", "l2") == "OK"

    def overwrite(me):
        caller = Caller(server, protocol)
        name, vector = b"%d" % me, pack(me, me)
        for _ in range(20):
            caller.queue(
                ("SET", "x", name), ("VADD", "index", "p", vector), ("VADD", "index", "q", vector), ("SET", "y", name),
                ("GET", "x"), ("VGET", "index", "p"), ("VGET", "index", "q"), ("GET", "y"),
            )  # fmt: skip
            assert caller.ask("EXEC")[4:] == [name, vector, vector, name]
        caller.wire.socket.close()

    run_all(*(lambda me=me: overwrite(me) for me in range(1, 7)))
