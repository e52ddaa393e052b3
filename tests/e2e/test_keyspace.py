# SPDX-License-Identifier: Apache-2.0
"""Keys as a whole: renamed indexes, idle times, memory, and that a restart brings back what commands over
strings and keys have left."""

import os
import random
import signal
import time

import pytest

from random_transactions import KEYS, Dialogue
from wire import ErrorReply, encode

VECTOR = bytes([0, 0, 128, 63]) * 2


def test_a_renamed_index_takes_the_place_of_another(server):
    with server.wire() as wire:
        assert wire.call("VNEW", "served", 2, "METRIC", "l2") == "OK"
        assert wire.call("VNEW", "built", 2, "METRIC", "l2") == "OK"
        assert wire.call("VADD", "built", "a", VECTOR) == 1
        assert wire.call("EXPIRE", "built", 1000) == 1
        assert wire.call("RENAMENX", "built", "served") == 0
        assert wire.call("RENAME", "built", "served") == "OK"
        assert wire.call("VLIST") == [b"served"]
        assert wire.call("TTL", "served") == 1000
        assert wire.call("VSEARCH", "served", VECTOR, 1) == [b"a", b"0"]
        assert wire.call("RENAME", "served", "served") == "OK"
        assert wire.call("COPY", "served", "copy") == ErrorReply(
            "ERR 'served' is an index, and only strings can be copied"
        )
        assert wire.call("SET", "text", "x") == "OK"
        assert wire.call("RENAME", "text", "served") == "OK"
        assert wire.call("TYPE", "served") == "string"
        assert wire.call("VLIST") == []


def test_renaming_breaks_a_watch_of_both_names(server):
    with server.wire() as wire, server.wire() as other:
        assert other.call("VNEW", "index", 2) == "OK"
        for watched, start, end in [("index", "index", "new"), ("index", "new", "index"), ("x", "index", "x")]:
            assert wire.call("WATCH", watched) == "OK"
            assert other.call("RENAME", start, end) == "OK"
            assert wire.call("MULTI") == "OK"
            assert wire.call("PING") == "QUEUED"
            assert wire.call("EXEC") is None


@pytest.mark.parametrize("saves", [[], ["before"], ["after"], ["before", "after"]], ids=str)
def test_a_renamed_index_survives_a_crash(start, reopen, saves):
    server = start("--fsync", "always")
    with server.wire() as wire:
        for name in ("one", "two"):
            assert wire.call("VNEW", name, 2, "METRIC", "l2", "PRIMITIVE", "flat") == "OK"
        assert wire.call("VADD", "one", "a", VECTOR) == 1
        if "before" in saves:
            assert wire.call("VSAVE") == "OK"
        assert wire.call("VADD", "one", "b", VECTOR) == 1
        assert wire.call("RENAME", "one", "two") == "OK"
        assert wire.call("VADD", "two", "c", VECTOR) == 1
        assert wire.call("RENAME", "two", "one") == "OK"
        assert wire.call("EXPIRE", "one", 1000) == 1
        assert wire.call("RENAME", "one", "three") == "OK"
        assert wire.call("VNEW", "one", 2, "PRIMITIVE", "flat") == "OK"
        assert wire.call("VADD", "one", "d", VECTOR) == 1
        if "after" in saves:
            assert wire.call("VSAVE") == "OK"
        assert wire.call("VADD", "three", "e", VECTOR) == 1
    server.send_signal(signal.SIGKILL)
    server.wait()
    with reopen(server).wire() as wire:
        assert wire.call("VLIST") == [b"one", b"three"]
        assert wire.call("VSEARCH", "three", VECTOR, 9)[::2] == [b"a", b"b", b"c", b"e"]
        assert wire.call("VSEARCH", "one", VECTOR, 9)[::2] == [b"d"]
        assert 900 < wire.call("TTL", "three") <= 1000
        assert wire.call("TTL", "one") == -1


def contents(wire):
    return [(wire.call("GET", key), wire.call("PEXPIRETIME", key)) for key in KEYS]


def test_replay_and_snapshots_repeat_every_write(start, reopen, capsys):
    """ENGRAM_TEST_SEED=<seed> repeats a run."""
    seed = int(os.environ.get("ENGRAM_TEST_SEED", random.SystemRandom().getrandbits(32)))
    with capsys.disabled():
        print(f"ENGRAM_TEST_SEED={seed}", flush=True)
    rng = random.Random(seed)
    server = start("--fsync", "always")
    dialogue = Dialogue(rng, 1)
    for _ in range(4):
        with server.wire() as wire:
            for _ in range(150):
                commands = [rng.choice(dialogue._writes()) for _ in range(rng.choice([1, 5]))]
                if rng.random() < 0.5:
                    commands = [("MULTI",), *commands, ("EXEC",)]
                if rng.random() < 0.05:
                    commands.append(("BGSAVE",))
                wire.send_bytes(b"".join(encode(*command) for command in commands))
                for _ in commands:
                    wire.read()
            expected = contents(wire)
        server.send_signal(signal.SIGKILL)
        server.wait()
        server = reopen(server, "--fsync", "always")
        with server.wire() as wire:
            assert contents(wire) == expected, f"seed {seed}"


def test_reading_ends_idleness_and_looking_does_not(server):
    with server.wire() as wire, server.wire() as gentle:
        assert gentle.call("CLIENT", "NO-TOUCH", "ON") == "OK"
        assert wire.call("MSET", "a", "text", "b", "text") == "OK"
        assert wire.call("VNEW", "index", 2) == "OK"
        time.sleep(2.1)
        for command in ("EXISTS a", "TTL a", "TYPE a", "OBJECT ENCODING a", "MEMORY USAGE a", "SCAN 0", "KEYS *", "EXPIRETIME a"):
            wire.call(*command.split())
        gentle.call("GET", "a")
        gentle.call("MGET", "a")
        for key in ("a", "b", "index"):
            assert wire.call("OBJECT", "IDLETIME", key) >= 2
        wire.call("GET", "a")
        gentle.call("TOUCH", "b")
        wire.call("VSEARCH", "index", VECTOR, 1)
        for key in ("a", "b", "index"):
            assert wire.call("OBJECT", "IDLETIME", key) <= 1


def test_memory_of_keys_is_what_they_hold(server):
    with server.wire() as wire:
        assert wire.call("SET", "a", "x" * 100_000) == "OK"
        assert 100_000 < wire.call("MEMORY", "USAGE", "a") < 101_000
        assert wire.call("SET", "a", 1) == "OK"
        assert 16 <= wire.call("MEMORY", "USAGE", "a") < 200
        assert wire.call("VNEW", "index", 256, "PRIMITIVE", "flat") == "OK"
        empty = wire.call("MEMORY", "USAGE", "index", "SAMPLES", 0)
        for number in range(1000):
            wire.send("VADD", "index", number, bytes([0, 0, 128, 63]) * 256)
        assert [wire.read() for _ in range(1000)] == [1] * 1000
        assert wire.call("MEMORY", "USAGE", "index") - empty > 1000 * 256 * 4 / 2
        assert wire.call("OBJECT", "ENCODING", "index") == b"raw"


def test_random_keys_are_random(server):
    with server.wire() as wire:
        names = [b"k%d" % number for number in range(20)]
        assert wire.call("MSET", *[part for name in names for part in (name, 1)]) == "OK"
        assert wire.call("SET", "gone", 1, "PXAT", 1) == "OK"
        drawn = [wire.call("RANDOMKEY") for _ in range(1000)]
        assert sorted(set(drawn)) == sorted(names)
        assert all(20 <= drawn.count(name) <= 100 for name in names)
