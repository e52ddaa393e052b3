# SPDX-License-Identifier: Apache-2.0
"""A recall by partitions is that of one index, but for how floats are rounded."""

import random
import struct

import pytest

from cluster import Cluster
from module_scripts import NEEDS_MODULE
from wire import ErrorReply

pytestmark = NEEDS_MODULE
DIM = 16
ITEMS = 240
PARTITIONS = 5
NAMES = ("attractor", "onestep", "kind", "outside", "converged", "novel", "cert", "steps")
NUMBERS = ("weight", "distance", "posterior", "entropy", "neff", "trunc", "beta")
SUPPORTED = 1e-6  # a weight that is told of


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("cluster"), masters=2) as running:
        running.router("--node-timeout", 20_000)
        yield running


def numbers(rng, scale=1.0):
    return [rng.gauss(0, scale) for _ in range(DIM)]


def pack(values):
    return struct.pack(f"<{DIM}f", *values)


def as_map(reply):
    if isinstance(reply, dict):
        return reply
    return {name.decode() if isinstance(name, bytes) else name: value for name, value in zip(reply[0::2], reply[1::2])}


def number(value):
    return value if value is None else pytest.approx(float(value), rel=1e-4, abs=2e-5)


def check_recall(ours, theirs, stride=2):
    assert not isinstance(ours, ErrorReply), ours
    ours, theirs = as_map(ours), as_map(theirs)
    assert [*ours] == [*theirs]
    for name in NAMES:
        assert ours[name] == theirs[name], name
    for name in NUMBERS:
        assert (ours[name] if ours[name] is None else float(ours[name])) == number(theirs[name]), name
    state = struct.unpack(f"<{DIM}f", theirs["state"])
    assert struct.unpack(f"<{DIM}f", ours["state"]) == pytest.approx(state, rel=1e-4, abs=2e-5)
    energies = [float(energy) for energy in theirs["energy"]]
    assert [float(energy) for energy in ours["energy"]] == pytest.approx(energies, rel=1e-4, abs=2e-5)
    wanted = [theirs["support"][i : i + stride] for i in range(0, len(theirs["support"]), stride)]
    for i, (key, weight, *others) in enumerate(wanted):
        if float(weight) < SUPPORTED:
            break
        row = ours["support"][stride * i : stride * (i + 1)]
        assert row[0] == key
        assert [float(x) for x in row[1:]] == [number(x) for x in (weight, *others)]


MEMORIES = {
    "softmax-l2": ("METRIC", "l2", "PRIMITIVE", "hopfield", "BETA", "0.5"),
    "softmax-cosine": ("METRIC", "cosine", "PRIMITIVE", "flat"),
    "softmax-dot": ("METRIC", "dot", "PRIMITIVE", "hopfield", "BETA", "0.3", "STEPS", "5"),
    "graph-l2": ("METRIC", "l2", "PRIMITIVE", "hnsw"),
    "lsr-l2": ("METRIC", "l2", "PRIMITIVE", "lsr", "RADIUS", "4"),
    "lsr-abstains": ("METRIC", "l2", "PRIMITIVE", "lsr", "RADIUS", "4", "OUTSIDE", "abstain"),
}


@pytest.fixture(params=MEMORIES, ids=[*MEMORIES])
def memories(request, cluster, server, protocol):
    """The router, one server, and a random source; the index `i` of both holds the same."""
    rng = random.Random(request.param)
    with cluster.routers[0].wire(protocol) as ours, server.wire(protocol) as theirs:
        ours.call("VDROP", "i")
        options = MEMORIES[request.param]
        assert ours.call("VNEW", "i", DIM, *options, "PARTITIONS", PARTITIONS) == "OK"
        assert theirs.call("VNEW", "i", DIM, *options) == "OK"
        items = [(f"k{i}", numbers(rng)) for i in range(ITEMS)]
        words = [x for key, values in items for x in (key, pack(values))]
        assert ours.call("VMADD", "i", *words) == theirs.call("VMADD", "i", *words) == ITEMS
        for client in (ours, theirs):
            for i in range(0, ITEMS, 3):
                client.call("VSETATTR", "i", f"k{i}", '{"third": 1}')
        yield ours, theirs, rng, items, request.param


def cue_near(rng, items):
    return [value + rng.gauss(0, 0.3) for value in rng.choice(items)[1]]


def test_recalls_are_those_of_one_index(memories):
    ours, theirs, rng, items, memory = memories
    beta = ("BETA", "2") if memory == "graph-l2" else ()
    for _ in range(8):
        cue = pack(cue_near(rng, items))
        far = pack(numbers(rng, 30))
        for command in (
            ("VEC", cue),
            ("VEC", cue, "STEPS", 0),
            ("VEC", cue, "STEPS", 3, "TOP", 3, "WITHTRACE"),
            ("VEC", cue, "FILTER", ".third == 1"),
            ("VEC", cue, "FILTER", ".none == 1"),
            ("VEC", "VALUES", DIM, *numbers(rng)),
            ("VEC", far),
            ("KEY", f"k{rng.randrange(ITEMS)}", "TOP", 0),
            ("VEC", cue, "MASK", "0-7,9"),
            ("VEC", cue, "MASK", f"0-{DIM - 1}"),
        ):
            command = ("VRECALL", "i", *command, *beta)
            check_recall(ours.call(*command), theirs.call(*command))
        command = ("VRECALL", "i", "VEC", cue, "WITHRAW", *beta)
        check_recall(ours.call(*command), theirs.call(*command), stride=3)
        for state in (cue, far):
            command = ("VENERGY", "i", state, *beta)
            assert float(ours.call(*command)) == number(theirs.call(*command))


def test_recalls_of_weights_without_a_temperature_differ_in_nothing(cluster, server, protocol):
    """Cold and warm: one item, all items, and no items at all."""
    rng = random.Random(9)
    with cluster.routers[0].wire(protocol) as ours, server.wire(protocol) as theirs:
        ours.call("VDROP", "i")
        assert ours.call("VNEW", "i", DIM, "PRIMITIVE", "hopfield", "PARTITIONS", 7) == "OK"
        theirs.call("VNEW", "i", DIM, "PRIMITIVE", "hopfield")
        for count in (0, 1, 6):
            for i in range(count):
                for client in (ours, theirs):
                    client.call("VADD", "i", f"k{i}", pack(numbers(random.Random(i))))
            for beta in ("0.001", "20", "100000"):
                command = ("VRECALL", "i", "VEC", pack(numbers(rng)), "BETA", beta)
                check_recall(ours.call(*command), theirs.call(*command))


def test_what_does_not_go_together_is_refused(cluster):
    with cluster.routers[0].wire() as wire:
        cue = pack([1] * DIM)
        made = {"h": ("hopfield",), "d": ("dam",), "l": ("lsr", "RADIUS", 1), "c": ("hopfield", "SEP", "sparsemax")}
        for name, options in made.items():
            metric = "cosine" if name == "l" else "l2"
            call = wire.call("VNEW", name, DIM, "METRIC", metric, "PRIMITIVE", *options, "PARTITIONS", 2)
            assert call == "OK"
        for command, error in (
            (("h", "VEC", cue, "SEP", "sparsemax", "BETA", 1), "sum over the items: that of SEP softmax"),
            (("c", "VEC", cue, "BETA", 1), "any recall of an index with partitions"),
            (("d", "VEC", cue), "no sum over the items"),
            (("l", "VEC", cue), "lsr under cosine"),
            (("h", "VEC", cue, "BETA", 1, "TOUCH", 1), "TOUCH"),
            (("h", "VEC", cue, "BETA", 1, "MASK", "0", "MODE", "clamp"), "MODE clamp"),
            (("h", "VEC", cue, "BETA", 1, "MASK", "0-99"), "bad range"),
            (("h", "VEC", cue, "BETA", 1, "STEPS", -1), "STEPS must be"),
            (("h", "VEC", cue, "NONE", 1), "unknown option 'NONE'"),
            (("h", "VEC", cue), "no beta yet"),
            (("h", "VEC", cue[4:], "BETA", 1), "dimensions"),
            (("h", "KEY", "none", "BETA", 1), "has no key 'none' to recall by"),
            (("h", "OF", cue, "BETA", 1), "expected VEC vector or KEY key"),
            (("none", "VEC", cue), "no such index"),
        ):
            reply = wire.call("VRECALL", *command)
            assert isinstance(reply, ErrorReply) and error in reply, (command, reply)
        assert "OUTSIDE expand" in wire.call("VNEW", "x", DIM, "PRIMITIVE", "lsr", "OUTSIDE", "expand", "PARTITIONS", 2)
        for name in made:
            assert wire.call("VDROP", name) == "OK"
