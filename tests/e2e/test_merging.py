# SPDX-License-Identifier: Apache-2.0
"""VNEW ... MERGE: an index that consolidates itself."""

import signal
import threading

import pytest

from strengths import HOUR_MS, as_map, make, pack, stat, strength, until, wire  # noqa: F401: the fixture


def size(wire, index="i"):
    return as_map(wire.call("VINFO", index))["size"]


def fill(wire, groups=range(20), index="i"):
    """Three items near each of some points, of which the last is the strongest, also if the others are one."""
    for group in groups:
        for gain in (1, 2, 4):
            vector = pack(10 * group + gain / 100, 0)
            assert wire.call("VADD", index, f"{group}:{gain}", vector, "STRENGTH", gain) == 1


@pytest.mark.parametrize("primitive", ["flat", "hnsw"])
def test_what_lies_near_becomes_one_as_strong_as_all(start, reopen, primitive):
    server = start("--fsync", "always")
    with server.wire() as wire:
        make(wire, "DECAY", "static", "MERGE", 1, "EVERY", 30, primitive=primitive)
        fill(wire)
        until(lambda: stat(wire, "merged_items") == 40)
        info = as_map(wire.call("VINFO", "i"))
        assert (info["merge-radius"], info["merged-items"]) == (1, 40)
        assert stat(wire, "merged_items") == 40
        assert [strength(wire, "i", f"{group}:4") for group in range(20)] == pytest.approx([7] * 20)
        wire.call("VADD", "i", "late", pack(0.5, 0))
        until(lambda: wire.call("VGET", "i", "late") is None)
        assert strength(wire, "i", "0:4") == pytest.approx(8)
        assert wire.call("SET", "last", 1) == "OK"  # what was recorded before is on disk, too
    server.send_signal(signal.SIGKILL)
    server.wait()
    with reopen(server).wire() as wire:
        assert size(wire) == 20 and strength(wire, "i", "0:4") == pytest.approx(8)
        wire.call("VADD", "i", "later", pack(0.5, 0))
        until(lambda: wire.call("VGET", "i", "later") is None)
        assert strength(wire, "i", "0:4") == pytest.approx(9)


def test_it_merges_first_and_forgets_then(wire):
    """By the clock of its writes. Alone, each of the many would be too weak to stay."""
    make(wire, "DECAY", "exp", HOUR_MS, "CLOCK", "logical", "MERGE", 1, "FLOOR", 2, "EVERY", 1000)
    for key in range(5):
        wire.call("VADD", "i", key, pack(key / 100, 0), "AT", 0)
    wire.call("VADD", "i", "alone", pack(9, 0), "AT", 0)
    wire.call("VADD", "i", "strong", pack(99, 0), "STRENGTH", 9, "AT", 5000)
    until(lambda: size(wire) == 2)
    assert wire.call("VGET", "i", "alone") is None
    assert strength(wire, "i", "0", "AT", 0) == pytest.approx(5)


def test_a_budget_is_kept_while_it_merges(wire):
    """No two lie near each other, so it compares each with each, which lasts."""
    make(wire, "DECAY", "static", "MERGE", 0.1, "BUDGET", 30_000, "EVERY", 20)
    for key in range(32_000):
        wire.send("VADD", "i", key, pack(key, 0))
    assert [wire.read() for _ in range(32_000)] == [1] * 32_000
    number = 32_000

    def progress():
        """Of the comparing, as a share; none if it is not at that."""
        info = as_map(wire.call("VINFO", "i"))
        if info["consolidating"] != b"grouping":
            return -1
        return info["consolidation-done"] / max(1, info["consolidation-of"])

    def has_forgotten_beside_it():
        nonlocal number
        number += 1
        wire.call("VADD", "i", number, pack(number, 0))
        until(lambda: 0.4 < progress() < 0.8, 120)
        before = progress()
        number += 1
        wire.call("VADD", "i", number, pack(number, 0))
        until(lambda: size(wire) <= 30_000)
        return 0 < before <= progress()

    until(has_forgotten_beside_it, 60)


def test_what_is_pinned_stays(wire):
    make(wire, "DECAY", "static", "MERGE", 1, "EVERY", 20)
    wire.call("VADD", "i", "pinned", pack(0.1, 0), "PIN")
    for key in range(3):
        wire.call("VADD", "i", key, pack(key / 10, 0), "STRENGTH", 9 - key)
    until(lambda: size(wire) == 2)
    assert wire.call("VGET", "i", "pinned") is not None and strength(wire, "i", "0") == pytest.approx(24)


def test_writes_beside_it_are_not_lost(wire, server):
    """The sum of all strengths is what was added, whatever became one meanwhile."""
    make(wire, "DECAY", "static", "MERGE", 0.5, "EVERY", 1, primitive="hnsw")

    def write(writer):
        with server.wire() as own:
            for number in range(300):
                assert own.call("VADD", "i", f"{writer}:{number}", pack(number % 7, writer / 100)) == 1

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    until(lambda: size(wire) == 7)
    kept = wire.call("VSEARCH", "i", pack(0, 0), 100)[::2]
    assert sum(strength(wire, "i", key) for key in kept) == pytest.approx(1200)


def test_an_index_may_go_or_get_another_name_while_it_merges(start, reopen):
    server = start("--fsync", "always")
    with server.wire() as wire:
        for round in range(20):
            make(wire, "DECAY", "static", "MERGE", 1, "EVERY", 1)
            fill(wire)
            wire.call(*(("VDROP", "i") if round % 2 else ("FLUSHALL",)))
        make(wire, "DECAY", "static", "MERGE", 1, "EVERY", 1)
        fill(wire, range(5))
        assert wire.call("RENAME", "i", "j") == "OK"
        fill(wire, range(5, 20), "j")
        until(lambda: size(wire, "j") == 20)
        assert wire.call("SET", "last", 1) == "OK"
    server.send_signal(signal.SIGKILL)
    server.wait()
    with reopen(server).wire() as wire:
        assert size(wire, "j") == 20 and wire.call("VINFO", "i") is None
