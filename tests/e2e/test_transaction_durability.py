# SPDX-License-Identifier: Apache-2.0
"""What transactions leave in the journal, and what bounds them."""

import os
import select
import signal

import numpy as np
import pytest

import live
from transactions import DISCARDED, EAST, NO_MULTI, NORTH, NULL_ARRAY, QUEUED, WEST, Caller
from wire import Closed, ErrorReply

SAMPLE = 100 if live.SANITIZED else 700


def persistence(wire):
    text = wire.call("INFO", "persistence").decode()
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


def test_a_transaction_is_one_frame_of_the_journal(start, reopen):
    server = start("--fsync", "always")
    caller = Caller(server, 2)
    caller.queue(
        "SET x 1", "VNEW index 2", ("VMADD", "index", "east", EAST, "north", NORTH), ("VDEL", "index", "north"),
        "INCR x", ("VADD", "index", "west", WEST), "VTUNE index SAMPLE 2", "SET gone 1 EX 100", "DEL x", "SET y 1 EX 100",
    )  # fmt: skip
    reply = caller.ask("EXEC")
    assert not any(isinstance(part, ErrorReply) for part in reply), reply
    server.process.kill()
    server.wait()
    again = reopen(server)
    with again.wire() as wire:
        assert persistence(wire)["journal_replayed_frames"] == "1"
        assert wire.call("MGET", "x", "y") == [None, b"1"]
        assert [wire.call("VGET", "index", key) for key in ("east", "north", "west")] == [EAST, None, WEST]
        assert 90 < wire.call("TTL", "y") <= 100


def test_a_transaction_that_writes_nothing_leaves_no_frame(start, reopen):
    server = start("--fsync", "always")
    caller = Caller(server, 2)
    caller.queue("GET x", "VINFO none", "DEL x", "SET x 1 XX")
    caller("EXEC", [None, NULL_ARRAY, 0, None])
    caller("SET y 1", "+OK")
    server.process.kill()
    server.wait()
    with reopen(server).wire() as wire:
        assert persistence(wire)["journal_replayed_frames"] == "1"


@pytest.fixture
def working(start):
    """A server amid a transaction that takes seconds, and the client that waits for its answer."""
    server = start("--fsync", "always")
    caller = Caller(server, 2)
    vectors = np.random.default_rng(7).normal(size=(4096, 32)).astype("<f4")
    items = [part for key, row in enumerate(vectors) for part in (key, row.tobytes())]
    caller("VNEW busy 32 METRIC l2 PRIMITIVE flat", "+OK")
    caller(("VMADD", "busy", *items), 4096)
    caller.queue(
        "SET first 1", "VNEW made 2", ("VADD", "made", "east", EAST), ("VDEL", "busy", 0),
        *[("VTUNE", "busy", "SAMPLE", SAMPLE, "SEED", seed) for seed in range(4)], ("VADD", "made", "west", WEST), "SET last 1",
    )  # fmt: skip
    caller.wire.send("EXEC")
    with server.wire() as other:
        live.wait_until(lambda: other.call("GET", "none") is None, "it answers")
    yield server, caller
    caller.wire.socket.close()


def executed(server):
    """Whether the transaction of `working` was; it must not be in part."""
    with server.wire() as wire:
        there = [
            *(value is not None for value in wire.call("MGET", "first", "last")), wire.call("EXISTS", "made") == 1,
            wire.call("VGET", "made", "east") == EAST, wire.call("VGET", "made", "west") == WEST,
            wire.call("VGET", "busy", 0) is None,
        ]  # fmt: skip
    assert len(set(there)) == 1, f"a part of it is there: {there}"
    return there[0]


def test_a_server_that_dies_amid_a_transaction_has_nothing_of_it(working, reopen):
    server, caller = working
    assert not select.select([caller.wire.socket], [], [], 0.2)[0], "it has ended too early for this test"
    server.process.kill()
    server.wait()
    assert not executed(reopen(server))


@pytest.mark.parametrize("save, moment", [("VSAVE", "amid"), ("BGSAVE", "amid"), ("BGSAVE", "afterwards")])
def test_a_snapshot_amid_a_transaction_has_all_of_it_or_nothing(working, reopen, save, moment):
    server, caller = working
    with server.wire() as saver:
        saver.send(*save.split())
        if moment == "amid":
            select.select([caller.wire.socket, saver.socket], [], [])
        else:
            assert caller.wire.read()[-1] == "OK"
            saver.read()
        answered = moment == "afterwards" or bool(select.select([caller.wire.socket], [], [], 0)[0])
        server.process.kill()
        server.wait()
    checked = live.run_engram("check", server.folder)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert executed(reopen(server)) or not answered


def test_a_server_that_is_told_to_end_amid_a_transaction_has_all_of_it_or_nothing(working, reopen):
    server, caller = working
    server.send_signal(signal.SIGTERM)
    assert server.wait() == 0
    executed(reopen(server))


def test_transactions_need_no_journal(start):
    caller = Caller(start("--appendonly", "no"), 2)
    caller.queue("SET x 1", "VNEW index 2", ("VADD", "index", "east", EAST), ("VGET", "index", "east"))
    caller("EXEC", ["+OK", "+OK", 1, EAST])


def test_a_queue_is_bounded_by_the_limit_of_a_query(server):
    other = Caller(server, 2)
    other("CONFIG SET client-query-buffer-limit 1048576", "+OK")
    before = server.resident_bytes()
    with server.wire() as wire:
        assert wire.call("MULTI") == "OK"
        replies = ["QUEUED"]
        while replies[-1] == "QUEUED" and len(replies) < 20:
            replies.append(wire.call("SET", len(replies), b"x" * 100_000))
        assert replies[-1] == "ERR the transaction exceeds client-query-buffer-limit, it is discarded"
        assert wire.is_closed()
    assert 5 <= len(replies) <= 12
    other("DBSIZE", 0)
    assert server.resident_bytes() - before < 20 << 20
    other("CONFIG SET client-query-buffer-limit 1gb", "+OK")


def test_many_watched_keys_cost_little(server):
    caller = Caller(server, 2)
    keys = [f"key {number}" for number in range(100_000)]
    caller(("WATCH", *keys), "+OK")
    caller(("WATCH", *keys), "+OK")
    caller.queue("PING")
    caller("EXEC", ["+PONG"])
    caller(("WATCH", *keys), "+OK")
    caller("FLUSHALL", "+OK")
    caller.queue("PING")
    caller("EXEC", ["+PONG"])


def test_a_journal_that_fails_discards_transactions_that_write(tmp_path):
    server = live.SmallDisk(tmp_path / "server")
    try:
        open_before, reading, other = (Caller(server, 2) for _ in range(3))
        other("VNEW index 2", "+OK")
        open_before.queue("GET x", ("VADD", "index", "east", EAST), "SET y 1")
        reading.queue("GET x", ("VGET", "index", "east"))
        server.limit(os.path.getsize(next(server.folder.glob("journal-*.log"))))
        misconf = other.ask(("SET", "in doubt", b"x" * 10_000))
        assert isinstance(misconf, ErrorReply) and misconf.startswith("MISCONF ")
        assert open_before.ask("EXEC") == f"EXECABORT Transaction discarded because of: {misconf}"
        open_before("EXEC", NO_MULTI)
        reading("EXEC", [None, None])
        other.queue("GET x")
        assert other.ask("SET y 1") == misconf
        other("GET y", QUEUED)
        other("EXEC", DISCARDED)
        other("MGET x y", [None, None])
        other.queue("GET x", ("VGET", "index", "east"))
        other("EXEC", [None, None])
    finally:
        server.process.kill()
        server.wait()


def test_a_transaction_that_cannot_be_written_is_not_acknowledged(tmp_path, reopen):
    """It fills the journal: nothing of it may be there after a restart, unless all is."""
    server = live.SmallDisk(tmp_path / "server")
    caller = Caller(server, 2)
    caller("VNEW index 2", "+OK")
    server.limit(os.path.getsize(next(server.folder.glob("journal-*.log"))) + 15_000)
    values = [("SET", f"k{number}", b"x" * 1_000) for number in range(20)]
    caller.queue(*values, ("VADD", "index", "east", EAST), "SET last 1")
    reply = caller.ask("EXEC")
    assert "MISCONF " in str(reply)
    server.process.kill()
    server.wait()
    with reopen(server).wire() as wire:
        assert wire.call("DBSIZE") == 1
        assert wire.call("VGET", "index", "east") is None
