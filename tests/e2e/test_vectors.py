# SPDX-License-Identifier: Apache-2.0
"""The vector commands: every reply as it is on the wire, and what is said about wrong ones."""

import math
import random
import struct

import pytest

from wire import ErrorReply, pack


EAST, NORTH, WEST = pack(1, 0), pack(0, 1), pack(-1, 0)


@pytest.fixture
def index(wire):
    """A flat index of two dimensions with east and north."""
    assert wire.call_raw("VNEW", "index", 2, "PRIMITIVE", "flat") == b"+OK\r\n"
    assert wire.call_raw("VADD", "index", "east", EAST) == b":1\r\n"
    assert wire.call_raw("VADD", "index", "north", NORTH) == b":1\r\n"
    return "index"


def as_map(reply):
    """A map of RESP3, or the flat pairs that RESP2 has for it."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))


def null(protocol):
    return {2: b"$-1\r\n", 3: b"_\r\n"}[protocol]


def number(protocol, text):
    return {2: b"$%d\r\n%s\r\n" % (len(text), text), 3: b",%s\r\n" % text}[protocol]


def test_vadd_tells_new_from_overwritten(wire, index):
    assert wire.call_raw("VADD", index, "east", WEST) == b":0\r\n"
    assert wire.call("VGET", index, "east") == WEST
    assert wire.call("VSEARCH", index, WEST, 1)[0] == b"east"


def test_vmadd_counts_what_is_new(wire, index):
    assert wire.call_raw("VMADD", index, "east", EAST, "a", WEST, "b", WEST, "a", NORTH) == (
        b":2\r\n"
    )
    assert wire.call("VGET", index, "a") == NORTH


def test_vmadd_takes_all_or_nothing(wire, index):
    assert isinstance(wire.call("VMADD", index, "a", WEST, "b", pack(1)), ErrorReply)
    assert wire.call("VGET", index, "a") is None
    assert wire.call("VSEARCH", index, WEST, 9)[::2] == [b"north", b"east"]


def test_vget_returns_the_packed_vector(wire, index, protocol):
    assert wire.call_raw("VGET", index, "east") == b"$8\r\n" + EAST + b"\r\n"
    assert wire.call_raw("VGET", index, "south") == null(protocol)


def test_vsearch_alternates_keys_and_distances(wire, index, protocol):
    assert wire.call_raw("VSEARCH", index, EAST, 5) == (
        b"*4\r\n$4\r\neast\r\n"
        + number(protocol, b"0")
        + b"$5\r\nnorth\r\n"
        + number(protocol, b"1")
    )
    assert wire.call("VSEARCH", index, EAST, 1)[0] == b"east"


def test_vsearch_of_an_empty_index(wire, index):
    wire.call("VDEL", index, "east")
    wire.call("VDEL", index, "north")
    assert wire.call_raw("VSEARCH", index, EAST, 5) == b"*0\r\n"


def test_vmsearch_answers_each_query(wire, index, protocol):
    both = wire.call("VMSEARCH", index, 1, EAST, NORTH)
    assert [answer[0] for answer in both] == [b"east", b"north"]
    assert wire.call("VMSEARCH", index, 1, "EF", 10, NORTH)[0][0] == b"north"
    assert wire.call_raw("VMSEARCH", index, 1, EAST) == (
        b"*1\r\n*2\r\n$4\r\neast\r\n" + number(protocol, b"0")
    )


def test_vdel(wire, index):
    assert wire.call_raw("VDEL", index, "east") == b":1\r\n"
    assert wire.call_raw("VDEL", index, "east") == b":0\r\n"
    assert wire.call("VSEARCH", index, EAST, 5)[::2] == [b"north"]


def test_vlist_and_vdrop(wire, index):
    wire.call("VNEW", "another", 3)
    wire.call("SET", "string", "x")
    assert wire.call_raw("VLIST") == b"*2\r\n$7\r\nanother\r\n$5\r\nindex\r\n"
    assert wire.call_raw("VDROP", "another") == b"+OK\r\n"
    assert wire.call("VLIST") == [b"index"]


def test_vinfo_is_a_map_that_begins_as_rediss(wire, index, protocol):
    raw = wire.call_raw("VINFO", index)
    assert raw.startswith(b"%" if protocol == 3 else b"*")
    info = as_map(wire.call("VINFO", index))
    assert list(info)[:9] == [
        "quant-type",
        "hnsw-m",
        "vector-dim",
        "projection-input-dim",
        "size",
        "max-level",
        "attributes-count",
        "vset-uid",
        "hnsw-max-node-uid",
    ]
    assert (info["vector-dim"], info["size"]) == (2, 2)
    assert (info["primitive"], info["metric"]) == (b"flat", b"cosine")


@pytest.mark.parametrize("primitive", ["hnsw", "flat"])
@pytest.mark.parametrize("quant", ["sq8", "sq4", "bin"])
def test_codes_stand_for_vectors_or_beside_them(wire, primitive, quant):
    rng = random.Random(1)
    vectors = {f"k{i}": [rng.uniform(-1, 1) for _ in range(32)] for i in range(300)}
    only_codes = ["RERANK", "none"] if primitive == "hnsw" else []
    assert (
        wire.call(
            "VNEW", "codes", 32, "METRIC", "l2", "PRIMITIVE", primitive, "QUANT", quant, *only_codes
        )
        == "OK"
    )
    assert (
        wire.call("VNEW", "both", 32, "METRIC", "l2", "PRIMITIVE", "hnsw", "QUANT", quant) == "OK"
    )
    for key, vector in vectors.items():
        for index in ("codes", "both"):
            wire.call("VADD", index, key, pack(*vector))
    assert as_map(wire.call("VINFO", "codes"))["quant-type"] == quant
    assert 0.5 < float(as_map(wire.call("VINFO", "both"))["quant-recall-at-10"]) <= 1
    for key in ("k0", "k299"):
        near = struct.unpack("<32f", wire.call("VGET", "codes", key))
        if quant == "bin":
            size = sum(map(abs, vectors[key])) / 32
            assert near == pytest.approx([math.copysign(size, x) for x in vectors[key]])
        else:
            step = 2 / (255 if quant == "sq8" else 15)
            assert max(abs(a - b) for a, b in zip(near, vectors[key])) <= 0.51 * step
        assert wire.call("VGET", "both", key) == pack(*vectors[key])
        assert wire.call("VSEARCH", "codes", pack(*vectors[key]), 1, "EF", 300)[0] == key.encode()
        found, distance = wire.call("VSEARCH", "both", pack(*vectors[key]), 1)
        assert (found, float(distance)) == (key.encode(), 0)


def test_a_wrong_quant_is_refused_with_the_right_ones(wire):
    error = wire.call("VNEW", "wrong", 4, "PRIMITIVE", "hnsw", "QUANT", "int8")
    assert "f32|sq8|sq4|bin" in str(error)


def test_vinfo_of_a_missing_index_is_null(wire, protocol):
    assert wire.call_raw("VINFO", "none") == {2: b"*-1\r\n", 3: b"_\r\n"}[protocol]


def test_vprimitives_describe_their_options(wire, protocol):
    def as_map(reply):
        return reply if protocol == 3 else dict(zip(reply[::2], reply[1::2]))

    primitives = {entry["name"].decode(): entry for entry in map(as_map, wire.call("VPRIMITIVES"))}
    assert {"flat", "hnsw"} <= set(primitives)
    assert as_map(primitives["flat"]["traits"])["exact"] in (True, 1)
    options = {
        (option["command"], option["name"]): option
        for option in map(as_map, primitives["hnsw"]["options"])
    }
    assert options[b"VNEW", b"M"]["default"] == b"16"
    assert options[b"VNEW", b"EF_CONSTRUCTION"]["default"] == b"200"
    assert all(option["help"] and option["range"] for option in options.values())


def test_a_dimension_that_a_primitive_cannot_take_is_refused_with_the_greatest(wire, protocol):
    for entry in wire.call("VPRIMITIVES"):
        entry = entry if protocol == 3 else dict(zip(entry[::2], entry[1::2]))
        name, most = entry["name"].decode(), entry["max-dimension"]
        assert wire.call("VNEW", name, most, "PRIMITIVE", name) == "OK"
        error = wire.call("VNEW", name + "+", most + 1, "PRIMITIVE", name)
        assert isinstance(error, ErrorReply) and str(most) in error


def test_vinfo_tells_what_an_item_costs(wire):
    wire.call("VNEW", "index", 2)
    wire.call("VMADD", "index", "east", pack(2, 0), "north", NORTH, "west", WEST)
    info = wire.call("VINFO", "index")
    info = info if isinstance(info, dict) else dict(zip(info[::2], info[1::2]))
    assert 0 < info["index-bytes"] < info["memory-bytes"]
    assert info["bytes-per-item"] == info["memory-bytes"] // 3


def test_defaults_are_cosine_and_hnsw(wire):
    wire.call("VNEW", "index", 4)
    info = wire.call("VINFO", "index")
    info = info if isinstance(info, dict) else dict(zip(info[::2], info[1::2]))
    assert (info["metric"], info["primitive"], info["hnsw-m"]) == (b"cosine", b"hnsw", 16)


@pytest.mark.parametrize(
    "metric, expected",
    [("cosine", [0.0, 1.0, 2.0]), ("l2", [0.0, 5**0.5, 3.0]), ("dot", [-4.0, 0.0, 2.0])],
)
@pytest.mark.parametrize("primitive", ["flat", "hnsw"])
def test_distances(wire, primitive, metric, expected):
    wire.call("VNEW", "index", 2, "METRIC", metric, "PRIMITIVE", primitive)
    wire.call("VMADD", "index", "east", pack(2, 0), "north", NORTH, "west", WEST)
    reply = wire.call("VSEARCH", "index", pack(2, 0), 3)
    assert reply[::2] == [b"east", b"north", b"west"]
    assert [float(distance) for distance in reply[1::2]] == pytest.approx(expected)


@pytest.mark.parametrize("primitive", ["flat", "hnsw"])
def test_l2_distances_are_right_and_in_order_over_the_range_of_float32(wire, primitive):
    distances = [1e-38, 1e-23, 2e-23, 3e-23, 1e-21, 2e-19, 1e-12, 1.0, 1e10, 4e18]
    wire.call("VNEW", "range", 2, "METRIC", "l2", "PRIMITIVE", primitive)
    for distance in random.Random(1).sample(distances, len(distances)):
        wire.call("VADD", "range", repr(distance), pack(distance, 0))
    reply = wire.call("VSEARCH", "range", pack(0, 0), len(distances))
    assert [float(key) for key in reply[::2]] == distances
    assert [float(found) for found in reply[1::2]] == pytest.approx(distances, rel=1e-6)
    batch = wire.call("VMSEARCH", "range", len(distances), *[pack(0, 0)] * 40)
    assert batch == [reply] * 40
    beyond = wire.call("VADD", "range", "beyond", pack(1e20, 0))
    assert isinstance(beyond, ErrorReply) and "too long for float32 distances" in str(beyond)


def test_distances_read_back_to_the_same_float(wire, index, protocol):
    distance = wire.call("VSEARCH", index, pack(3, 1), 1)[1]
    text = b"%.9g" % distance if protocol == 3 else distance
    assert pack(float(text)) == pack(float(distance))
    assert protocol == 3 or len(distance) <= 13


def test_an_index_is_a_key_among_others(wire, index):
    assert wire.call("TYPE", index) == "vectorset"
    assert wire.call("EXISTS", index) == 1
    assert wire.call("SCAN", 0, "TYPE", "vectorset")[1] == [b"index"]
    assert wire.call("DEL", index) == 1
    assert wire.call("VLIST") == []


PACKED = "expected packed float32, 4 bytes for each of 2 dimensions, as struct.pack('<2f', ...) or numpy.float32(...).tobytes() make them; numbers in text are given as VALUES 2 and then each by itself"


@pytest.mark.parametrize(
    "command, complaint",
    [
        (["VADD", "index", "k", pack(1, 2, 3)], "ERR vector has 3 dimensions, index 'index' has 2"),
        (["VSEARCH", "index", pack(1), 3], "ERR vector has 1 dimensions, index 'index' has 2"),
        (
            ["VADD", "index", "k", b"12345"],
            "ERR vector has 5 bytes, expected packed float32, 4 bytes for each dimension",
        ),
        (["VADD", "index", "", EAST], "ERR a vector's key must have 1 to 65536 bytes, got 0"),
        (["VADD", "none", "k", EAST], "ERR no such index 'none', VNEW makes one"),
        (["VSEARCH", "none", EAST, 1], "ERR no such index 'none', VNEW makes one"),
        (["VSEARCH", "index", "king", 3], f"ERR the vector is the text 'king', {PACKED}"),
        (["VSEARCH", "index", 3, EAST], "ERR vector has 1 bytes, expected packed float32, 4 bytes for each dimension"),
        (["VADD", "index", "k", "0.1,0.2"], f"ERR the vector is a list of numbers in text, {PACKED}"),
        (["VADD", "index", "k", "0.10,0.2"], f"ERR the vector is a list of numbers in text, {PACKED}"),
        (["VADD", "index", "k", "[0.1, 0.2, 3e5]"], f"ERR the vector is a list of numbers in text, {PACKED}"),
        (["VMSEARCH", "index", 1, "1 2 3 4 "], f"ERR the vector is a list of numbers in text, {PACKED}"),
        (["VADD", "index", "k", "VALUES", 2, 1, "x"], "ERR value 2 of VALUES is 'x', no number that float32 has"),
        (["VADD", "index", "k", "VALUES", 2, 1, "1e39"], "ERR value 2 of VALUES is '1e39', no number that float32 has"),
        (["VADD", "index", "k", "VALUES", 2, 1, "inf"], "ERR vector component 1 is infinite, expected a finite number"),
        (["VADD", "index", "k", "VALUES", 2, 1], "ERR VALUES says 2 values, 1 follows"),
        (["VADD", "index", "k", "VALUES", 3, 1, 2, 3], "ERR vector has 3 dimensions, index 'index' has 2"),
        (["VADD", "index", "k", "VALUES", 0], "ERR the number after VALUES must be an integer in 1..65536, got '0'"),
        (["VADD", "index", "k", "VALUES"], "ERR VALUES takes how many values there are, and those"),
        (["VSEARCH", "index", "VALUES", 2, 1, 0], "ERR there is no k after the query"),
        (["VMSEARCH", "index", 1, "VALUES", 2, 1, 0, "VALUES"], "ERR VALUES takes how many values there are, and those"),
        (["VMADD", "index", "k", "VALUES", 2, 1, 0, "odd"], "ERR key 'odd' has no vector"),
        (["VGET", "index", "east", "NUMBERS"], "ERR VGET takes no 'NUMBERS', only VALUES, which asks for numbers"),
        (["VADD", "index", "k", "123456789012"], "ERR vector has 3 dimensions, index 'index' has 2"),
        (["VSEARCH", "index", EAST, 1, "FOO", 1], "ERR unknown option 'FOO', known options are EF, STEPS"),
        (["VSEARCH", "index", EAST, 1, "FOO"], "ERR unknown option 'FOO', known options are EF, STEPS"),
        (["VSEARCH", "index", EAST, 1, "EF"], "ERR option 'EF' has no value"),
        (["VSEARCH", "index", EAST, 1, "WITHSCORES"], "ERR there is no option WITHSCORES: VSEARCH always answers distances"),
        (["VMSEARCH", "index", EAST, 1], "ERR k must be an integer in 1..268435456, got 8 bytes that are no text"),
        (["VADD", "index", "k", EAST, "x"], "ERR wrong number of arguments for 'VADD' command"),
        (["VNEW", "index", 2], "ERR index 'index' already exists"),
        (
            ["VNEW", "new", 2, "METRIC", "hamming"],
            "ERR unknown metric 'hamming', expected cosine, l2 or dot",
        ),
        (["VNEW", "new", 0], "ERR dimension must be an integer in 1..65536, got '0'"),
        (["VNEW", "new", 65537], "ERR dimension must be an integer in 1..65536, got '65537'"),
        (["VNEW", "new", 2, "PRIMITIVE"], "ERR option 'PRIMITIVE' has no value"),
        (["VSEARCH", "index", EAST, 0], "ERR k must be an integer in "),
        (["VSEARCH", "index", EAST, "many"], "ERR k must be an integer in "),
        (["VSEARCH", "index", EAST, 1, "EF", 0], "ERR EF must be an integer in "),
        (["VMADD", "index", "k", EAST, "odd"], "ERR key 'odd' has no vector"),
        (["VADD", "index", "k"], "ERR wrong number of arguments for 'VADD' command"),
    ],
)
def test_errors_say_what_was_wrong(wire, index, command, complaint):
    reply = wire.call(*command)
    assert isinstance(reply, ErrorReply) and reply.startswith(complaint)
    assert wire.call("VSEARCH", index, EAST, 9)[::2] == [b"east", b"north"]


def test_vectors_in_text_are_those_in_bytes(wire, index, protocol):
    assert wire.call("VADD", index, "text", "VALUES", 2, "0.75", "-2.5e-1") == 1
    assert wire.call("VGET", index, "text") == pack(0.75, -0.25)
    assert wire.call("VADD", index, "text", "values", 2, "+0.5", "1e-60", "UNLESS", "WITHIN", 0) == b"east"
    assert wire.call("VADD", index, "text", "values", 2, "+0.5", "1e-60") == 0
    assert wire.call("VGET", index, "text") == pack(0.5, 0)
    assert wire.call_raw("VGET", index, "text", "VALUES") == b"*2\r\n" + number(protocol, b"0.5") + number(protocol, b"0")
    assert wire.call_raw("VGET", index, "none", "VALUES") == {2: b"*-1\r\n", 3: b"_\r\n"}[protocol]
    assert wire.call("VMADD", index, "a", "VALUES", 2, 3, 4, "b", pack(5, 6), "c", "VALUES", 2, 7, 8) == 3
    assert [wire.call("VGET", index, key) for key in "abc"] == [pack(3, 4), pack(5, 6), pack(7, 8)]
    assert wire.call("VSEARCH", index, "VALUES", 2, 3, 4, 2, "EF", 9) == wire.call("VSEARCH", index, pack(3, 4), 2)
    batch = wire.call("VMSEARCH", index, 1, "EF", 9, "VALUES", 2, 3, 4, pack(5, 6), "VALUES", 2, 7, 8)
    assert [found[0] for found in batch] == [b"a", b"b", b"c"]
    recall = ["TOP", 1, "BETA", 10]
    packed = wire.call("VRECALL", index, "VEC", pack(3, 4), *recall)
    assert wire.call("VRECALL", index, "VEC", "VALUES", 2, 3, 4, *recall) == packed
    assert wire.call("VENERGY", index, "VALUES", 2, 3, 4, "BETA", 10) == wire.call("VENERGY", index, pack(3, 4), "BETA", 10)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none_are_refused(wire, index, bad):
    for command in (["VADD", index, "k", pack(1, bad)], ["VSEARCH", index, pack(1, bad), 3]):
        reply = wire.call(*command)
        assert isinstance(reply, ErrorReply) and "component 1" in reply


def test_unknown_names_are_answered_with_the_known_ones(wire, index):
    primitive = wire.call("VNEW", "new", 2, "PRIMITIVE", "nonsense")
    assert "'nonsense'" in primitive and "flat" in primitive and "hnsw" in primitive
    option = wire.call("VNEW", "new", 2, "PRIMITIVE", "hnsw", "EFCONSTRUCTION", 9)
    assert "EFCONSTRUCTION" in option and "EF_CONSTRUCTION" in option and "M" in option
    value = wire.call("VNEW", "new", 2, "M", "many")
    assert "M must be an integer in" in value and "'many'" in value
    assert wire.call("VLIST") == [b"index"]


def test_wrong_type_in_both_directions(wire, index):
    wire.call("SET", "string", "x")
    wrong = "WRONGTYPE Operation against a key holding the wrong kind of value"
    assert wire.call("GET", index) == wrong
    assert wire.call("APPEND", index, "x") == wrong
    for command in (
        ["VADD", "string", "k", EAST],
        ["VSEARCH", "string", EAST, 1],
        ["VINFO", "string"],
        ["VNEW", "string", 2],
        ["VDROP", "string"],
    ):
        assert wire.call(*command) == wrong
    assert wire.call("GET", "string") == b"x"


@pytest.mark.parametrize("command", [["VDROP", "none"], ["VDEL", "none", "k"], ["VGET", "none", "k"]])
def test_who_wants_nothing_new_is_not_told_how_to_make_it(wire, command):
    assert wire.call(*command) == "ERR no such index 'none'"


def test_largest_dimension(wire):
    dim = 65_536
    wire.call("VNEW", "index", dim, "PRIMITIVE", "flat")
    vector = pack(*([1.0] * dim))
    assert wire.call("VADD", "index", "k", vector) == 1
    assert wire.call("VGET", "index", "k") == vector
    assert float(wire.call("VSEARCH", "index", vector, 1)[1]) == pytest.approx(0, abs=1e-5)


def test_redis_py_gets_the_same(server):
    client = server.redis()
    assert client.execute_command("VNEW", "index", 2, "PRIMITIVE", "flat") == b"OK"
    assert client.execute_command("VADD", "index", "east", EAST) == 1
    assert client.execute_command("VSEARCH", "index", EAST, 3) == [b"east", b"0"]
    assert client.execute_command("VINFO", "none") is None
