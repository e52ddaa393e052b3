# SPDX-License-Identifier: Apache-2.0
"""VADD UNLESS WITHIN: what lies near is not stored again."""

import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from strengths import HOUR_MS, as_map, make, pack, rows, strength, wire  # noqa: F401: the fixture
from wire import ErrorReply


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
