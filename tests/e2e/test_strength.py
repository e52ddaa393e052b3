# SPDX-License-Identifier: Apache-2.0
"""Strengths as a client meets them: what DECAY, VADD, VTOUCH and VSTRENGTH answer, and that searches and recalls
obey."""

import signal
import time

import numpy as np
import pytest

from strengths import HOUR_MS, as_map, pack, strength, wire  # noqa: F401: the fixture
from wire import ErrorReply

def make(wire, *words, metric="l2", primitive="flat"):
    assert wire.call("VNEW", "i", 2, "METRIC", metric, "PRIMITIVE", primitive, *words) == "OK"


def test_the_wall_gives_writes_their_time(wire):
    make(wire, "DECAY", "exp", HOUR_MS)
    before = int(time.time() * 1000)
    assert wire.call("VADD", "i", "a", pack(1, 0), "STRENGTH", 8) == 1
    after = int(time.time() * 1000)
    at = as_map(wire.call("VSTRENGTH", "i", "a"))["at"]
    assert before - 100 <= at <= after + 100
    assert strength(wire, "i", "a", "AT", at + 3 * HOUR_MS) == pytest.approx(1, rel=1e-3)
    info = as_map(wire.call("VINFO", "i"))
    assert (info["decay"], info["clock"]) == (b"exp", b"wall")
    assert info["half-life-ms"] == HOUR_MS and before - 100 <= info["last-write-ms"] <= after + 100


def test_an_overwrite_begins_anew_unless_it_keeps(wire):
    make(wire, "DECAY", "static")
    wire.call("VADD", "i", "a", pack(1, 0), "STRENGTH", 3)
    assert [float(s) for s in wire.call("VTOUCH", "i", "a", "GAIN", "0.5")] == [3.5]
    assert wire.call("VADD", "i", "a", pack(2, 0), "KEEPSTRENGTH", "STRENGTH", 2) == 0
    assert strength(wire, "i", "a") == pytest.approx(5.5)
    assert wire.call("VADD", "i", "a", pack(2, 0), "KEEPSTRENGTH") == 0
    assert strength(wire, "i", "a") == pytest.approx(6.5)
    assert wire.call("VADD", "i", "a", pack(2, 0)) == 0
    assert strength(wire, "i", "a") == pytest.approx(1)
    assert as_map(wire.call("VSTRENGTH", "i", "a"))["at"] is None


def test_keys_may_be_called_as_options_are(wire):
    make(wire, "DECAY", "static")
    for key in ("AT", "GAIN", "k"):
        wire.call("VADD", "i", key, pack(1, 0))
    assert len(wire.call("VTOUCH", "i", "GAIN", "AT")) == 2
    assert len(wire.call("VTOUCH", "i", "AT", "k", "GAIN", 2)) == 2
    assert strength(wire, "i", "AT") == pytest.approx(1 + 1 + 2)


@pytest.mark.parametrize("metric", ["l2", "cosine", "dot"])
@pytest.mark.parametrize("primitive", ["flat", "hnsw", "hopfield", "lsr"])
def test_a_search_answers_effective_distances(wire, metric, primitive):
    make(wire, "DECAY", "exp", 1000, "OMEGA", 0.5, "CLOCK", "logical", metric=metric, primitive=primitive)
    wire.call("VADD", "i", "weak", pack(0.6, 0.8), "AT", 0)
    wire.call("VADD", "i", "strong", pack(1, 0), "AT", 4000)
    beta = float(as_map(wire.call("VINFO", "i"))["search-beta"])
    assert beta == (100 if metric == "cosine" and primitive != "lsr" else 1)
    penalty = 0.5 * 4 * np.log(2) / beta
    plain = {"l2": np.sqrt(0.16 + 0.64), "cosine": 0.4, "dot": -0.6}[metric]
    effective = np.sqrt(plain**2 + 2 * penalty) if metric == "l2" else plain + penalty
    found = as_map(wire.call("VSEARCH", "i", pack(1, 0), 2))
    assert float(found[b"weak"]) == pytest.approx(effective, rel=1e-5)
    assert float(found[b"strong"]) == {"l2": 0, "cosine": 0, "dot": -1}[metric]
    batch = wire.call("VMSEARCH", "i", 2, pack(1, 0), pack(0, 1))
    assert batch[0] == wire.call("VSEARCH", "i", pack(1, 0), 2)


@pytest.mark.parametrize("primitive", ["flat", "hnsw", "hopfield"])
def test_a_recall_weighs_by_strength(wire, primitive):
    make(wire, "DECAY", "static", primitive=primitive)
    wire.call("VADD", "i", "a", pack(1, 0), "STRENGTH", 3)
    wire.call("VADD", "i", "b", pack(-1, 0))
    support = as_map(as_map(wire.call("VRECALL", "i", "VEC", pack(0, 0), "BETA", 1, "STEPS", 0))["support"])
    assert float(support[b"a"]) == pytest.approx(0.75) and float(support[b"b"]) == pytest.approx(0.25)
    energy = float(wire.call("VENERGY", "i", pack(0, 0), "BETA", 1))
    assert energy == pytest.approx(-np.log((1 + 1 / 3) * np.exp(-0.5)))


def policy_strength(policy, number, gains, at):
    """What each policy makes of gains by time, few enough to be summed one by one."""
    if policy == "power":
        return sum(gain * max(1, (at - ms) / 1000) ** -number for ms, gain in gains)
    if policy == "ebb":
        return np.exp(-max(0, at - max(ms for ms, _ in gains)) / (number * sum(gain for _, gain in gains)))
    return sum(gain * 2 ** (-(at - ms) / number) for ms, gain in gains)


@pytest.mark.parametrize("primitive", ["flat", "hnsw", "hopfield", "lsr"])
@pytest.mark.parametrize("policy, number", [("exp", 5000), ("power", 0.5), ("power", 1), ("ebb", 5000)])
def test_every_policy_ranks_by_what_is_left_at_the_time(wire, primitive, policy, number):
    make(wire, "DECAY", policy, number, "CLOCK", "logical", primitive=primitive)
    gains = {"often": [(0, 1), (9000, 1), (2000, 2)], "lately": [(10_000, 1)], "once": [(500, 0.5)]}
    for key, ((first, gain), *touches) in gains.items():
        wire.call("VADD", "i", key, pack(1, 0), "STRENGTH", gain, "AT", first)
        for ms, more in touches:
            told = float(wire.call("VTOUCH", "i", key, "GAIN", more, "AT", ms)[0])
            assert told > 0
    wire.call("VADD", "i", "pinned", pack(1, 0), "STRENGTH", "0.4", "PIN", "AT", 0)
    expected = {key: policy_strength(policy, number, each, 10_000) for key, each in gains.items()}
    expected["pinned"] = 1 if policy == "ebb" else 0.4
    strongest = max(expected.values())
    distances = as_map(wire.call("VSEARCH", "i", pack(1, 0), 4))
    for key, value in expected.items():
        told = as_map(wire.call("VSTRENGTH", "i", key))
        assert told["at"] == 10_000 and told["pinned"] == (key == "pinned")
        assert float(told["strength"]) == pytest.approx(value)
        assert float(told["bias"]) == pytest.approx(np.log(value / strongest), abs=1e-9)
        distance = np.sqrt(2 * np.log(strongest / value))
        assert float(distances[key.encode()]) == pytest.approx(distance, rel=1e-4, abs=1e-3)
    info = as_map(wire.call("VINFO", "i"))
    name = {"exp": "half-life-ms", "power": "decay-exponent", "ebb": "stability-ms"}[policy]
    assert float(info[name]) == number and info["last-write-ms"] == 10_000


def test_items_may_have_a_half_life_of_their_own(wire):
    make(wire, "DECAY", "exp", 1000, "CLOCK", "logical")
    wire.call("VADD", "i", "usual", pack(1, 0), "AT", 0)
    wire.call("VADD", "i", "slow", pack(1, 0), "HALFLIFE", 8000, "STRENGTH", "0.5", "AT", 0)
    wire.call("VADD", "i", "same", pack(1, 0), "HALFLIFE", 1000, "AT", 0)
    assert as_map(wire.call("VSTRENGTH", "i", "slow"))["half-life-ms"] == 8000
    assert as_map(wire.call("VSTRENGTH", "i", "usual"))["half-life-ms"] == 1000
    assert float(as_map(wire.call("VSTRENGTH", "i", "slow", "AT", 0))["bias"]) == pytest.approx(-np.log(2))
    assert float(as_map(wire.call("VSTRENGTH", "i", "slow", "AT", 8000))["bias"]) == 0
    assert float(as_map(wire.call("VSTRENGTH", "i", "usual", "AT", 8000))["bias"]) == pytest.approx(-6 * np.log(2))
    # It keeps that, or gets another, or the index's again.
    wire.call("VADD", "i", "slow", pack(1, 0), "KEEPSTRENGTH", "STRENGTH", "0.25", "AT", 8000)
    assert strength(wire, "i", "slow", "AT", 16_000) == pytest.approx(0.25)
    wire.call("VADD", "i", "slow", pack(1, 0), "PIN", "KEEPSTRENGTH", "STRENGTH", "0.75", "AT", 16_000)
    told = as_map(wire.call("VSTRENGTH", "i", "slow", "AT", 10**9))
    assert float(told["strength"]) == pytest.approx(1) and told["pinned"] and "half-life-ms" not in told
    wire.call("VADD", "i", "slow", pack(1, 0), "AT", 16_000)
    told = as_map(wire.call("VSTRENGTH", "i", "slow", "AT", 17_000))
    assert float(told["strength"]) == pytest.approx(0.5) and not told["pinned"] and told["half-life-ms"] == 1000


def test_what_is_wrong_is_said(wire):
    make(wire, "DECAY", "exp", 1000)
    wire.call("VNEW", "plain", 2)
    wire.call("VNEW", "static", 2, "DECAY", "static")
    number = "a number in 1e-100..1e100"
    time_range = "AT must be an integer of milliseconds in 0..9007199254740991"
    for command, error in [
        (["VNEW", "x", 2, "DECAY", "power"], "the exponent of DECAY power must be a number in 0.001..10, got ''"),
        (["VNEW", "x", 2, "DECAY", "fade"], "DECAY must be none, static, exp and a half-life, power and an exponent, or ebb and a stability, got 'fade'"),
        (["VNEW", "x", 2, "DECAY", "ebb", "0.5"], "the stability of DECAY ebb must be an integer of milliseconds in 1..9007199254740991, got '0.5'"),
        (["VNEW", "x", 2, "DECAY", "exp"], "the half-life of DECAY exp must be an integer of milliseconds in 1..9007199254740991, got ''"),
        (["VNEW", "x", 2, "DECAY", "exp", "0"], "the half-life of DECAY exp must be an integer of milliseconds in 1..9007199254740991, got '0'"),
        (["VNEW", "x", 2, "OMEGA", 1], "OMEGA says what strengths are worth: it needs DECAY static, exp, power or ebb"),
        (["VNEW", "x", 2, "DECAY", "static", "OMEGA", 0], "OMEGA must be a number in 1e-06..1000000, got '0'"),
        (["VNEW", "x", 2, "DECAY", "static", "CLOCK", "wall"], "CLOCK says what gives strengths their time: it needs DECAY exp, power or ebb"),
        (["VNEW", "x", 2, "DECAY", "static", "DECAY", "none"], "option DECAY is given twice"),
        (["VADD", "i", "k", pack(1, 0), "STRENGTH", "much"], f"STRENGTH must be {number}, got 'much'"),
        (["VADD", "i", "k", pack(1, 0), "STRENGTH", 0], f"a gain of strength must be {number}, got 0"),
        (["VADD", "i", "k", pack(1, 0), "STRENGTH", "nan"], f"a gain of strength must be {number}, got nan"),
        (["VADD", "i", "k", pack(1, 0), "AT", -1], f"{time_range}, got '-1'"),
        (["VADD", "i", "k", pack(1, 0), "GAIN", 1], "unknown option 'GAIN', known options are STRENGTH, AT, HALFLIFE, SETATTR"),
        (["VADD", "i", "k", pack(1, 0), "HALFLIFE", 0], "HALFLIFE must be an integer of milliseconds in 1..9007199254740991, got '0'"),
        (["VADD", "i", "k", pack(1, 0), "PIN", "HALFLIFE", 5], "PIN and HALFLIFE exclude each other"),
        (["VADD", "static", "k", pack(1, 0), "HALFLIFE", 5], "index 'static' has no DECAY exp, so there is no HALFLIFE"),
        (["VADD", "plain", "k", pack(1, 0), "PIN"], "index 'plain' keeps no strengths: VNEW with DECAY makes one that does"),
        (["VADD", "static", "k", pack(1, 0), "AT", 5], "strengths of index 'static' do not change with time, so there is no AT"),
        (["VADD", "plain", "k", pack(1, 0), "STRENGTH", 2], "index 'plain' keeps no strengths: VNEW with DECAY makes one that does"),
        (["VTOUCH", "plain", "k"], "index 'plain' keeps no strengths: VNEW with DECAY makes one that does"),
        (["VTOUCH", "i", "k", "GAIN", "1e101"], f"a gain of strength must be {number}, got 1e+101"),
        (["VTOUCH", "none", "k"], "no such index 'none', VNEW makes one"),
        (["VSTRENGTH", "plain", "k"], "index 'plain' keeps no strengths: VNEW with DECAY makes one that does"),
        (["VSTRENGTH", "i", "k", "AT"], "option 'AT' has no value"),
    ]:
        reply = wire.call(*command)
        assert isinstance(reply, ErrorReply) and str(reply) == f"ERR {error}", (command[:2], reply)
    assert wire.call("VTOUCH", "i", "k") == [None]
    assert wire.call("VSTRENGTH", "i", "k") is None
    assert wire.call("VADD", "i", "k", pack(1, 0), "AT", 5, "KEEPSTRENGTH") == 1


@pytest.mark.parametrize("policy, number", [("exp", 1000), ("power", 0.7), ("ebb", 900)])
def test_traces_outlive_the_process(start, reopen, policy, number):
    server = start("--fsync", "always")
    asked = [("VSTRENGTH", "i", key, "AT", 70_000) for key in range(20)] + [("VSEARCH", "i", pack(3, 3), 20)]
    with server.wire() as wire:
        make(wire, "DECAY", policy, number, "CLOCK", "logical", primitive="hnsw")
        for key in range(20):
            rule = [(), ("PIN",), ("HALFLIFE", 5000) if policy == "exp" else ()][key % 3]
            wire.call("VADD", "i", key, pack(key, 1), "AT", 1000 * key, *rule)
            for touch in range(key):
                wire.call("VTOUCH", "i", key, "GAIN", 1 + touch % 7, "AT", 1 + 37 * touch * key)
            if key == 10:
                assert wire.call("VSAVE") == "OK"
        before = [wire.call_raw(*command) for command in asked]
    server.send_signal(signal.SIGKILL)
    server.wait()
    with reopen(server).wire() as wire:
        assert [wire.call_raw(*command) for command in asked] == before
        assert wire.call("VSAVE") == "OK"
        assert [wire.call_raw(*command) for command in asked] == before


def test_strengths_outlive_the_process(start, reopen):
    server = start("--fsync", "always")
    with server.wire() as wire:
        make(wire, "DECAY", "exp", 1000, "OMEGA", 0.5, primitive="hnsw")
        for number in range(20):
            wire.call("VADD", "i", number, pack(number, 1))
            wire.call("VTOUCH", "i", number, "GAIN", 1 + number % 7)
            if number == 10:
                assert wire.call("VSAVE") == "OK"
        before = [wire.call("VSTRENGTH", "i", number, "AT", 0) for number in range(20)]
        found = wire.call_raw("VSEARCH", "i", pack(3, 3), 20)
        info = as_map(wire.call("VINFO", "i"))
    server.send_signal(signal.SIGKILL)
    server.wait()
    again = reopen(server)
    with again.wire() as wire:
        assert [wire.call("VSTRENGTH", "i", number, "AT", 0) for number in range(20)] == before
        assert wire.call_raw("VSEARCH", "i", pack(3, 3), 20) == found
        after = as_map(wire.call("VINFO", "i"))
        for name in ("decay", "half-life-ms", "omega", "clock", "last-write-ms"):
            assert after[name] == info[name]


@pytest.mark.parametrize(("policy", "number"), [("exp", 1000), ("power", 0.5), ("ebb", 5000)])
def test_touches_whose_clock_steps_back_add_up_as_in_order(start, reopen, policy, number):
    """Whatever their order, and after a death the same to the bit."""
    times = (1000, 4000, 9000, 2000, 9000, 3000)
    server = start("--fsync", "always")
    with server.wire() as wire:
        for index, order in (("i", times), ("j", sorted(times))):
            wire.call("VNEW", index, 2, "METRIC", "l2", "DECAY", policy, number, "CLOCK", "logical")
            wire.call("VADD", index, "a", pack(1, 0), "AT", 1000)
            for at in order:
                wire.call("VTOUCH", index, "a", "AT", at)
        told = [as_map(wire.call("VSTRENGTH", "i", "a", "AT", at)) for at in (20_000, 9000, 30_000)]
        if policy != "ebb":  # whose strength is the age of the latest touch, and of their number
            expected = [as_map(wire.call("VSTRENGTH", "j", "a", "AT", at)) for at in (20_000, 9000, 30_000)]
            for one, other in zip(told, expected):
                assert float(one["strength"]) == pytest.approx(float(other["strength"]), rel=1e-9)
        assert float(told[1]["strength"]) >= float(told[0]["strength"]) >= float(told[2]["strength"])
    server.send_signal(signal.SIGKILL)
    server.wait()
    with reopen(server).wire() as wire:
        assert [as_map(wire.call("VSTRENGTH", "i", "a", "AT", at)) for at in (20_000, 9000, 30_000)] == told
