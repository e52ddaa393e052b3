# SPDX-License-Identifier: Apache-2.0
"""Attributes as a client meets them: VADD SETATTR, VSETATTR and VGETATTR, what is refused, and that they stay."""

import signal

import pytest

from live import SANITIZED
from strengths import as_map, make, pack
from wire import ErrorReply


def facts(wire):
    reply = wire.call("VINFO", "i")
    return reply if isinstance(reply, dict) else as_map(reply)


def count(wire):
    return facts(wire)["attributes-count"]


def test_replies_are_those_of_redis(wire, protocol):
    make(wire)
    wire.call("VADD", "i", "a", pack(1, 0))
    yes, no = (b":1\r\n", b":0\r\n") if protocol == 2 else (b"#t\r\n", b"#f\r\n")
    null = b"$-1\r\n" if protocol == 2 else b"_\r\n"
    assert wire.call_raw("VSETATTR", "i", "a", '{"x": 1}') == yes
    assert wire.call_raw("VGETATTR", "i", "a") == b'$8\r\n{"x": 1}\r\n'
    for key in (("i", "none"), ("none", "a")):
        assert wire.call_raw("VSETATTR", *key, "{}") == no
        assert wire.call_raw("VGETATTR", *key) == null
    assert wire.call_raw("VSETATTR", "i", "a", "") == yes
    assert wire.call_raw("VGETATTR", "i", "a") == null
    assert wire.call_raw("VSETATTR", "i", "a", "") == yes
    wire.call("SET", "s", "text")
    for command in (("VSETATTR", "s", "a", "{}"), ("VGETATTR", "s", "a")):
        assert str(wire.call(*command)).startswith("WRONGTYPE")


def test_an_overwrite_keeps_them_and_an_erase_does_not(wire):
    make(wire, primitive="hnsw")
    assert wire.call("VADD", "i", "a", pack(1, 0), "SETATTR", '{"x":1}') == 1
    assert wire.call("VADD", "i", "a", pack(2, 0)) == 0
    assert wire.call("VMADD", "i", "a", pack(2, 1), "b", pack(3, 1)) == 1
    assert wire.call("VGETATTR", "i", "a") == b'{"x":1}' and count(wire) == 1
    assert wire.call("VADD", "i", "a", pack(2, 0), "setattr", '{"x":2}') == 0
    assert wire.call("VGETATTR", "i", "a") == b'{"x":2}'
    assert wire.call("VADD", "i", "a", pack(2, 0), "SETATTR", "") == 0
    assert wire.call("VGETATTR", "i", "a") is None and count(wire) == 0
    wire.call("VSETATTR", "i", "b", "{}")
    assert wire.call("VDEL", "i", "b") == 1
    wire.call("VADD", "i", "b", pack(3, 1))
    assert wire.call("VGETATTR", "i", "b") is None


def test_other_options_go_with_them(wire):
    make(wire, "DECAY", "static")
    assert wire.call("VADD", "i", "a", pack(1, 0), "STRENGTH", 4, "SETATTR", '{"x":1}', "PIN") == 1
    assert wire.call("VADD", "i", "b", pack(1, 0), "SETATTR", '{"x":2}', "UNLESS", "WITHIN", 0.5) == b"a"
    assert wire.call("VGETATTR", "i", "b") is None
    assert wire.call("VADD", "i", "b", pack(5, 0), "UNLESS", "WITHIN", 0.5, "SETATTR", '{"x":2}') == 1
    assert wire.call("VADD", "i", "a", pack(9, 0), "KEEPSTRENGTH", "SETATTR", '{"x":3}') == 0
    assert [wire.call("VGETATTR", "i", key) for key in "ab"] == [b'{"x":3}', b'{"x":2}']


def test_what_is_no_json_object_is_refused_by_what_it_is(wire):
    make(wire)
    wire.call("VADD", "i", "a", pack(1, 0), "SETATTR", '{"x":1}')
    deep = '{"x":' + "[" * 32 + "1" + "]" * 32 + "}"
    for given, said in [
        ("[1]", "is an array"),
        ("5", "is a number"),
        ('"text"', "is a string"),
        ("null", "is null"),
        ("true", "is a boolean"),
        ("text", "is not JSON"),
        ("{'x':1}", "is not JSON"),
        ('{"x":1}}', "is not JSON"),
        (" ", "is not JSON"),
        (b'{"x":"\xff"}', "is not UTF-8"),
        ('{"x":1e999}', "has a number that is malformed or out of range"),
        (deep, "is nested more than 32 levels deep"),
        ('{"x":"' + "y" * 65_536 + '"}', "is longer than 65536 bytes"),
    ]:
        error = f"ERR attributes must be a JSON object; what was given {said}"
        for command in [
            ("VSETATTR", "i", "a", given),
            ("VSETATTR", "none", "a", given),
            ("VADD", "i", "b", pack(1, 0), "SETATTR", given),
            ("VADD", "i", "b", pack(5, 0), "SETATTR", given, "UNLESS", "WITHIN", 1),
        ]:
            reply = wire.call(*command)
            assert isinstance(reply, ErrorReply) and str(reply) == error, (command[:2], given[:9], reply)
    assert wire.call("VGETATTR", "i", "a") == b'{"x":1}'
    assert wire.call("VGET", "i", "b") is None
    reply = wire.call("VADD", "i", "b", pack(1, 0), "SETATTR", "{}", "setattr", "{}")
    assert str(reply) == "ERR option SETATTR is given twice"
    assert "wrong number of arguments" in wire.call("VADD", "i", "b", pack(1, 0), "SETATTR")
    assert "wrong number of arguments" in wire.call("VSETATTR", "i", "b")


def test_a_write_counts_that_is_not_answered_yet(wire):
    make(wire, primitive="hnsw")
    for turn in range(50):
        wire.send("VADD", "i", turn, pack(turn, 0))
        wire.send("VSETATTR", "i", turn, '{"turn":%d}' % turn)
        wire.send("VADD", "i", turn, pack(turn, 1))
        wire.send("VDEL", "i", turn - 1)
        wire.send("VSETATTR", "i", turn - 1, "{}")
    for turn in range(50):
        assert [wire.read() for _ in range(5)] == [1, 1, 0, int(turn > 0), 0]
        if turn == 49:
            assert wire.call("VGETATTR", "i", 49) == b'{"turn":49}'


def test_transactions_know_them(wire, server):
    make(wire)
    wire.call("VADD", "i", "a", pack(1, 0))
    with server.wire() as other:
        wire.call("WATCH", "i")
        assert other.call("VSETATTR", "i", "a", '{"x":1}') == 1
        wire.call("MULTI")
        wire.call("VSETATTR", "i", "a", '{"x":2}')
        assert wire.call("EXEC") is None
        assert other.call("VGETATTR", "i", "a") == b'{"x":1}'
    wire.call("MULTI")
    wire.call("VADD", "i", "b", pack(1, 1), "SETATTR", '{"x":3}')
    wire.call("VSETATTR", "i", "a", "")
    wire.call("VGETATTR", "i", "a")
    wire.call("VSETATTR", "i", "none", "{}")
    assert wire.call("EXEC") == [1, 1, None, 0]
    assert wire.call("VGETATTR", "i", "b") == b'{"x":3}'


@pytest.mark.parametrize("keep", ["centroid", "medoid"])
def test_consolidation_keeps_those_of_the_key_that_it_keeps(wire, keep):
    make(wire, "DECAY", "static")
    make(wire, index="j")
    wire.call("VADD", "i", "a", pack(1, 0), "STRENGTH", 2, "SETATTR", '{"x":1}')
    wire.call("VADD", "i", "b", pack(1.125, 0), "SETATTR", '{"x":2}')
    wire.call("VADD", "i", "far", pack(9, 0))
    wire.call("VADD", "j", "far", pack(9, 0), "SETATTR", '{"its":"own"}')
    wire.call("VCONSOLIDATE", "i", "RADIUS", 0.5, "KEEP", keep, "INTO", "j")
    assert wire.call("VGETATTR", "j", "a") == b'{"x":1}'
    assert wire.call("VGETATTR", "j", "far") == b'{"its":"own"}'
    wire.call("VCONSOLIDATE", "i", "RADIUS", 0.5, "KEEP", keep)
    assert wire.call("VGET", "i", "b") is None
    assert wire.call("VGETATTR", "i", "a") == b'{"x":1}'


def test_what_is_forgotten_leaves_none(wire):
    make(wire, "DECAY", "static")
    wire.call("VADD", "i", "weak", pack(1, 0), "STRENGTH", 0.1, "SETATTR", "{}")
    wire.call("VFORGET", "i", "BELOW", 0.5)
    wire.call("VADD", "i", "weak", pack(1, 0))
    assert wire.call("VGETATTR", "i", "weak") is None


def test_their_memory_is_shown(wire):
    make(wire)
    for key in range(100):
        wire.call("VADD", "i", key, pack(1, key), "SETATTR", '{"text":"%s"}' % ("x" * 10_000))
    told = facts(wire)
    assert told["attributes-count"] == 100
    assert 1_000_000 < told["attributes-bytes"] < 1_200_000
    assert told["memory-bytes"] > told["attributes-bytes"]
    assert (told["attribute-columns"], told["attribute-columns-bytes"]) == (0, 0)
    assert wire.call("CONFIG", "SET", "attribute-columns-max-bytes", "1mb") == "OK"
    bound = wire.call("CONFIG", "GET", "attribute-columns-max-bytes")
    assert b"1048576" in (bound.values() if isinstance(bound, dict) else bound)
    wire.call("CONFIG", "SET", "attribute-columns-max-bytes", "256mb")


@pytest.mark.skipif(SANITIZED, reason="the allocator of a sanitizer does not tell what it has given")
def test_beyond_maxmemory_none_are_given_and_those_there_may_go(wire):
    make(wire)
    for key in range(3):
        wire.call("VADD", "i", key, pack(1, key), "SETATTR", '{"x":1}')
    wire.call("CONFIG", "SET", "maxmemory", 1)
    try:
        assert "OOM" in wire.call("VSETATTR", "i", 1, "{}")
        assert wire.call("VSETATTR", "i", 1, "") == 1
        assert wire.call("VGETATTR", "i", 2) is not None
    finally:
        wire.call("CONFIG", "SET", "maxmemory", 0)


@pytest.mark.parametrize("saves", [False, True], ids=["journal", "snapshot"])
def test_they_outlast_a_kill(start, reopen, saves):
    server = start("--fsync", "always")
    with server.wire() as wire:
        make(wire, primitive="hnsw")
        wire.call("VADD", "i", "a", pack(1, 0), "SETATTR", '{"x":1}')
        wire.call("VADD", "i", "b", pack(0, 1))
        if saves:
            assert wire.call("VSAVE") == "OK"
        wire.call("VSETATTR", "i", "b", '{"y":[1,2]}')
        wire.call("VADD", "i", "a", pack(2, 0))
        assert wire.call("RENAME", "i", "j") == "OK"
    server.send_signal(signal.SIGKILL)
    server.wait()
    with reopen(server).wire() as wire:
        assert [wire.call("VGETATTR", "j", key) for key in "ab"] == [b'{"x":1}', b'{"y":[1,2]}']
        assert as_map(wire.call("VINFO", "j"))["attributes-count"] == 2
        assert as_map(wire.call("VINFO", "j"))["size"] == 2
