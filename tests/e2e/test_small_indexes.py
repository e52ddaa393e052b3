# SPDX-License-Identifier: Apache-2.0
"""Many small indexes: what they cost, and that a snapshot in which they share sections is as good as
one in which each has its own."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from live import SANITIZED
from wire import ErrorReply

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "small_indexes.py"
PRIMITIVES = ["hnsw", "flat", "hopfield"]
SHARED = 300  # more than may have sections of their own


def vector(number):
    return struct.pack("<4f", number, 1, 2, 3)


def fill(wire, count):
    for number in range(count):
        primitive = PRIMITIVES[number % len(PRIMITIVES)]
        wire.call("VNEW", f"i{number}", 4, "METRIC", "l2", "PRIMITIVE", primitive)
        wire.call("VMADD", f"i{number}", "a", vector(number), "b", vector(number + 0.5))
        if number % 5 == 0:
            wire.call("VDEL", f"i{number}", "a")


def assert_filled(wire, numbers):
    for number in numbers:
        expected = [b"b"] if number % 5 == 0 else [b"a", b"b"]
        assert wire.call("VSEARCH", f"i{number}", vector(number), 9)[::2] == expected
        assert wire.call("VGET", f"i{number}", "b") == vector(number + 0.5)


def test_small_indexes_that_share_sections_come_back(start, reopen):
    server = start()
    with server.wire() as wire:
        fill(wire, SHARED)
        wire.call("VNEW", "large", 64, "METRIC", "l2")
        rows = [struct.pack("<64f", *([number] * 64)) for number in range(300)]
        wire.call("VMADD", "large", *[x for n, row in enumerate(rows) for x in (f"k{n}", row)])
        assert wire.call("VSAVE") == "OK"
        wire.call("VMADD", "i1", "later", vector(-1))
    for _ in range(2):
        server.end()
        server = reopen(server)
        with server.wire() as wire:
            assert_filled(wire, [n for n in range(SHARED) if n != 1])
            assert wire.call("VSEARCH", "large", rows[7], 1)[0] == b"k7"
            assert wire.call("VGET", "i1", "later") == vector(-1)
            assert wire.call("VSAVE") == "OK"
    # Fewer have sections of their own again, and the file says so no more.
    with server.wire() as wire:
        for number in range(100, SHARED):
            wire.call("VDROP", f"i{number}")
        assert wire.call("VSAVE") == "OK"
    server.end()
    server = reopen(server)
    with server.wire() as wire:
        assert_filled(wire, [n for n in range(100) if n != 1])


def test_damage_in_a_shared_section_costs_one_index_at_most(start, reopen):
    server = start()
    with server.wire() as wire:
        fill(wire, SHARED)
        assert wire.call("VSAVE") == "OK"
    server.end()
    snapshot = server.folder / "snapshot.engram"
    content = bytearray(snapshot.read_bytes())
    at = content.index(vector(123.5))
    content[at] ^= 1
    snapshot.write_bytes(content)
    server = reopen(server)
    with server.wire() as wire:
        assert_filled(wire, [n for n in range(SHARED) if n != 123])
        # Where the snapshot before is there to fall back to, with its journal, nothing is lost at all.
        answer = wire.call("VGET", "i123", "b")
        if isinstance(answer, ErrorReply):
            assert "damaged" in str(answer)
            assert wire.call("VDROP", "i123") in (1, "OK")
        else:
            assert answer == vector(123.5)
        assert wire.call("VSAVE") == "OK"


@pytest.mark.long
@pytest.mark.skipif(SANITIZED, reason="the allocator of a sanitizer takes several times as much")
def test_ten_thousand_small_indexes_cost_what_they_hold(tmp_path):
    report = tmp_path / "report.json"
    command = [sys.executable, str(SCRIPT), "--server", os.environ["ENGRAM_SERVER"]]
    sizes = ["--indexes", "10000", "--searches", "2000", "--output", str(report)]
    subprocess.run([*command, *sizes], check=True, timeout=120)
    costs = json.loads(report.read_text())["costs"]
    assert costs["bytes_per_index"] < 15_000
    assert costs["file_bytes"] < 10_000 * 4_096
    assert max(costs["mappings"], costs["mappings_started"]) < 1_000
    assert costs["save"] < 5
    assert costs["start"] < 5
    assert costs["list"] < 1
    assert costs["search_p99_ms"] < 50
