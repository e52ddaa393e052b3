# SPDX-License-Identifier: Apache-2.0
"""What has become weak is forgotten: when it is asked for, or in the background."""

import signal
import socket
import time

import pytest

import live
from strengths import HOUR_MS, as_map, fill_line, make, pack, rows, stat, until, wire  # noqa: F401: the fixture
from wire import ErrorReply


# --- VFORGET --------------------------------------------------------------------------------------


def forgotten(reply):
    return [key.decode() for key in reply]


@pytest.mark.parametrize("primitive", ["flat", "hnsw", "hopfield", "lsr"])
def test_what_has_become_weak_is_forgotten(wire, primitive):
    make(wire, "DECAY", "exp", HOUR_MS, "CLOCK", "logical", primitive=primitive)
    fill_line(wire)
    now = 7 * HOUR_MS  # the strength of key n is 2^(n - 7)
    assert forgotten(wire.call("VFORGET", "i", "BELOW", 0.07, "DRYRUN")) == ["0", "1", "2", "3"]
    assert forgotten(wire.call("VFORGET", "i", "DRYRUN", "LIMIT", 2, "BELOW", 0.07)) == ["0", "1"]
    wire.call("VTOUCH", "i", 1, "AT", now)
    assert forgotten(wire.call("VFORGET", "i", "BELOW", 0.07)) == ["0", "2", "3"]
    assert wire.call("VFORGET", "i", "BELOW", 0.07) == []
    assert wire.call("VGET", "i", 2) is None and wire.call("VGET", "i", 1) is not None
    assert sorted(row[0] for row in rows(wire.call("VSEARCH", "i", pack(0, 0), 9), 2)) == ["1", "4", "5", "6", "7"]
    # An hour later one more is below; half of all at a far time, the weakest first, equal ones by key.
    assert forgotten(wire.call("VFORGET", "i", "BELOW", 0.07, "AT", 8 * HOUR_MS, "DRYRUN")) == ["4"]
    wire.call("VADD", "i", "b", pack(1, 1), "AT", 7 * HOUR_MS)
    wire.call("VADD", "i", "a", pack(1, 1), "AT", 7 * HOUR_MS)
    assert forgotten(wire.call("VFORGET", "i", "BELOW", "inf", "AT", 20 * HOUR_MS)) == ["4", "5", "6", "7", "a", "b", "1"]
    assert wire.call("VSEARCH", "i", pack(0, 0), 9) == []


@pytest.mark.parametrize("decay", [["static"], ["exp", 1000], ["power", 1], ["ebb", 1000]])
def test_what_is_pinned_is_never_forgotten(wire, decay):
    make(wire, "DECAY", *decay)
    at = [] if decay == ["static"] else ["AT", 2**50]
    for key, words in (("a", []), ("b", ["PIN"]), ("c", ["HALFLIFE", 10] if "exp" in decay else []), ("d", [])):
        wire.call("VADD", "i", key, pack(1, 0), *words)
    wire.call("VADD", "i", "d", pack(1, 0), "KEEPSTRENGTH", "PIN")
    assert sorted(forgotten(wire.call("VFORGET", "i", "BELOW", "inf", *at))) == ["a", "c"]
    assert wire.call("VFORGET", "i", "BELOW", "inf", *at) == []


def test_forgetting_is_a_step_of_a_transaction(wire):
    make(wire, "DECAY", "static", primitive="hnsw")
    wire.call("MULTI")
    for key in range(300):
        wire.call("VADD", "i", key, pack(key, 0), "STRENGTH", 1 + key % 3)
    wire.call("VFORGET", "i", "BELOW", 2, "DRYRUN")
    wire.call("VFORGET", "i", "BELOW", 2)
    wire.call("VADD", "i", 0, pack(0, 0))
    wire.call("VFORGET", "i", "BELOW", 3, "LIMIT", 2)
    *_, predicted, weak, added, more = wire.call("EXEC")
    expected = sorted(str(key) for key in range(300) if key % 3 == 0)
    assert forgotten(weak) == forgotten(predicted) == expected
    assert added == 1 and forgotten(more) == ["0", "1"]


def test_what_is_wrong_with_forgetting_is_said(wire):
    make(wire, "DECAY", "static")
    make(wire, index="plain")
    below = "BELOW must be a number above 0"
    for command, error in [
        (["VFORGET", "i", "LIMIT", 5], "BELOW is missing: the strength from which on items are kept"),
        (["VFORGET", "i", "BELOW", 0], f"{below}, got 0"),
        (["VFORGET", "i", "BELOW", "nan"], f"{below}, got nan"),
        (["VFORGET", "i", "BELOW", "x"], f"{below}, got 'x'"),
        (["VFORGET", "i", "BELOW", 1, "LIMIT", 0], "LIMIT must be an integer in 1..268435456, got '0'"),
        (["VFORGET", "i", "BELOW", 1, "PIN", 1], "unknown option 'PIN', known options are BELOW, AT, LIMIT, DRYRUN"),
        (["VFORGET", "i", "BELOW", 1, "AT", 1], "strengths of index 'i' do not change with time, so there is no AT"),
        (["VFORGET", "plain", "BELOW", 1], "index 'plain' keeps no strengths: VNEW with DECAY makes one that does"),
        (["VFORGET", "none", "BELOW", 1], "no such index 'none'"),
    ]:
        reply = wire.call(*command)
        assert isinstance(reply, ErrorReply) and str(reply) == f"ERR {error}", (command[:2], reply)


def test_forgetting_holds_nobody_up(wire, server):
    """While 60,000 are sought and erased, other clients are answered; writes wait only for the erasure."""
    make(wire, "DECAY", "static")
    count, batch = 60_000, 1000
    for first in range(0, count, batch):
        words = [word for key in range(first, first + batch) for word in (key, pack(key, 1))]
        wire.send("VMADD", "i", *words)
    for _ in range(0, count, batch):
        assert wire.read() == batch
    wire.call("VADD", "i", "kept", pack(1, 1), "STRENGTH", 3)
    wire.send("VFORGET", "i", "BELOW", 2)
    waits = []
    with server.wire() as other:
        wire.socket.setblocking(False)
        while True:
            begun = time.monotonic()
            assert other.call("PING") == "PONG"
            waits.append(time.monotonic() - begun)
            try:
                if wire.socket.recv(1, socket.MSG_PEEK):
                    break
            except BlockingIOError:
                pass
        wire.socket.setblocking(True)
        assert other.call("VADD", "i", "new", pack(2, 2)) == 1
    assert len(wire.read()) == count
    assert rows(wire.call("VSEARCH", "i", pack(0, 0), 9), 2)[0][0] == "kept"
    # The bound is that of a machine that is busy with other things; usually it is some milliseconds.
    assert (live.SANITIZED or max(waits) < 0.5) and len(waits) > 10, (max(waits), len(waits))


def test_a_crash_leaves_all_or_none_of_what_is_forgotten(start, reopen):
    server = start("--fsync", "always")
    with server.wire() as wire:
        make(wire, "DECAY", "exp", HOUR_MS, "CLOCK", "logical", primitive="hnsw")
        fill_line(wire, 40)
        assert len(wire.call("VFORGET", "i", "BELOW", 2**-30)) == 9
        keys = [key for key in range(40) if wire.call("VGET", "i", key) is not None]
        assert keys == list(range(9, 40))
    server.send_signal(signal.SIGKILL)
    server.wait()
    with reopen(server).wire() as wire:
        assert [key for key in range(40) if wire.call("VGET", "i", key) is not None] == keys
        assert wire.call("VFORGET", "i", "BELOW", 2**-30) == []


# --- In the background ----------------------------------------------------------------------------


@pytest.mark.parametrize("primitive", ["flat", "hnsw"])
def test_an_index_keeps_within_its_budget_by_the_clock_of_its_writes(wire, primitive):
    """An hour of logical time, a write a second: the budget holds but for what comes between two rounds."""
    every, budget = 20_000, 200
    before = stat(wire, "forgotten_items")
    make(wire, "DECAY", "exp", HOUR_MS, "CLOCK", "logical", "BUDGET", budget, "EVERY", every, primitive=primitive)
    for key in range(3600):
        assert wire.call("VADD", "i", key, pack(key, 1), "AT", key * 1000) == 1
        if key % 100 == 99:
            until(lambda: as_map(wire.call("VINFO", "i"))["forgetting"] == 0)
            assert as_map(wire.call("VINFO", "i"))["size"] <= budget + every // 1000 + 100
    until(lambda: as_map(wire.call("VINFO", "i"))["size"] <= budget + every // 1000)
    info = as_map(wire.call("VINFO", "i"))
    assert info["forgotten-items"] == 3600 - info["size"] and info["size"] >= budget
    # The latest are the strongest.
    assert wire.call("VGET", "i", 3599) is not None and wire.call("VGET", "i", 3000) is None
    assert stat(wire, "forgotten_items") == before + info["forgotten-items"]


def test_an_index_forgets_by_the_wall_while_nobody_asks(start, reopen):
    server = start("--fsync", "always")
    with server.wire() as wire:
        make(wire, "DECAY", "exp", 100, "FLOOR", 0.01, "EVERY", 50)
        make(wire, "DECAY", "static", "BUDGETBYTES", 5 * 9, "EVERY", 50, index="j")
        wire.call("VADD", "i", "pinned", pack(1, 0), "PIN")
        for key in range(9):
            wire.call("VADD", "i", key, pack(key, 0))
            wire.call("VADD", "j", key, pack(key, 0), "STRENGTH", key + 1)
        until(lambda: all(wire.call("VGET", "i", key) is None for key in range(9)))
        assert wire.call("VGET", "i", "pinned") is not None
        until(lambda: as_map(wire.call("VINFO", "j"))["size"] == 5)
        assert [wire.call("VGET", "j", key) is not None for key in range(9)] == [False] * 4 + [True] * 5
    server.send_signal(signal.SIGKILL)
    server.wait()
    with reopen(server).wire() as wire:
        info = as_map(wire.call("VINFO", "j"))
        assert (info["size"], info["budget-bytes"], info["forget-every-ms"]) == (5, 45, 50)
        wire.call("VADD", "j", "new", pack(1, 1), "STRENGTH", 100)
        until(lambda: as_map(wire.call("VINFO", "j"))["size"] == 5)
        assert wire.call("VGET", "j", 4) is None and wire.call("VGET", "j", "new") is not None


def test_nothing_is_forgotten_while_writes_are_paused(wire):
    make(wire, "DECAY", "static", "BUDGET", 1, "EVERY", 600)
    wire.call("VMADD", "i", *(word for key in range(9) for word in (key, pack(key, 0))))
    wire.call("CLIENT", "PAUSE", 60_000, "WRITE")
    time.sleep(0.8)
    assert as_map(wire.call("VINFO", "i"))["size"] == 9
    wire.call("CLIENT", "UNPAUSE")
    until(lambda: as_map(wire.call("VINFO", "i"))["size"] == 1)


def test_a_time_far_ahead_has_nothing_forgotten(wire):
    """By the wall's clock, what was stored just now is strong, whatever time another write had."""
    for index in ("i", "j"):
        make(wire, "DECAY", "exp", 24 * HOUR_MS, "FLOOR", 0.01, "EVERY", 20, index=index)
    for key in range(5):
        wire.call("VADD", "i", key, pack(key, 0))
    wire.call("VADD", "i", "ahead", pack(9, 0), "AT", 2**50)
    for key in range(3):  # each time a round has gone over both
        wire.call("VADD", "j", key, pack(key, 0), "STRENGTH", 0.001)
        until(lambda: wire.call("VGET", "j", key) is None)
    assert as_map(wire.call("VINFO", "i"))["size"] == 6


def test_of_what_is_weaker_than_numbers_are_the_oldest_goes_first(wire):
    """After 1,075 half-lives a strength is 0 in float64."""
    make(wire, "DECAY", "exp", HOUR_MS, "CLOCK", "logical")
    wire.call("VADD", "i", "z, the oldest", pack(1, 0), "AT", 0)
    wire.call("VADD", "i", "a, newer", pack(1, 0), "AT", 960 * HOUR_MS)
    now = ("AT", 2160 * HOUR_MS)
    assert forgotten(wire.call("VFORGET", "i", "BELOW", "inf", *now, "DRYRUN")) == ["z, the oldest", "a, newer"]
    assert forgotten(wire.call("VFORGET", "i", "BELOW", "inf", *now, "LIMIT", 1)) == ["z, the oldest"]


def test_what_is_wrong_with_forgetting_in_the_background_is_said(wire):
    for words, error in [
        (["BUDGET", 5], "MERGE, FLOOR, BUDGET and BUDGETBYTES go by strength: they need DECAY static, exp, power or ebb"),
        (["DECAY", "static", "EVERY", 5], "EVERY says how often an index merges and forgets: it needs MERGE, FLOOR, BUDGET or BUDGETBYTES"),
        (["DECAY", "static", "MERGE", -1], "MERGE must be a radius, 0 or more, got '-1'"),
        (["DECAY", "static", "FLOOR", 0], "FLOOR must be a number above 0, got '0'"),
        (["DECAY", "static", "BUDGET", 0], "BUDGET must be an integer in 1..9007199254740991, got '0'"),
        (["DECAY", "static", "BUDGET", 1, "EVERY", "x"], "EVERY must be an integer in 1..9007199254740991, got 'x'"),
    ]:
        assert str(wire.call("VNEW", "x", 2, *words)) == f"ERR {error}"
