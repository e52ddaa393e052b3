# SPDX-License-Identifier: Apache-2.0
"""Memory that lives, as a client meets it: reads that say how strong items are, and that touch what they answer."""

import signal
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from wire import ErrorReply

HOUR_MS = 3_600_000


def pack(*numbers):
    return struct.pack(f"<{len(numbers)}f", *numbers)


@pytest.fixture
def wire(server):
    with server.wire() as connection:
        connection.call("FLUSHALL")
        yield connection


def as_map(reply):
    return {name: value for name, value in zip(reply[::2], reply[1::2])}


def rows(reply, columns):
    return [
        (reply[i].decode(), *(float(value) for value in reply[i + 1 : i + columns]))
        for i in range(0, len(reply), columns)
    ]


def strength(wire, index, key, *words):
    return float(as_map(wire.call("VSTRENGTH", index, key, *words))["strength"])


def make(wire, *words, metric="l2", primitive="flat", index="i"):
    assert wire.call("VNEW", index, 2, "METRIC", metric, "PRIMITIVE", primitive, *words) == "OK"


def fill_line(wire, count=8, index="i"):
    """Keys 0, 1, ... on a line, each an hour younger than the one before."""
    for number in range(count):
        assert wire.call("VADD", index, number, pack(number, 0), "AT", number * HOUR_MS) == 1


# --- Reads that tell of strength, and touch -------------------------------------------------------


@pytest.mark.parametrize("metric", ["l2", "cosine", "dot"])
@pytest.mark.parametrize("primitive", ["flat", "hnsw", "hopfield", "lsr"])
def test_a_search_tells_plain_distances_and_strengths(wire, metric, primitive):
    make(wire, "DECAY", "exp", HOUR_MS, "CLOCK", "logical", metric=metric, primitive=primitive)
    wire.call("VADD", "i", "old", pack(0.6, 0.8), "AT", 0)
    wire.call("VADD", "i", "new", pack(1, 0), "AT", HOUR_MS, "STRENGTH", 3)
    plain = {"l2": np.sqrt(0.16 + 0.64), "cosine": 0.4, "dot": -0.6}[metric]
    query = pack(1, 0)
    found = rows(wire.call("VSEARCH", "i", query, 2, "WITHSTRENGTH", "AT", 2 * HOUR_MS, "WITHRAW"), 4)
    assert [row[0] for row in found] == ["new", "old"]
    assert found[1][2] == pytest.approx(plain) and found[1][1] > found[1][2] + 1e-3
    assert found[0][1] == found[0][2]  # the strongest
    assert [row[3] for row in found] == pytest.approx([1.5, 0.25])
    # Without AT it is of the latest write under a logical clock.
    assert [row[2] for row in rows(wire.call("VSEARCH", "i", query, 2, "WITHSTRENGTH"), 3)] == pytest.approx([3, 0.5])
    plain_rows = rows(wire.call("VSEARCH", "i", query, 2), 2)
    assert [row[:2] for row in found] == plain_rows
    batch = wire.call("VMSEARCH", "i", 2, "WITHRAW", "AT", 2 * HOUR_MS, "WITHSTRENGTH", query, query)
    assert [rows(reply, 4) for reply in batch] == [found, found]


def test_plain_distances_are_told_where_nothing_fades(wire):
    make(wire)
    wire.call("VADD", "i", "a", pack(3, 4))
    assert rows(wire.call("VSEARCH", "i", pack(0, 0), 1, "WITHRAW"), 3) == [("a", 5, 5)]


@pytest.mark.parametrize("primitive", ["flat", "hnsw", "hopfield", "lsr"])
def test_a_search_touches_what_it_answers(wire, primitive):
    make(wire, "DECAY", "exp", HOUR_MS, "CLOCK", "logical", primitive=primitive)
    fill_line(wire)
    now = 7 * HOUR_MS
    before = [strength(wire, "i", key, "AT", now) for key in range(8)]
    found = rows(wire.call("VSEARCH", "i", pack(7, 0), 3, "TOUCH", 2, "AT", now, "WITHSTRENGTH"), 3)
    assert [row[2] for row in found] == pytest.approx([before[int(row[0])] for row in found])
    touched = {int(row[0]) for row in found}
    after = [strength(wire, "i", key, "AT", now) for key in range(8)]
    assert after == pytest.approx([s + 2 * (key in touched) for key, s in enumerate(before)])
    # In a batch, once for each query that it answers.
    wire.call("VMSEARCH", "i", 8, "AT", now, "TOUCH", 1, pack(0, 0), pack(1, 1), pack(2, 2))
    assert [strength(wire, "i", key, "AT", now) for key in range(8)] == pytest.approx([s + 3 for s in after])


@pytest.mark.parametrize("primitive", ["flat", "hnsw", "hopfield", "lsr"])
def test_a_recall_tells_of_its_support_and_touches_the_attractor(wire, primitive):
    make(wire, "DECAY", "static", primitive=primitive)
    for key, x in (("a", 1), ("b", -1)):
        wire.call("VADD", "i", key, pack(x, 0), "STRENGTH", 2)
    options = ["RADIUS", 2] if primitive == "lsr" else ["BETA", 1]
    recall = as_map(
        wire.call("VRECALL", "i", "VEC", pack(0.5, 0), *options, "STEPS", 0, "WITHRAW", "TOUCH", 3, "WITHSTRENGTH")
    )
    support = rows(recall["support"], 4)
    assert [row[0] for row in support] == ["a", "b"]
    assert [row[2:] for row in support] == [pytest.approx((0.5, 2)), pytest.approx((1.5, 2))]
    assert [strength(wire, "i", key) for key in "ab"] == pytest.approx([5, 2])


def test_energy_has_a_time(wire):
    make(wire, "DECAY", "exp", HOUR_MS)
    wire.call("VADD", "i", "a", pack(1, 0))
    assert wire.call("VENERGY", "i", pack(1, 0), "AT", 5) == wire.call("VENERGY", "i", pack(1, 0))


def test_what_is_wrong_with_a_read_is_said(wire):
    make(wire, "DECAY", "exp", 1000, "CLOCK", "logical")
    make(wire, index="plain")
    make(wire, "DECAY", "static", index="static")
    query = pack(1, 0)
    keeps_none = "index 'plain' keeps no strengths: VNEW with DECAY makes one that does"
    for command, error in [
        (["VSEARCH", "plain", query, 1, "AT", 5], keeps_none),
        (["VSEARCH", "plain", query, 1, "TOUCH", 1], keeps_none),
        (["VSEARCH", "plain", query, 1, "WITHSTRENGTH"], keeps_none),
        (["VMSEARCH", "plain", 1, "TOUCH", 1, query], keeps_none),
        (["VSEARCH", "i", query, 1, "TOUCH", 1], "index 'i' has CLOCK logical: a write must say AT milliseconds"),
        (["VRECALL", "i", "VEC", query, "TOUCH", 1], "index 'i' has CLOCK logical: a write must say AT milliseconds"),
        (["VSEARCH", "i", query, 1, "TOUCH", 0, "AT", 5], "a gain of strength must be a number in 1e-100..1e100, got 0"),
        (["VSEARCH", "i", query, 1, "TOUCH", "x", "AT", 5], "TOUCH must be a number in 1e-100..1e100, got 'x'"),
        (["VSEARCH", "i", query, 1, "TOUCH"], "option 'TOUCH' has no value"),
        (["VSEARCH", "i", query, 1, "AT", 5, "AT", 6], "option AT is given twice"),
        (["VSEARCH", "static", query, 1, "AT", 5], "strengths of index 'static' do not change with time, so there is no AT"),
        (["VMSEARCH", "i", 1, "TOUCH", 1], "TOUCH takes a value, and at least one query after it"),
        (["VMSEARCH", "i", 1, "WITHRAW"], "WITHRAW stands before at least one query"),
        (["VMSEARCH", "i", 1, "EF", 9], "EF takes a value, and at least one query after it"),
        (["VENERGY", "plain", query, "AT", 1], keeps_none),
    ]:
        reply = wire.call(*command)
        assert isinstance(reply, ErrorReply) and str(reply) == f"ERR {error}", (command[:2], reply)
    assert wire.call("VSEARCH", "i", query, 5, "TOUCH", 1, "AT", 5) == []


def test_the_table_says_that_a_read_may_write(wire):
    """As Redis says of PFCOUNT: it reads, and may change what it reads."""
    for name in ("vsearch", "vmsearch", "vrecall"):
        (info,) = wire.call("COMMAND", "INFO", name)
        flags = {str(flag) for flag in info[2]}
        assert flags == {"readonly", "may_replicate"}, flags
        assert {str(flag) for flag in as_map(info[8][0])[b"flags"]} == {"RW", "access"}


def test_a_touching_read_waits_for_its_place_in_a_pipeline(wire):
    """It sees the writes before it, and what follows sees its touches."""
    make(wire, "DECAY", "static", primitive="hnsw")
    for turn in range(50):
        wire.send("VADD", "i", turn, pack(turn, 0))
        wire.send("VSEARCH", "i", pack(turn, 0), 1, "TOUCH", 1, "WITHRAW")
        wire.send("VSTRENGTH", "i", turn)
        wire.send("VADD", "i", turn, pack(turn, 1))
    for turn in range(50):
        assert wire.read() == 1
        assert rows(wire.read(), 3) == [(str(turn), 0, 0)]
        assert float(as_map(wire.read())["strength"]) == 2
        assert wire.read() == 0


def test_a_touching_read_is_a_step_of_a_transaction(wire):
    make(wire, "DECAY", "static", primitive="hopfield")
    wire.call("MULTI")
    wire.call("VADD", "i", "a", pack(1, 0))
    wire.call("VSEARCH", "i", pack(1, 0), 1, "TOUCH", 1)
    wire.call("VRECALL", "i", "VEC", pack(1, 0), "TOUCH", 2, "BETA", 1)
    wire.call("VMSEARCH", "i", 1, "TOUCH", 4, pack(1, 0))
    wire.call("VSTRENGTH", "i", "a")
    assert float(as_map(wire.call("EXEC")[-1])["strength"]) == pytest.approx(8)


def test_a_touching_read_is_paused_as_a_write(server, wire):
    make(wire, "DECAY", "static")
    wire.call("VADD", "i", "a", pack(1, 0))
    with server.wire() as other:
        wire.call("CLIENT", "PAUSE", 20_000, "WRITE")
        assert len(other.call("VSEARCH", "i", pack(1, 0), 1)) == 2
        other.send("VSEARCH", "i", pack(1, 0), 1, "TOUCH", 1)
        assert strength(wire, "i", "a") == 1
        wire.call("CLIENT", "UNPAUSE")
        assert len(other.read()) == 2
        assert strength(wire, "i", "a") == 2


def test_touches_of_reads_outlive_the_process(start, reopen):
    server = start("--fsync", "always")
    with server.wire() as wire:
        make(wire, "DECAY", "exp", 1000, primitive="hopfield")
        for number in range(20):
            wire.call("VADD", "i", number, pack(number, 1))
        for number in range(20):
            wire.call("VSEARCH", "i", pack(number, 1), 3, "TOUCH", 1 + number % 5)
            assert not isinstance(wire.call("VRECALL", "i", "VEC", pack(number, 1), "TOUCH", 2, "BETA", 1), ErrorReply)
            if number == 10:
                assert wire.call("VSAVE") == "OK"
        wire.call("VMSEARCH", "i", 2, "TOUCH", 0.5, pack(1, 1), pack(4, 1))
        before = [wire.call("VSTRENGTH", "i", number, "AT", 0) for number in range(20)]
    server.send_signal(signal.SIGKILL)
    server.wait()
    with reopen(server).wire() as wire:
        assert [wire.call("VSTRENGTH", "i", number, "AT", 0) for number in range(20)] == before


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
    assert max(waits) < 0.5 and len(waits) > 10, (max(waits), len(waits))


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


# --- VADD UNLESS WITHIN ---------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["l2", "cosine", "dot"])
@pytest.mark.parametrize("primitive", ["flat", "hnsw", "hopfield", "lsr"])
def test_what_is_near_is_refused(wire, metric, primitive):
    make(wire, metric=metric, primitive=primitive)
    within = {"l2": 0.5, "cosine": 0.1, "dot": -0.5}[metric]
    assert wire.call("VADD", "i", "a", pack(1, 0), "UNLESS", "WITHIN", within) == 1
    assert wire.call("VADD", "i", "b", pack(1, 0.25), "UNLESS", "WITHIN", within) == b"a"
    assert wire.call("VGET", "i", "b") is None
    assert wire.call("VADD", "i", "b", pack(0, 1), "unless", "within", within) == 1
    # The key's own vector counts, too; what is far replaces it.
    assert wire.call("VADD", "i", "a", pack(1, 0.125), "UNLESS", "WITHIN", within) == b"a"
    assert wire.call("VADD", "i", "a", pack(-1, 0), "UNLESS", "WITHIN", within) == 0
    assert wire.call("VADD", "i", "c", pack(1, 0.25), "UNLESS", "WITHIN", within) == 1
    # Exactly so far away is near.
    assert wire.call("VADD", "i", "d", pack(0, 1.5), "UNLESS", "WITHIN", within) == b"b"


def test_what_is_near_is_touched(wire):
    make(wire, "DECAY", "exp", HOUR_MS, "CLOCK", "logical")
    add = ["UNLESS", "WITHIN", 0.5, "TOUCH", 2]
    assert wire.call("VADD", "i", "a", pack(1, 0), "AT", 0, "STRENGTH", 4, *add) == 1
    assert wire.call("VADD", "i", "b", pack(1, 0.25), *add, "AT", HOUR_MS, "STRENGTH", 9) == b"a"
    assert strength(wire, "i", "a", "AT", HOUR_MS) == pytest.approx(4)
    # The plain distance decides, not the effective one.
    wire.call("VADD", "i", "strong", pack(9, 9), "STRENGTH", "1e30", "AT", HOUR_MS)
    assert wire.call("VADD", "i", "b", pack(1, 0.25), "KEEPSTRENGTH", *add, "AT", HOUR_MS) == b"a"
    assert wire.call("VSTRENGTH", "i", "b") is None


def test_what_is_wrong_with_a_condition_is_said(wire):
    make(wire)
    make(wire, "DECAY", "exp", 1000, "CLOCK", "logical", index="fading")
    vector = pack(1, 0)
    said = "UNLESS must be WITHIN and a distance"
    for words, error in [
        (["i", "a", vector, "UNLESS", "WITHIN", "x"], f"{said}, got 'WITHIN x'"),
        (["i", "a", vector, "UNLESS", "WITHIN", "inf"], f"{said}, got 'WITHIN inf'"),
        (["i", "a", vector, "UNLESS", "5"], f"{said}, got '5'"),
        (["i", "a", vector, "UNLESS", "WITHIN", 1, "TOUCH", 1], "index 'i' keeps no strengths: VNEW with DECAY makes one that does"),
        (["fading", "a", vector, "UNLESS", "WITHIN", 1], "index 'fading' has CLOCK logical: a write must say AT milliseconds"),
        (["fading", "a", vector, "UNLESS", "WITHIN", 1, "TOUCH", 0, "AT", 1], "a gain of strength must be a number in 1e-100..1e100, got 0"),
    ]:
        reply = wire.call("VADD", *words)
        assert isinstance(reply, ErrorReply) and str(reply) == f"ERR {error}", (words[:2], reply)
    assert isinstance(wire.call("VADD", "i", "a", vector, "TOUCH", 1), ErrorReply)
    reply = wire.call("VMADD", "i", "a", vector, "b", vector, "UNLESS", "WITHIN", 1)
    assert str(reply) == "ERR VMADD takes no UNLESS WITHIN, which is of one vector: VADD does"
    assert wire.call("VSEARCH", "i", vector, 1) == []


def test_conditions_decide_in_the_order_of_a_pipeline(wire):
    make(wire, primitive="hnsw")
    for turn in range(200):
        wire.send("VADD", "i", f"a{turn}", pack(turn, 0), "UNLESS", "WITHIN", 0.1)
        wire.send("VADD", "i", f"b{turn}", pack(turn, 0), "UNLESS", "WITHIN", 0.1)
        wire.send("VADD", "i", f"c{turn}", pack(turn, 0))
        wire.send("VADD", "i", f"d{turn}", pack(turn, 0), "UNLESS", "WITHIN", 0.1)
        wire.send("VDEL", "i", f"a{turn}")
        wire.send("VDEL", "i", f"c{turn}")
        wire.send("VADD", "i", f"e{turn}", pack(turn, 0), "UNLESS", "WITHIN", 0.1)
    for turn in range(200):
        replies = [wire.read() for _ in range(7)]
        assert replies[:3] == [1, f"a{turn}".encode(), 1]
        assert replies[3] in (f"a{turn}".encode(), f"c{turn}".encode())
        assert replies[4:] == [1, 1, 1]


def test_a_condition_is_a_step_of_a_transaction(wire):
    make(wire, "DECAY", "static", primitive="hnsw")
    wire.call("MULTI")
    add = ["UNLESS", "WITHIN", 0.1, "TOUCH", 1]
    for key in ("a", "b", "c"):
        wire.call("VADD", "i", key, pack(1, 0), *add)
    wire.call("VDEL", "i", "a")
    wire.call("VADD", "i", "b", pack(1, 0), *add)
    wire.call("VSTRENGTH", "i", "b")
    *replies, told = wire.call("EXEC")
    assert replies == [1, b"a", b"a", 1, 1] and float(as_map(told)["strength"]) == 1


@pytest.mark.parametrize("primitive", ["flat", "hnsw"])
def test_of_near_duplicates_at_once_exactly_one_is_stored(start, reopen, primitive):
    """Eight writers, groups of eight that lie near each other; others store far ones and run transactions meanwhile."""
    groups, writers, dim = 150, 8, 16
    rng = np.random.default_rng(17)
    centres = rng.standard_normal((groups, dim)).astype("<f4") * 10
    server = start("--fsync", "always")
    with server.wire() as wire:
        wire.call("VNEW", "i", dim, "METRIC", "l2", "PRIMITIVE", primitive, "DECAY", "static")

    def write(writer):
        noise = np.random.default_rng(writer)
        stored, refused = [], {}
        with server.wire() as wire:
            for group, centre in enumerate(centres):
                near = (centre + noise.standard_normal(dim) * 0.01).astype("<f4")
                key = f"{group}:{writer}"
                reply = wire.call("VADD", "i", key, near.tobytes(), "UNLESS", "WITHIN", 1, "TOUCH", 1)
                assert isinstance(reply, (int, bytes)), reply
                stored.append(key) if reply == 1 else refused.update({key: reply.decode()})
        return stored, refused

    def disturb(number):
        noise = np.random.default_rng(100 + number)
        with server.wire() as wire:
            for turn in range(150):
                far = (noise.standard_normal((2, dim)) + 1000).astype("<f4")
                words = ("VMADD", "i", f"x{number}.{turn}", far[0].tobytes(), f"y{number}.{turn}", far[1].tobytes())
                if turn % 2:
                    assert wire.call(*words) == 2
                    continue
                wire.call("MULTI")
                wire.call("SET", "s", turn)
                if turn % 4:
                    wire.call(*words)
                wire.call("EXEC")

    with ThreadPoolExecutor(writers + 2) as pool:
        disturbing = [pool.submit(disturb, number) for number in range(2)]
        outcomes = list(pool.map(write, range(writers)))
        for done in disturbing:
            done.result()
    stored = [key for keys, _ in outcomes for key in keys]
    assert sorted(int(key.split(":")[0]) for key in stored) == list(range(groups))
    by_group = {key.split(":")[0]: key for key in stored}
    for _, refused in outcomes:
        for key, near in refused.items():
            assert near == by_group[key.split(":")[0]]
    with server.wire() as wire:
        assert [strength(wire, "i", key) for key in stored] == pytest.approx([8] * groups)
    server.send_signal(signal.SIGKILL)
    server.wait()
    with reopen(server).wire() as wire:
        for group, centre in enumerate(centres):
            (found,) = rows(wire.call("VSEARCH", "i", centre.tobytes(), 1, "WITHSTRENGTH"), 3)
            assert found[0] == by_group[str(group)] and found[2] == pytest.approx(8)
            assert all(
                wire.call("VGET", "i", key) is None
                for key in (f"{group}:{writer}" for writer in range(writers))
                if key != by_group[str(group)]
            )


def test_a_condition_sees_the_batch_that_is_being_stored(wire, server):
    """A VMADD of thousands is under way: what it stores is near already."""
    make(wire, primitive="hnsw")
    with server.wire() as other:
        for turn in range(5):
            count = 2000
            words = [w for n in range(count) for w in (f"{turn}:{n}", pack(turn * count + n, 1))]
            wire.send("VMADD", "i", *words)
            while int(as_map(other.call("VINFO", "i"))["hnsw-max-node-uid"]) == turn * count:
                pass  # until it has been read
            for n in (count - 1, count // 2, 0):
                vector = pack(turn * count + n, 1.01)
                assert other.call("VADD", "i", "z", vector, "UNLESS", "WITHIN", 0.5) == f"{turn}:{n}".encode()
            assert wire.read() == count


# --- REINFORCE ------------------------------------------------------------------------------------


def recall(wire, vector, *words):
    reply = wire.call("VRECALL", "i", "VEC", vector, "BETA", 2, "STEPS", 0, *words)
    assert not isinstance(reply, ErrorReply), reply
    return as_map(reply)


@pytest.mark.parametrize("primitive", ["flat", "hnsw", "hopfield"])
@pytest.mark.parametrize("rule", ["off", "winner", "soft", "compete"])
def test_a_recall_reinforces_by_the_rule_of_its_index(wire, primitive, rule):
    make(wire, "DECAY", "static", "REINFORCE", rule, primitive=primitive)
    info = as_map(wire.call("VINFO", "i"))
    assert info["reinforce"] == rule.encode()
    for number in range(12):
        wire.call("VADD", "i", number, pack(number / 4, 0), "STRENGTH", 2, *(["PIN"] if number == 1 else []))
    for gain in (1, 3):
        before = np.array([strength(wire, "i", number) for number in range(12)])
        found = recall(wire, pack(0, 0), "TOP", 12)
        weights = dict(rows(found["support"], 2))
        words = ["TOP", 3] + ([] if gain == 1 else ["TOUCH", gain])
        if rule == "off" and gain == 1:
            assert rows(recall(wire, pack(0, 0), *words)["support"], 2) == rows(found["support"], 2)[:3]
            assert [strength(wire, "i", number) for number in range(12)] == list(before)
            continue
        # The recall that looked has reinforced as well.
        before = np.array([strength(wire, "i", number) for number in range(12)])
        weights = np.array([weights.get(str(number), 0) for number in range(12)])
        if rule != "off":
            shares = before * np.exp(-np.square(np.arange(12) / 4))
            weights = shares / shares.sum()
        found = recall(wire, pack(0, 0), *words)
        assert len(found["support"]) == 6 and found["attractor"] == b"0"
        expected = before.copy()
        if rule == "soft":
            expected += gain * weights * (weights >= 0.05)
        else:
            expected[0] += gain
        if rule == "compete":
            for key, weight in rows(found["support"], 2):
                if key not in ("0", "1"):  # the winner, and what is pinned
                    expected[int(key)] *= 1 - 0.1 * weight
        after = [strength(wire, "i", number) for number in range(12)]
        assert after == pytest.approx(list(expected), rel=1e-5)


@pytest.mark.parametrize("decay", [["exp", 1000], ["power", 1]])
def test_losers_are_weaker_at_every_time(wire, decay):
    make(wire, "DECAY", *decay, "CLOCK", "logical", "REINFORCE", "compete", primitive="hopfield")
    for number in range(3):
        wire.call("VADD", "i", number, pack(number / 4, 0), "AT", 0)
        wire.call("VTOUCH", "i", number, "AT", 500)
    times = [1000, 5000, 90_000]
    before = [strength(wire, "i", 2, "AT", at) for at in times]
    reply = wire.call("VRECALL", "i", "VEC", pack(0, 0), "BETA", 2)
    assert str(reply) == "ERR index 'i' has CLOCK logical: a write must say AT milliseconds"
    weight = dict(rows(recall(wire, pack(0, 0), "AT", 1000)["support"], 2))["2"]
    after = [strength(wire, "i", 2, "AT", at) for at in times]
    assert after == pytest.approx([s * (1 - 0.1 * weight) for s in before])


def test_what_is_wrong_with_reinforcing_is_said(wire):
    for words, error in [
        (["REINFORCE", "winner"], "REINFORCE has recalls strengthen what they recall: it needs DECAY static, exp, power or ebb"),
        (["DECAY", "static", "REINFORCE", "hard"], "REINFORCE must be off, winner, soft or compete, got 'hard'"),
        (["DECAY", "ebb", 5, "REINFORCE", "compete"], "REINFORCE compete weakens what loses, and under DECAY ebb a strength is an age alone"),
    ]:
        assert str(wire.call("VNEW", "x", 2, *words)) == f"ERR {error}"
    assert wire.call("VNEW", "x", 2, "REINFORCE", "off") == "OK"


def test_reinforcing_recalls_are_writes(start, reopen):
    """They are paused as such, take their turn, are steps of transactions, and outlive the process."""
    server = start("--fsync", "always")
    with server.wire() as wire, server.wire() as other:
        make(wire, "DECAY", "static", "REINFORCE", "compete", primitive="hopfield")
        for number in range(5):
            wire.call("VADD", "i", number, pack(number / 4, 0))
        wire.call("CLIENT", "PAUSE", 20_000, "WRITE")
        other.send("VRECALL", "i", "VEC", pack(0, 0), "BETA", 1, "STEPS", 0)
        assert strength(wire, "i", 0) == 1
        wire.call("CLIENT", "UNPAUSE")
        other.read()
        assert strength(wire, "i", 0) == pytest.approx(2)
        assert wire.call("VSAVE") == "OK"
        wire.call("MULTI")
        wire.call("VRECALL", "i", "VEC", pack(0, 0), "BETA", 1, "STEPS", 0)
        wire.call("VSTRENGTH", "i", 0)
        assert float(as_map(wire.call("EXEC")[1])["strength"]) == pytest.approx(3)
        for _ in range(20):
            wire.send("VRECALL", "i", "VEC", pack(0.25, 0), "BETA", 1, "STEPS", 0)
        for _ in range(20):
            wire.read()
        before = [wire.call("VSTRENGTH", "i", number) for number in range(5)]
        found = wire.call_raw("VSEARCH", "i", pack(1, 0), 5)
    server.send_signal(signal.SIGKILL)
    server.wait()
    with reopen(server).wire() as wire:
        assert [wire.call("VSTRENGTH", "i", number) for number in range(5)] == before
        assert wire.call_raw("VSEARCH", "i", pack(1, 0), 5) == found
        assert as_map(wire.call("VINFO", "i"))["reinforce"] == b"compete"
