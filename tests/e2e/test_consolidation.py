# SPDX-License-Identifier: Apache-2.0
"""VCONSOLIDATE as a client meets it: what it answers, what it leaves, and what a death in its middle leaves."""

import random
import re
import signal
import struct
import threading
import time

import numpy as np
import pytest

from strengths import as_map, consolidate, keys_of, pack, strength, wire  # noqa: F401: the fixture
from wire import Closed, ErrorReply


def fill(wire, index, *words, groups=30, dim=8, metric="l2", primitive="flat", seed=1):
    """Three items near each of some points; those of one number are of one group."""
    wire.call("VNEW", index, dim, "METRIC", metric, "PRIMITIVE", primitive, *words)
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(groups, dim)) * 5
    vectors = {}
    for number in range(groups):
        for copy in range(3):
            vectors[b"%d:%d" % (number, copy)] = points[number] + rng.normal(size=dim) * 0.05
    for key, vector in vectors.items():
        given = ("STRENGTH", 1 + rng.integers(9)) if words and words[0] == "DECAY" else ()
        wire.call("VADD", index, key, pack(*vector), *given)
    return vectors


@pytest.mark.parametrize("method", ["leader", "meanshift", "kmeans"])
@pytest.mark.parametrize("primitive", ["flat", "hnsw", "lsr", "hebb"])
def test_near_items_become_their_mean(wire, primitive, method):
    if primitive == "hebb":
        wire.call("VNEW", "i", 3, "METRIC", "dot", "PRIMITIVE", "hebb")
        for key, vector in (("a", (1, 1, -1)), ("b", (1, 1, -1)), ("c", (-1, 1, 1))):
            wire.call("VADD", "i", key, pack(*vector))
        answer = consolidate(wire, "i", "RADIUS", 0, "METHOD", method)
        assert [group["members"] for group in answer["prototypes"]] == [[b"a", b"b"]]
        assert as_map(wire.call("VINFO", "i"))["size"] == 2
        return
    vectors = fill(wire, "i", primitive=primitive)
    foretold = wire.call_raw("VCONSOLIDATE", "i", "RADIUS", 1, "METHOD", method, "DRYRUN")
    assert len(keys_of(wire, "i", 8)) == len(vectors)
    assert wire.call_raw("VCONSOLIDATE", "i", "METHOD", method, "RADIUS", 1) == foretold
    assert keys_of(wire, "i", 8) == sorted(b"%d:0" % number for number in range(30))
    for number in range(30):
        mean = np.mean([vectors[b"%d:%d" % (number, copy)] for copy in range(3)], axis=0)
        found = np.frombuffer(wire.call("VGET", "i", b"%d:0" % number), "<f4")
        assert np.allclose(found, mean, atol=1e-6)
    again = consolidate(wire, "i", "RADIUS", 1, "METHOD", method)
    assert (again["items"], again["groups"], again["members"], again["prototypes"]) == (30, 0, 0, [])


def test_the_reply_tells_of_each_group(wire):
    wire.call("VNEW", "i", 1, "METRIC", "l2", "DECAY", "static")
    for key, place, gain in (("a", 0, 1), ("b", 1, 3), ("c", 9, 2), ("d", 2, 1)):
        wire.call("VADD", "i", key, pack(place), "STRENGTH", gain)
    answer = consolidate(wire, "i", "RADIUS", 1.5, "DRYRUN")
    assert (answer["items"], answer["groups"], answer["members"], answer["dropped"]) == (4, 1, 3, 0)
    group = answer["prototypes"][0]
    assert group["key"] == b"b" and group["members"] == [b"b", b"a", b"d"]
    assert float(group["strength"]) == pytest.approx(5)
    assert float(group["radius"]) == pytest.approx(1)
    assert float(group["variance"]) == pytest.approx(0.4)
    assert float(answer["beta"]) == 1
    assert float(answer["lower"]) == pytest.approx(-0.2) and float(answer["upper"]) == pytest.approx(0.5)
    assert consolidate(wire, "i", "RADIUS", 1.5, "MINSIZE", 4, "DRYRUN")["groups"] == 0
    assert consolidate(wire, "i", "RADIUS", 1.5, "KEEP", "medoid", "DRYRUN")["lower"] is None
    consolidate(wire, "i", "RADIUS", 1.5)
    assert wire.call("VGET", "i", "b") == pack(1)
    assert strength(wire, "i", "b") == pytest.approx(5) and strength(wire, "i", "c") == pytest.approx(2)


def test_a_medoid_keeps_its_key_and_its_bytes(wire):
    vectors = fill(wire, "i", "DECAY", "static", primitive="hnsw")
    stored = {key: wire.call("VGET", "i", key) for key in vectors}
    sums = [sum(strength(wire, "i", b"%d:%d" % (number, copy)) for copy in range(3)) for number in range(30)]
    answer = consolidate(wire, "i", "RADIUS", 1, "KEEP", "medoid")
    assert answer["groups"] == 30
    for group in answer["prototypes"]:
        number = int(group["key"].split(b":")[0])
        assert wire.call("VGET", "i", group["key"]) == stored[group["key"]]
        assert strength(wire, "i", group["key"]) == pytest.approx(sums[number])
        assert float(group["strength"]) == pytest.approx(sums[number])


def test_limit_takes_the_strongest_first(wire):
    fill(wire, "i", "DECAY", "static")
    whole = consolidate(wire, "i", "RADIUS", 1, "DRYRUN")["prototypes"]
    part = consolidate(wire, "i", "RADIUS", 1, "LIMIT", 7)
    assert part["prototypes"] == whole[:7]
    assert len(keys_of(wire, "i", 8)) == 90 - 14


def energies(wire, index, states, beta):
    """Of strengths themselves: VENERGY's are relative to the greatest, which a sum may be."""
    dim = len(states[0]) // 4
    greatest = max(strength(wire, index, key, *at_0(wire, index)) for key in keys_of(wire, index, dim))
    return np.array([float(wire.call("VENERGY", index, state)) for state in states]) - np.log(greatest) / beta


def at_0(wire, index):
    return ("AT", 0) if as_map(wire.call("VINFO", index))["decay"] == b"exp" else ()


def test_radius_0_leaves_the_energy_as_it_is(wire):
    for metric in ("l2", "cosine", "dot"):
        wire.call("VNEW", metric, 6, "METRIC", metric, "PRIMITIVE", "hopfield", "BETA", 2, "DECAY", "exp", 1000, "CLOCK", "logical")
        rng = np.random.default_rng(3)
        rows = rng.normal(size=(20, 6))
        near = rows.copy()
        near[:, 0] = np.nextafter(near[:, 0].astype(np.float32), np.float32(9))
        for copy, each in enumerate((rows, rows, near, rows)):
            for number, vector in enumerate(each):
                words = ("STRENGTH", rng.integers(1, 9), "AT", rng.integers(5000))
                wire.call("VADD", metric, f"{number}:{copy}", pack(*vector), *words)
        states = [pack(*state) for state in rng.normal(size=(20, 6))]
        before = energies(wire, metric, states, 2)
        answer = consolidate(wire, metric, "RADIUS", 0)
        assert all(float(group["radius"]) == 0 == float(group["variance"]) for group in answer["prototypes"])
        assert {len(group["members"]) for group in answer["prototypes"]} <= {3, 4}
        if metric != "cosine":  # where float32 may have made them one
            assert [len(group["members"]) for group in answer["prototypes"]] == [3] * 20
        assert np.allclose(energies(wire, metric, states, 2), before, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("metric", ["l2", "cosine", "dot"])
def test_the_landscape_stays_within_its_bounds(wire, metric):
    beta = 4
    rng = np.random.default_rng(5)
    for round_number in range(6):
        name = f"{metric}:{round_number}"
        wire.call("VNEW", name, 4, "METRIC", metric, "PRIMITIVE", "hopfield", "BETA", beta, "DECAY", "static")
        for number in range(40):
            wire.call("VADD", name, number, pack(*rng.normal(size=4)), "STRENGTH", rng.integers(1, 9))
        states = rng.normal(size=(50, 4)) * 2
        packed = [pack(*q) for q in states]
        before = energies(wire, name, packed, beta)
        foretold = consolidate(wire, name, "RADIUS", 0.4 + 0.2 * round_number, "DRYRUN")
        answer = consolidate(wire, name, "RADIUS", 0.4 + 0.2 * round_number)
        assert answer == foretold and float(answer["beta"]) == beta
        rise = energies(wire, name, packed, beta) - before
        lower, upper = float(answer["lower"]), float(answer["upper"])
        means = np.array([np.frombuffer(wire.call("VGET", name, group["key"]), "<f4") for group in answer["prototypes"]])
        for q, change in zip(states, rise):
            scale = 1
            if metric == "dot":
                scale = q @ q
            if metric == "l2" and len(means) > 0:
                scale = np.max(np.sum((means - q) ** 2, axis=1))
            assert lower - 1e-5 <= change <= upper * scale + 1e-5


def test_into_leaves_the_first_alone(wire):
    wire.call("VNEW", "fast", 1, "METRIC", "l2", "DECAY", "exp", 1000, "CLOCK", "logical")
    wire.call("VNEW", "slow", 1, "METRIC", "l2", "PRIMITIVE", "hnsw", "DECAY", "exp", 9000, "CLOCK", "logical")
    for key, place, gain in (("a", 0, 4), ("b", 1, 4), ("c", 9, 2)):
        wire.call("VADD", "fast", key, pack(place), "STRENGTH", gain, "AT", 1000)
    foretold = wire.call_raw("VCONSOLIDATE", "fast", "RADIUS", 2, "INTO", "slow", "AT", 2000, "DRYRUN")
    assert as_map(wire.call("VINFO", "slow"))["size"] == 0
    assert wire.call_raw("VCONSOLIDATE", "fast", "RADIUS", 2, "INTO", "slow", "AT", 2000) == foretold
    assert keys_of(wire, "fast", 1) == [b"a", b"b", b"c"] and keys_of(wire, "slow", 1) == [b"a"]
    assert wire.call("VGET", "slow", "a") == pack(0.5)
    assert strength(wire, "slow", "a", "AT", 2000) == pytest.approx(4)
    assert consolidate(wire, "fast", "RADIUS", 2, "INTO", "slow", "MINSIZE", 1, "AT", 2000)["groups"] == 2
    assert keys_of(wire, "slow", 1) == [b"a", b"c"]
    assert strength(wire, "slow", "c", "AT", 2000) == pytest.approx(1)
    wire.call("VNEW", "plain", 1, "METRIC", "l2")
    assert consolidate(wire, "fast", "RADIUS", 2, "INTO", "plain")["groups"] == 1
    assert wire.call("VGET", "plain", "a") == pack(0.5)


@pytest.mark.parametrize("decay", [("power", "0.7"), ("exp", "1000")])
def test_what_was_used_when_is_kept(wire, decay):
    wire.call("VNEW", "i", 1, "METRIC", "l2", "DECAY", *decay, "CLOCK", "logical")
    wire.call("VADD", "i", "a", pack(0), "AT", 0)
    wire.call("VTOUCH", "i", "a", "GAIN", 2, "AT", 5000)
    wire.call("VADD", "i", "b", pack(1), "AT", 3000)
    before = [strength(wire, "i", "a", "AT", at) + strength(wire, "i", "b", "AT", at) for at in (8000, 20_000)]
    told = consolidate(wire, "i", "RADIUS", 2, "AT", 8000)["prototypes"]
    assert [float(group["strength"]) for group in told] == pytest.approx(before[:1])
    assert [strength(wire, "i", "a", "AT", at) for at in (8000, 20_000)] == pytest.approx(before)
    wire.call("VADD", "i", "c", pack(0), "AT", 9000, "PIN")
    consolidate(wire, "i", "RADIUS", 2, "AT", 9000)
    [left] = keys_of(wire, "i", 1)
    assert strength(wire, "i", left, "AT", 9000) == strength(wire, "i", left, "AT", 99_000)


def test_k_says_how_many_groups(wire):
    fill(wire, "i")
    answers = [consolidate(wire, "i", "METHOD", "kmeans", "K", 10, "SEED", seed, "DRYRUN") for seed in (1, 1, 2)]
    assert answers[0] == answers[1] != answers[2]
    consolidate(wire, "i", "METHOD", "kmeans", "K", 10)
    assert len(keys_of(wire, "i", 8)) <= 10


def test_what_is_wrong_is_said(wire):
    wire.call("VNEW", "i", 2)
    wire.call("VNEW", "other", 3)
    wire.call("VNEW", "logical", 2, "DECAY", "exp", 5, "CLOCK", "logical")
    for words, error in [
        (["none", "RADIUS", 1], "no such index 'none', VNEW makes one"),
        (["i", "DRYRUN"], "RADIUS is missing: how far from each other items of a group may be"),
        (["i", "RADIUS", -1], "RADIUS must be a number, 0 or more, got '-1'"),
        (["i", "RADIUS", "nan"], "RADIUS must be a number, 0 or more, got 'nan'"),
        (["i", "RADIUS", 1, "METHOD", "x"], "METHOD must be leader, meanshift or kmeans, got 'x'"),
        (["i", "RADIUS", 1, "KEEP", "x"], "KEEP must be centroid or medoid, got 'x'"),
        (["i", "RADIUS", 1, "K", 4], "K says how many groups: it needs METHOD kmeans"),
        (["i", "RADIUS", 1, "METHOD", "kmeans", "K", 4], "K and RADIUS each say how many groups there are: give one of them"),
        (["i", "RADIUS", 1, "SEED", 4], "SEED draws what the K groups begin with, and what is replayed: it needs K or REPLAY"),
        (["i", "RADIUS", 1, "REPLAY", 9], "REPLAY tells another index what this one is reminded of: it needs INTO"),
        (["i", "RADIUS", 1, "BY", "strength"], "BY says what REPLAY draws by: it needs REPLAY"),
        (["i", "RADIUS", 1, "REPLAY", 9, "BY", "x"], "BY must be strength or langevin, got 'x'"),
        (["i", "RADIUS", 1, "REPLAY", 1_000_000, "BY", "langevin"], "REPLAY times WALK is at most 10000000, got 20000000"),
        (["i", "RADIUS", 1, "REPLAY", 9, "WALK", 5], "WALK and TEMPERATURE are of walks in the energy: they need REPLAY BY langevin"),
        (["i", "RADIUS", 1, "REPLAY", 9, "BY", "langevin", "TEMPERATURE", 0], "TEMPERATURE must be a number greater than 0, got '0'"),
        (["i", "RADIUS", 1, "INTO", "i"], "INTO names the index itself: without INTO its groups become one item each"),
        (["i", "RADIUS", 1, "INTO", "other"], "index 'other' has another dimension or metric than 'i'"),
        (["i", "RADIUS", 1, "INTO", "logical"], "index 'logical' has CLOCK logical: a write must say AT milliseconds"),
        (["i", "RADIUS", 1, "AT", 4], "strengths of index 'i' do not change with time, so there is no AT"),
        (["i", "RADIUS", 1, "EF", 4], "unknown option 'EF', known options are RADIUS, METHOD, K, SEED, KEEP, INTO, REPLAY, BY, WALK, TEMPERATURE, MINSIZE, AT, LIMIT"),
        (["i", "RADIUS"], "option 'RADIUS' has no value"),
    ]:
        reply = wire.call("VCONSOLIDATE", *words)
        assert isinstance(reply, ErrorReply) and str(reply) == f"ERR {error}", (words, reply)
    wire.call("MULTI")
    assert isinstance(wire.call("VCONSOLIDATE", "i", "RADIUS", 1), ErrorReply)
    wire.call("DISCARD")


def test_writes_meanwhile_are_not_lost(wire, server):
    """What a client was told of stays: a new vector, a touch; and what it erased is gone."""
    fill(wire, "i", "DECAY", "static", groups=200, primitive="hnsw")
    sums = sum(strength(wire, "i", key) for key in keys_of(wire, "i", 8))
    touched, written, erased, stop = [0.0], {}, set(), threading.Event()

    def write():
        rng = random.Random(4)
        with server.wire() as other:
            while not stop.is_set():
                number = rng.randrange(200)
                key = b"%d:%d" % (number, rng.randrange(3))
                chance = rng.random()
                if chance < 0.6:
                    [now] = other.call("VTOUCH", "i", key, "GAIN", 1)
                    touched[0] += now is not None
                elif chance < 0.8:
                    fresh = b"new:%d" % len(written)
                    written[fresh] = pack(*[100.0 + 10 * len(written)] * 8)
                    other.call("VADD", "i", fresh, written[fresh])
                else:
                    fresh = b"gone:%d" % len(erased)
                    other.call("VADD", "i", fresh, pack(*[-100.0 - 10 * len(erased)] * 8))
                    assert other.call("VDEL", "i", fresh) == 1
                    erased.add(fresh)

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.05)
    dropped = sum(consolidate(wire, "i", "RADIUS", 1)["dropped"] for _ in range(3))
    stop.set()
    writer.join()
    left = keys_of(wire, "i", 8)
    assert consolidate(wire, "i", "RADIUS", 1)["groups"] <= dropped
    left = keys_of(wire, "i", 8)
    assert set(written) <= set(left) and not erased & set(left)
    assert all(wire.call("VGET", "i", key) == vector for key, vector in written.items())
    assert len(left) == 200 + len(written)
    assert sum(strength(wire, "i", key) for key in left) == pytest.approx(sums + touched[0] + len(written))


def test_overwrites_drop_their_groups(wire, server):
    fill(wire, "i", groups=400)
    stop, last, count = threading.Event(), {}, [0]

    def write():
        rng = random.Random(4)
        with server.wire() as other:
            while not stop.is_set():
                key = b"%d:%d" % (rng.randrange(400), rng.randrange(3))
                count[0] += 1
                last[key] = pack(*[1000.0 + 10 * count[0]] * 8)
                other.call("VADD", "i", key, last[key])

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.05)
    for _ in range(5):
        consolidate(wire, "i", "RADIUS", 1)
    stop.set()
    writer.join()
    assert all(wire.call("VGET", "i", key) == vector for key, vector in last.items())


def groups_left(wire, vectors, index="i"):
    """Whether each group is whole, or one; anything else is an error."""
    ones = 0
    left = keys_of(wire, index, 8)
    for number in range(len(vectors) // 3):
        mine = [b"%d:%d" % (number, copy) for copy in range(3)]
        there = [key for key in mine if key in left]
        total = sum(strength(wire, index, key) for key in there)
        assert total == pytest.approx(6), (number, there, total)
        if len(there) == 1:
            ones += 1
            mean = np.mean([vectors[key] * weight for key, weight in zip(mine, (3, 2, 1))], axis=0) / 2
            assert there == [mine[0]]
            assert np.allclose(np.frombuffer(wire.call("VGET", index, there[0]), "<f4"), mean, atol=1e-5)
        else:
            assert there == mine
            for key in mine:
                assert wire.call("VGET", index, key) == pack(*vectors[key])
    return ones


@pytest.mark.parametrize("primitive", ["flat", "hnsw"])
def test_a_death_leaves_each_group_whole_or_one(start, reopen, primitive):
    server = start("--fsync", "always")
    rng = np.random.default_rng(8)
    vectors = {}
    with server.wire() as wire:
        wire.call("VNEW", "i", 8, "METRIC", "l2", "PRIMITIVE", primitive, "DECAY", "static")
        for number in range(100):
            point = rng.normal(size=8) * 9
            for copy in range(3):
                key = b"%d:%d" % (number, copy)
                vectors[key] = (point + rng.normal(size=8) * 0.05).astype(np.float32)
                wire.send("VADD", "i", key, pack(*vectors[key]), "STRENGTH", 3 - copy)
        assert [wire.read() for _ in vectors] == [1] * 300
    met = set()
    for attempt in range(5):
        with server.wire() as wire:
            if attempt == 2:
                wire.call("BGSAVE")
            consolidator = threading.Thread(target=lambda: consolidate_until_death(server))
            consolidator.start()
            time.sleep(0.002 + 0.01 * attempt * rng.random())
            server.send_signal(signal.SIGKILL)
            server.wait()
            consolidator.join()
        server = reopen(server, "--fsync", "always")
        with server.wire() as wire:
            met.add(groups_left(wire, vectors))
    with server.wire() as wire:
        frames = last_frame(wire)
        assert consolidate(wire, "i", "RADIUS", 1)["groups"] == last_frame(wire) - frames
        assert groups_left(wire, vectors) == 100
        before = [wire.call("VGET", "i", key) for key in keys_of(wire, "i", 8)]
    server.send_signal(signal.SIGKILL)
    server.wait()
    with reopen(server).wire() as wire:
        assert groups_left(wire, vectors) == 100
        assert [wire.call("VGET", "i", key) for key in keys_of(wire, "i", 8)] == before


def last_frame(wire):
    return int(re.search(rb"journal_last_lsn:(\d+)", wire.call("INFO", "persistence")).group(1))


def test_a_shutdown_does_not_wait(start):
    server = start()
    with server.wire() as wire:
        wire.call("VNEW", "i", 8, "METRIC", "l2", "PRIMITIVE", "flat")
        rows = np.random.default_rng(1).normal(size=(20_000, 8)).astype("<f4")
        wire.call("VMADD", "i", *[word for number, row in enumerate(rows) for word in (number, row.tobytes())])
        wire.send("VCONSOLIDATE", "i", "RADIUS", 0.8, "METHOD", "meanshift")
        with server.wire() as other:
            while as_map(other.call("VINFO", "i"))["consolidating"] == b"no":
                pass
        begun = time.monotonic()
        server.end()
        assert time.monotonic() - begun < 10


def test_a_dropped_index_is_not_consolidated_further(wire, server):
    wire.call("VNEW", "i", 8, "METRIC", "l2", "PRIMITIVE", "flat")
    rows = np.random.default_rng(1).normal(size=(20_000, 8)).astype("<f4")
    wire.call("VMADD", "i", *[word for number, row in enumerate(rows) for word in (number, row.tobytes())])
    with server.wire() as other:
        other.send("VCONSOLIDATE", "i", "RADIUS", 0.8, "METHOD", "meanshift")
        while as_map(wire.call("VINFO", "i"))["consolidating"] == b"no":
            pass
        wire.call("VDROP", "i")
        reply = other.read()
    assert isinstance(reply, ErrorReply) and "was dropped while it was consolidated" in str(reply)


def test_names_may_expire_while_groups_are_written(wire):
    fill(wire, "zzz", groups=20)
    for number in range(300):
        wire.call("VNEW", f"a:{number}", 8, "METRIC", "l2", "PRIMITIVE", "flat")
        wire.call("PEXPIRE", f"a:{number}", 1 + number // 3)
    for _ in range(60):
        wire.call("RENAME", "zzz", "zz")
        wire.send("VCONSOLIDATE", "zz", "RADIUS", 0)
        wire.send("RENAME", "zz", "zzz")
        assert not isinstance(wire.read(), ErrorReply)
        assert wire.read() == "OK"


def test_writes_to_others_drop_no_group_where_order_matters(wire, server):
    fill(wire, "i", groups=50, primitive="palimpsest")
    stop = threading.Event()

    def write():
        with server.wire() as other:
            while not stop.is_set():
                other.call("VADD", "i", "stranger", pack(*[1000.0] * 8))

    writer = threading.Thread(target=write)
    writer.start()
    answer = consolidate(wire, "i", "RADIUS", 1)
    stop.set()
    writer.join()
    assert answer["dropped"] == 0 and answer["groups"] == 50


def consolidate_until_death(server):
    try:
        with server.wire() as wire:
            wire.call("VCONSOLIDATE", "i", "RADIUS", 1, "LIMIT", 25)
    except (Closed, OSError):
        pass


def test_progress_is_shown_and_others_are_answered(wire, server):
    rng = np.random.default_rng(1)
    wire.call("VNEW", "i", 8, "METRIC", "l2", "PRIMITIVE", "flat")
    rows = rng.normal(size=(3_000, 8)).astype("<f4")
    wire.call("VMADD", "i", *[word for number, row in enumerate(rows) for word in (number, row.tobytes())])
    assert as_map(wire.call("VINFO", "i"))["consolidating"] == b"no"
    seen, waits = [], []
    consolidator = threading.Thread(target=lambda: _consolidate_slowly(server))
    consolidator.start()
    while consolidator.is_alive():
        info = as_map(wire.call("VINFO", "i"))
        if info["consolidating"] != b"no":
            seen.append((info["consolidating"], info["consolidation-done"], info["consolidation-of"]))
            if len(seen) == 3:
                assert b"consolidations:i=" in wire.call("INFO", "stats")
                reply = wire.call("VCONSOLIDATE", "i", "RADIUS", 1)
                assert isinstance(reply, ErrorReply) and "is being consolidated already" in str(reply)
        begun = time.monotonic()
        wire.call("PING")
        waits.append(time.monotonic() - begun)
    consolidator.join()
    assert len(seen) > 3 and seen == sorted(seen, key=lambda entry: (entry[0] != b"grouping", entry[1]))
    assert np.median(waits) < 0.05


def _consolidate_slowly(server):
    with server.wire() as wire:
        answer = consolidate(wire, "i", "RADIUS", 0.8, "METHOD", "meanshift")
        assert answer["items"] == 3_000
