# SPDX-License-Identifier: Apache-2.0
"""VRECALL, VENERGY, VTUNE and VDIAG as clients see them, on every primitive that says that it recalls."""

import math
import os
import random
import signal
import struct
import subprocess

import pytest

from live import PATIENCE_SECONDS
from wire import ErrorReply

DIM = 16
COUNT = 64
FIELDS = (
    "state attractor weight distance onestep posterior entropy kind outside neff support energy "
    "steps converged novel trunc cert beta"
).split()
KINDS = {b"empty", b"pattern", b"emergent", b"global", b"metastable", b"mixed"}

rng = random.Random(3)
VECTORS = {f"k{i}".encode(): [rng.gauss(0, 1) for _ in range(DIM)] for i in range(COUNT)}


def pack(vector):
    return struct.pack(f"<{len(vector)}f", *vector)


def as_map(reply):
    """A map of RESP3, or the flat pairs that RESP2 has for it, by names as text."""
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return {name.decode() if isinstance(name, bytes) else name: value for name, value in pairs}


def primitives(connection):
    """Whether each of them recalls."""
    described = map(as_map, connection.call("VPRIMITIVES"))
    return {
        entry["name"].decode(): as_map(entry["traits"])["recalls"] in (True, 1)
        for entry in described
    }


def fill(connection, index):
    """An index named after its primitive, tuned: without that some know no temperature."""
    assert connection.call("VNEW", index, DIM, "METRIC", "l2", "PRIMITIVE", index) == "OK"
    items = [word for key, vector in VECTORS.items() for word in (key, pack(vector))]
    assert connection.call("VMADD", index, *items) == COUNT
    assert not isinstance(connection.call("VTUNE", index, "SAMPLE", 16), ErrorReply)


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def wire(server, request):
    with server.wire(request.param) as connection:
        yield connection


@pytest.fixture
def indexes(wire):
    """One index of VECTORS for each primitive that recalls."""
    names = [name for name, recalls in primitives(wire).items() if recalls]
    if not names:
        pytest.skip("no primitive of this server recalls")
    for name in names:
        fill(wire, name)
    return names


def recall(connection, index, *arguments):
    reply = connection.call("VRECALL", index, *arguments)
    assert not isinstance(reply, ErrorReply), reply
    return as_map(reply)


def has_energy(connection, index):
    """Not every memory has one: then traces are empty, and VENERGY says so."""
    reply = connection.call("VENERGY", index, pack([0.1] * DIM))
    return not (isinstance(reply, ErrorReply) and "has no energy" in reply)


def numbers(values):
    return [float(value) for value in values]


def test_every_field_is_there_and_makes_sense(wire, indexes):
    for index in indexes:
        reply = recall(wire, index, "VEC", pack([0.1] * DIM), "TOP", COUNT)
        assert list(reply) == FIELDS
        assert len(reply["state"]) == 4 * DIM
        assert reply["attractor"] is None or reply["attractor"] in VECTORS
        assert reply["onestep"] is None or reply["onestep"] in VECTORS
        for share in ("weight", "posterior", "trunc"):
            assert 0 <= float(reply[share]) <= 1 + 1e-9
        assert reply["kind"] in KINDS and reply["cert"] in (b"exact", b"approx")
        keys, weights = reply["support"][::2], numbers(reply["support"][1::2])
        assert len(set(keys)) == len(keys) and set(keys) <= set(VECTORS)
        assert weights == sorted(weights, reverse=True) and sum(weights) <= 1 + 1e-6
        assert (1 <= len(reply["energy"]) <= 2) == has_energy(wire, index)
        assert float(reply["neff"]) <= COUNT * (1 + 1e-9)
        for flag in ("outside", "converged"):
            assert reply[flag] in (0, 1)


def test_a_key_is_a_cue_as_its_vector_is(wire, indexes):
    for index in indexes:
        by_key = wire.call_raw("VRECALL", index, "KEY", "k7")
        assert by_key == wire.call_raw("VRECALL", index, "VEC", pack(VECTORS[b"k7"]))
        assert by_key == wire.call_raw("VRECALL", index, "KEY", "k7", "MASK", f"8-{DIM - 1},0-7")


def test_hidden_coordinates_mean_nothing(wire, indexes):
    for index in indexes:
        replies = set()
        for hidden in (0.0, 9.0):
            cue = VECTORS[b"k5"][:8] + [hidden] * 8
            reply = recall(wire, index, "VEC", pack(cue), "MASK", "0-3,4-7", "TOP", 3)
            replies.add((reply["state"], reply["attractor"], str(reply["support"])))
        assert len(replies) == 1


def test_traces_and_tops(wire, indexes):
    for index in indexes:
        brief = recall(wire, index, "KEY", "k1", "TOP", 0)
        assert brief["support"] == []
        traced = recall(wire, index, "KEY", "k1", "WITHTRACE")
        assert len(traced["energy"]) >= len(brief["energy"])
        if not has_energy(wire, index):
            continue
        ends = [traced["energy"][0], traced["energy"][-1]][: len(brief["energy"])]
        assert numbers(brief["energy"]) == numbers(ends)
        energy = float(wire.call("VENERGY", index, pack(VECTORS[b"k1"])))
        assert energy == pytest.approx(float(brief["energy"][0]), rel=1e-6, abs=1e-6)


def test_vtune_and_vdiag(wire, indexes):
    for index in indexes:
        tuning = as_map(wire.call("VTUNE", index, "SAMPLE", 32, "SEED", 5))
        assert tuning and all(math.isfinite(float(value)) for value in tuning.values())
        assert as_map(wire.call("VTUNE", index, "SAMPLE", 32, "SEED", 5)) == tuning
        assert as_map(wire.call("VDIAG", index, "SAMPLE", 32))
        assert recall(wire, index, "KEY", "k1")["novel"] in (None, 0, 1)


@pytest.fixture
def lives(start, reopen):
    """lives(count): a server that is ended and started again, with a connection to each life and
    the primitives that recall."""

    def of_one_server(count):
        server = None
        for _ in range(count):
            server = start() if server is None else reopen(server)
            with server.wire() as connection:
                able = [name for name, recalls in primitives(connection).items() if recalls]
                yield connection, able
            server.end()

    return of_one_server


def test_after_restarts_recalls_are_the_same_to_the_byte(lives):
    """From a journal of what was written, overwritten and deleted, then from a snapshot."""
    cues = [pack([rng.gauss(0, 1) for _ in range(DIM)]) for _ in range(10)]
    expected = {}
    for life, (connection, able) in enumerate(lives(3)):
        for index in able:
            if life == 0:
                fill(connection, index)
                for turn in range(200):
                    vector = pack(VECTORS[b"k%d" % (turn % 60)])
                    assert connection.call("VADD", index, f"k{turn * 7 % 60}", vector) == 0
                for turn in range(30):
                    assert connection.call("VDEL", index, f"k{turn + 30}") == 1
                connection.call("VTUNE", index)
            for cue in cues:
                raw = connection.call_raw("VRECALL", index, "VEC", cue, "WITHTRACE", "TOP", 99)
                assert expected.setdefault((index, cue), raw) == raw
        if life == 1:
            assert connection.call("VSAVE") == "OK"


LEARNERS = {
    "pseudoinverse": ("hebb", "RULE", "pseudoinverse"),
    "dream": ("hebb", "RULE", "dream", "SLEEP", "2.5"),
    "unlearn": ("hebb", "RULE", "unlearn", "ROUNDS", 7),
    "palimpsest": ("palimpsest", "BOUND", 2),
}


def test_what_was_learned_is_the_same_after_a_kill(start, reopen):
    """A snapshot beside writes, then a journal: writes to few keys of several clients' pipelines."""
    cues = [pack([rng.gauss(0, 1) for _ in range(DIM)]) for _ in range(10)]

    def write_all(connection, count):
        for name in LEARNERS:
            for _ in range(count):
                key = f"k{rng.randrange(20)}"
                if rng.random() < 0.2:
                    connection.call("VDEL", name, key)
                else:
                    items = [word for n in range(3) for word in (f"{key}{n}", pack(rng.choice(list(VECTORS.values()))))]
                    connection.call("VMADD", name, *items, key, pack(rng.choice(list(VECTORS.values()))))

    def answers(connection):
        return [
            connection.call_raw("VRECALL", name, "VEC", cue, "WITHTRACE", "TOP", 99) for name in LEARNERS for cue in cues
        ]

    server = start("--fsync", "always")
    with server.wire() as connection:
        for name, (primitive, *options) in LEARNERS.items():
            assert connection.call("VNEW", name, DIM, "PRIMITIVE", primitive, *options) == "OK"
        write_all(connection, 60)
        assert connection.call("BGSAVE") == "Background saving started"
        write_all(connection, 60)
        expected = answers(connection)
    for _ in range(2):
        server.send_signal(signal.SIGKILL)
        server.wait()
        server = reopen(server, "--fsync", "always")
        with server.wire() as connection:
            assert answers(connection) == expected
            write_all(connection, 5)
            assert connection.call("VSAVE") == "OK"
            write_all(connection, 20)
            expected = answers(connection)


def test_options_of_another_rule_are_refused(wire):
    refused = wire.call("VNEW", "mixed", DIM, "PRIMITIVE", "hebb", "RULE", "dream", "ROUNDS", 5)
    assert isinstance(refused, ErrorReply) and str(refused) == "ERR option ROUNDS is of RULE unlearn, got RULE dream"


@pytest.mark.parametrize("primitive", ["flat", "hopfield", "lsr"])
def test_a_search_after_steps_takes_the_options_of_recall(wire, primitive):
    wire.call("VNEW", "index", DIM, "METRIC", "l2", "PRIMITIVE", primitive)
    wire.call("VMADD", "index", *[word for key in VECTORS for word in (key, pack(VECTORS[key]))])
    cue = pack([0.3] * DIM)
    found = set()
    for options in (["BETA", "0.01"], ["BETA", "0.1"], ["STEPS", "3", "BETA", "0.1"]):
        steps = [] if "STEPS" in options else ["STEPS", "1"]
        recalled = as_map(wire.call("VRECALL", "index", "VEC", cue, *steps, *options))
        expected = wire.call("VSEARCH", "index", recalled["state"], 5)
        assert wire.call("VSEARCH", "index", cue, 5, *options, *steps, "EF", 64) == expected
        found.add(tuple(expected))
    assert len(found) > 1
    without_steps = wire.call("VSEARCH", "index", cue, 5, "beta", 2)
    assert without_steps == (
        "ERR BETA is an option of recall, a search takes it with STEPS of at least 1"
    )
    assert "BETA" in wire.call("VSEARCH", "index", cue, 5, "STEPS", 1, "BETA", "warm")


def test_others_are_refused_with_those_that_recall(wire):
    for index, recalls in primitives(wire).items():
        if recalls:
            continue
        wire.call("VNEW", index, 2, "PRIMITIVE", index)
        vector = pack([1, 2])
        for command in (
            ["VRECALL", index, "VEC", vector],
            ["VENERGY", index, vector],
            ["VTUNE", index],
            ["VDIAG", index],
        ):
            reply = wire.call(*command)
            assert isinstance(reply, ErrorReply)
            assert reply.startswith(f"ERR primitive '{index}' of index '{index}' cannot recall, ")


def test_clients(server, wire, indexes):
    """redis-py and redis-cli read what they get."""
    client = server.redis()
    for index in indexes:
        reply = as_map(client.execute_command("VRECALL", index, "KEY", "k3"))
        assert list(reply) == FIELDS and len(reply["state"]) == 4 * DIM
        command = ["redis-cli", "-3", "-p", str(server.port), "VDIAG", index]
        done = subprocess.run(
            command, capture_output=True, timeout=PATIENCE_SECONDS, env=os.environ
        )
        assert done.returncode == 0 and done.stdout and b"ERR" not in done.stdout
