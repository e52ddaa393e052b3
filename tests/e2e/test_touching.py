# SPDX-License-Identifier: Apache-2.0
"""Reads that tell of strength and touch what they answer, and recalls that reinforce."""

import signal

import numpy as np
import pytest

from strengths import HOUR_MS, as_map, fill_line, make, pack, rows, strength, wire  # noqa: F401: the fixture
from wire import ErrorReply


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
        (["VSEARCH", "i", query, 4097, "TOUCH", 1, "AT", 5], "TOUCH takes at most 4096 answers, the command asks for 4097"),
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
