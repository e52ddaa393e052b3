# SPDX-License-Identifier: Apache-2.0
"""Commands that are sent to the module and to the server: both answer the same."""

import os
import random
import shutil
import struct

import pytest

from wire import pack

NEEDS_MODULE = pytest.mark.skipif(
    "ENGRAM_MODULE" not in os.environ or shutil.which("redis-check-rdb") is None,
    reason="there is no module, or no redis-tools",
)
DIM = 16
NOW = 1_900_000_000_000

PRIMITIVES = {
    "flat": (),
    "flat-sq8": ("PRIMITIVE", "flat", "QUANT", "sq8"),
    "hnsw": ("PRIMITIVE", "hnsw"),
    "hnsw-sq4": ("PRIMITIVE", "hnsw", "QUANT", "sq4"),
    "hopfield": ("PRIMITIVE", "hopfield", "BETA", "8"),
    "lsr": ("PRIMITIVE", "lsr"),
    "dam": ("PRIMITIVE", "dam"),
    "hebb": ("PRIMITIVE", "hebb"),
    "palimpsest": ("PRIMITIVE", "palimpsest"),
    "sdm": ("PRIMITIVE", "sdm"),
    "drdam": ("PRIMITIVE", "drdam"),
}


def options_of(name):
    return PRIMITIVES[name] or ("PRIMITIVE", "flat")


def vector(rng):
    """Of the corners of a cube, which every primitive takes."""
    return struct.pack(f"<{DIM}f", *(rng.choice((-1.0, 1.0)) for _ in range(DIM)))


def fill(client, index, rng, count=80):
    """Puts, overwrites and deletes."""
    for i in range(count):
        client.call("VADD", index, f"k{i}", vector(rng))
    client.call("VMADD", index, *(x for i in range(20) for x in (f"m{i}", vector(rng))))
    for i in range(0, count, 3):
        client.call("VADD", index, f"k{i}", vector(rng))
    for i in range(0, count, 7):
        client.call("VDEL", index, f"k{i}")


def questions(index, rng):
    """What shows the state of an index; an index that cannot answer one answers the same error."""
    yield ("VCARD", index)
    for _ in range(6):
        query = vector(rng)
        yield ("VSEARCH", index, query, 10)
        yield ("VMSEARCH", index, 5, query, vector(rng))
        yield ("VRECALL", index, "VEC", query, "MASK", "0-7", "TOP", 3)
        yield ("VENERGY", index, query)
    yield ("VGET", index, "k1")
    yield ("VSIM", index, "ELE", "k1", "WITHSCORES", "COUNT", 7)
    yield ("VGETATTR", index, "k2")


def answers(client, index, seed=3, prefix=""):
    """The bytes of all replies."""
    rng = random.Random(seed)
    return [
        client.call_raw(prefix + name, *arguments) for name, *arguments in questions(index, rng)
    ]


EAST, NORTH, WEST = pack(1, 0), pack(0, 1), pack(-1, 0)
# Each begins with an empty server.
SCRIPTS = {
    "making": [
        ("VNEW", "i", 2), ("VNEW", "i", 2), ("VNEW", "j"), ("VNEW", "j", 0), ("VNEW", "j", 2, "METRIC", "no"),
        ("VNEW", "j", 2, "PRIMITIVE", "no"), ("VNEW", "j", 2, "METRIC", "dot", "PRIMITIVE", "flat"), ("VDROP", "i"),
        ("VDROP", "i"), ("VDROP",), ("EXISTS", "i", "j"), ("DEL", "j"), ("VINFO", "j"),
    ],
    "items": [
        ("VADD", "i", "a", EAST), ("VNEW", "i", 2, "METRIC", "l2", "PRIMITIVE", "flat"), ("VADD", "i", "a", EAST),
        ("VADD", "i", "a", WEST), ("VADD", "i", "a", b"xyz"), ("VADD", "i", "a", "VALUES", 2, "nan", 1), ("VADD", "i", "a"),
        ("VADD", "i", "b", "VALUES", 2, 0, 1), ("VADD", "i", "b", "VALUES", 3, 0, 1, 1), ("VGET", "i", "a"),
        ("VGET", "i", "a", "VALUES"), ("VGET", "i", "none"), ("VMADD", "i", "c", EAST, "d", NORTH), ("VMADD", "i", "c"),
        ("VMADD", "i", "e", EAST, "f", b"x"), ("VDEL", "i", "a"), ("VDEL", "i", "a"), ("VDEL", "none", "a"),
        ("VSEARCH", "i", EAST, 3), ("VSEARCH", "i", EAST, 0), ("VSEARCH", "i", EAST), ("VSEARCH", "i", b"x", 3),
        ("VSEARCH", "i", EAST, 3, "RADIUS", 0.5), ("VSEARCH", "i", EAST, 3, "NO"), ("VSEARCH", "none", EAST, 3),
        ("VMSEARCH", "i", 2, EAST, NORTH, WEST), ("VMSEARCH", "i", 2), ("VADD", "i", "x", EAST, "UNLESS", "WITHIN", 0.1),
        ("VADD", "i", "x", pack(5, 5), "UNLESS", "WITHIN", 0.1), ("VSEARCH", "i", EAST, 9), ("VSEARCH", "i", EAST, 2, "EXPLAIN"),
    ],
    "attributes": [
        ("VNEW", "i", 2, "PRIMITIVE", "flat"), ("VADD", "i", "a", EAST, "SETATTR", '{"year":1990,"tag":"x"}'),
        ("VADD", "i", "b", NORTH, "SETATTR", '{"year":2000}'), ("VADD", "i", "c", WEST), ("VSETATTR", "i", "c", '{"year":1995}'),
        ("VSETATTR", "i", "none", "{}"), ("VSETATTR", "i", "c", "no"), ("VGETATTR", "i", "a"), ("VGETATTR", "i", "none"),
        ("VSEARCH", "i", EAST, 3, "FILTER", ".year < 1996"), ("VSEARCH", "i", EAST, 3, "FILTER", ".year <"),
        ("VMSEARCH", "i", 2, "FILTER", ".year > 1990", EAST, NORTH), ("VSETATTR", "i", "a", ""), ("VGETATTR", "i", "a"),
        ("VSEARCH", "i", EAST, 3, "FILTER", ".year < 1996"),
    ],
    "strengths": [
        ("VNEW", "i", 2, "PRIMITIVE", "flat", "DECAY", "exp", 3600000, "OMEGA", 0.3), ("VADD", "i", "a", EAST, "AT", NOW),
        ("VADD", "i", "b", NORTH, "AT", NOW, "STRENGTH", 3), ("VTOUCH", "i", "a", "none", "GAIN", 2, "AT", NOW + 1000),
        ("VSTRENGTH", "i", "a", "AT", NOW + 5000), ("VSTRENGTH", "i", "none"), ("VTOUCH", "i", "a", "GAIN", "x"),
        ("VSEARCH", "i", pack(1, 0.9), 2, "AT", NOW + 9000, "WITHSTRENGTH", "WITHRAW"),
        ("VSEARCH", "i", EAST, 1, "AT", NOW + 10000, "TOUCH", 1), ("VSTRENGTH", "i", "a", "AT", NOW + 10000),
        ("VFORGET", "i", "BELOW", 0.5, "AT", NOW + 30_000_000, "DRYRUN"), ("VFORGET", "i", "BELOW", 0.5, "AT", NOW + 30_000_000),
        ("VCARD", "i"), ("VSTRENGTH", "i", "a", "AT", NOW + 30_000_000),
    ],
    "recalls": [
        ("VNEW", "i", 2, "METRIC", "l2", "PRIMITIVE", "hopfield", "BETA", 5), ("VADD", "i", "a", EAST), ("VADD", "i", "b", NORTH),
        ("VADD", "i", "c", WEST), ("VRECALL", "i", "VEC", pack(0.9, 0.2)), ("VRECALL", "i", "VEC", pack(0.9, 0.2), "MASK", "0"),
        ("VRECALL", "i", "KEY", "b", "TOP", 2), ("VRECALL", "i", "KEY", "none"), ("VRECALL", "i", "VEC", EAST, "WITHTRACE"),
        ("VRECALL", "i"), ("VENERGY", "i", EAST), ("VENERGY", "i", b"x"), ("VTUNE", "i", "SAMPLE", 3, "SEED", 1),
        ("VDIAG", "i", "SAMPLE", 3, "SEED", 1), ("VRECALL", "i", "VEC", pack(0.9, 0.2)), ("VDIAG", "none"),
    ],
    "sets": [
        ("VADD", "s", "VALUES", 2, 1, 0, "a"), ("VADD", "s", "VALUES", 2, 0, 1, "b", "SETATTR", '{"x":1}'), ("VCARD", "s"),
        ("VDIM", "s"), ("VEMB", "s", "a"), ("VISMEMBER", "s", "a"), ("VISMEMBER", "s", "c"), ("VLINKS", "s", "a"),
        ("VSIM", "s", "ELE", "a", "WITHSCORES"), ("VSIM", "s", "VALUES", 2, 1, 1, "WITHSCORES", "WITHATTRIBS"),
        ("VSIM", "s", "ELE", "none"), ("VRANGE", "s", "-", "+"), ("VREM", "s", "a"), ("VRANDMEMBER", "s", 9), ("VREM", "s", "a"),
        ("VREM", "s", "b"), ("EXISTS", "s"), ("VCARD", "s"),
    ],
    "consolidation": [
        ("VNEW", "i", 2, "PRIMITIVE", "flat", "METRIC", "l2"), ("VMADD", "i", "a", EAST, "b", pack(1, 0.1), "c", WEST),
        ("VCONSOLIDATE", "i", "RADIUS", 0.5, "DRYRUN"), ("VNEW", "j", 2, "PRIMITIVE", "flat", "METRIC", "l2"),
        ("VCONSOLIDATE", "i", "RADIUS", 0.5, "INTO", "j"), ("VCARD", "j"), ("VCONSOLIDATE", "i", "RADIUS", 0.5, "INTO", "none"),
        ("VCONSOLIDATE", "i", "RADIUS", 0.5), ("VCARD", "i"), ("VSEARCH", "i", EAST, 9), ("VSEARCH", "j", EAST, 9),
    ],
    "pages": [
        ("VNEW", "i", 2, "PRIMITIVE", "flat"), ("VMADD", "i", "a", EAST, "b", NORTH, "c", WEST, "d", pack(1, 1)),
        ("VSEARCH", "i", EAST, 2, "RECALL", 0.9), ("VNEW", "h", 2, "PRIMITIVE", "hnsw"), ("VMADD", "h", "a", EAST, "b", NORTH),
        ("VSEARCH", "h", EAST, 2, "RECALL", 0.9),
    ],
    "wrong types": [
        ("SET", "s", "x"), ("VADD", "s", "a", EAST), ("VSEARCH", "s", EAST, 1), ("VNEW", "s", 2), ("VDROP", "s"), ("VGET", "s", "a"),
        ("VINFO", "s"), ("VADD", "s", "VALUES", 2, 1, 0, "a"), ("GET", "s"),
    ],
    "transactions": [
        ("VNEW", "i", 2, "PRIMITIVE", "flat"), ("MULTI",), ("VADD", "i", "a", EAST), ("VSEARCH", "i", EAST, 1), ("VDEL", "i", "a"),
        ("VSEARCH", "i", EAST, 1), ("EXEC",), ("WATCH", "i"), ("VADD", "i", "b", EAST), ("MULTI",), ("VCARD", "i"), ("EXEC",),
    ],
}
