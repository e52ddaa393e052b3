# SPDX-License-Identifier: Apache-2.0
"""Redis 8's vector-set commands: every reply as it is on the wire."""

import math
import random
import struct

import pytest
import redis

from wire import ErrorReply, pack


@pytest.fixture
def points(wire):
    """A set of three elements and no rounding."""
    for element, values in {"a": (1, 0, 0), "b": (0, 1, 0), "c": (-1, 0, 0)}.items():
        assert wire.call("VADD", "points", "VALUES", 3, *values, element, "NOQUANT") == 1
    return "points"


def boolean(protocol, value):
    return {2: b":%d\r\n" % value, 3: b"#t\r\n" if value else b"#f\r\n"}[protocol]


def null(protocol):
    return {2: b"$-1\r\n", 3: b"_\r\n"}[protocol]


def bulk(data):
    return b"$%d\r\n%s\r\n" % (len(data), data)


def number(protocol, text):
    return {2: bulk(text), 3: b",%s\r\n" % text}[protocol]


def pairs(protocol, count):
    return {2: b"*%d\r\n" % (2 * count), 3: b"%%%d\r\n" % count}[protocol]


def as_map(reply):
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))


def scored(reply):
    """Elements with their scores, which RESP3 has as a map whose keys the connection has decoded."""
    found = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return {key.encode() if isinstance(key, str) else key: float(score) for key, score in found}


# --- VADD, VREM -----------------------------------------------------------------------------------


def test_vadd_makes_the_set_and_tells_new_from_updated(wire, protocol):
    assert wire.call_raw("VADD", "s", "FP32", pack(1, 0, 0), "a") == boolean(protocol, True)
    assert wire.call_raw("VADD", "s", "values", 3, "0", "+1", "1e-60", "a") == boolean(protocol, False)
    assert wire.call("VEMB", "s", "a") == [pytest.approx(x) if protocol == 3 else b"%d" % x for x in (0, 1, 0)]
    assert wire.call("TYPE", "s") == "vectorset"
    assert wire.call("SCAN", 0, "TYPE", "vectorset")[1] == [b"s"] and wire.call("VLIST") == [b"s"]
    info = as_map(wire.call("VINFO", "s"))
    assert [info[name] for name in ("quant-type", "hnsw-m", "vector-dim", "size", "metric", "primitive", "auto")] == [
        "int8", 16, 3, 1, b"cosine", b"hnsw", 1,
    ]  # fmt: skip


def test_vadd_of_a_vector_set_is_told_from_the_native_one(wire, protocol):
    assert wire.call("VNEW", "index", 1, "METRIC", "l2", "PRIMITIVE", "flat") == "OK"
    # Four arguments are native, whatever the key is called.
    assert wire.call_raw("VADD", "index", "FP32", pack(1)) == b":1\r\n"
    assert wire.call_raw("VADD", "index", "VALUES", pack(2)) == b":1\r\n"
    assert wire.call_raw("VADD", "index", "key", "VALUES", 1, 3) == b":1\r\n"
    assert wire.call_raw("VADD", "index", "VALUES", 1, 4, "key") == boolean(protocol, False)
    assert wire.call("VGET", "index", "key") == pack(4)
    assert wire.call("VADD", "missing", "key", pack(1)) == "ERR no such index 'missing', VNEW makes one"


def test_options_of_vadd_shape_the_set_that_it_makes(wire):
    options = {"f": ["NOQUANT", "M", 8, "EF", 321], "q": ["CAS", "Q8"], "d": [], "b": ["bin"]}
    for name, words in options.items():
        assert wire.call("VADD", name, "VALUES", 2, 3, 4, "e", *words) == 1
    info = {name: as_map(wire.call("VINFO", name)) for name in options}
    assert [info[name]["quant-type"] for name in "fqdb"] == ["f32", "int8", "int8", "bin"]
    assert [info[name]["hnsw-m"] for name in "fqdb"] == [8, 16, 16, 16]
    assert info["f"]["ef-construction"] == 321
    assert wire.call("VADD", "f", "VALUES", 2, 1, 0, "x", "m", 8, "noquant", "cas", "ef", 5) == 1
    assert wire.call("VADD", "f", "VALUES", 2, 1, 0, "x") == 0


def test_a_set_of_bits_ranks_what_they_find_by_the_vectors(wire):
    rng = random.Random(3)
    vectors = {f"e{i}": [rng.gauss(1, 1) for _ in range(48)] for i in range(3000)}
    for element, vector in vectors.items():
        wire.send("VADD", "s", "FP32", pack(*vector), element, "BIN")
    assert all(wire.read() for _ in vectors)
    assert wire.call("VADD", "s", "FP32", pack(*vectors["e0"]), "e0", "NOQUANT") == "ERR asked quantization mismatch with existing vector set"
    found = 0
    for element in list(vectors)[:20]:
        # The walk keeps 4 * 10 candidates; wider ones would be a scan.
        near = wire.call("VSIM", "s", "ELE", element, "COUNT", 10, "EF", 10)
        found += len(set(near) & set(wire.call("VSIM", "s", "ELE", element, "COUNT", 10, "TRUTH")))
        scores = scored(wire.call("VSIM", "s", "ELE", element, "COUNT", 1, "WITHSCORES"))
        assert scores == {element.encode(): pytest.approx(1)}
    assert found > 100


def test_the_set_goes_with_its_last_element(wire, protocol):
    for element in "ab":
        wire.call("VADD", "s", "VALUES", 2, 1, 0, element)
    assert wire.call_raw("VREM", "s", "none") == boolean(protocol, False)
    assert wire.call_raw("VREM", "s", "a") == boolean(protocol, True)
    assert wire.call("EXISTS", "s") == 1
    assert wire.call_raw("VREM", "s", "b") == boolean(protocol, True)
    assert wire.call("EXISTS", "s") == 0 and wire.call("DBSIZE") == 0
    assert wire.call_raw("VREM", "s", "b") == boolean(protocol, False)
    # Whoever comes next may make another, whatever is still on its way.
    for _ in range(50):
        for dim in (2, 3):
            wire.send("VADD", "s", "VALUES", dim, *[1] * dim, "only")
            wire.send("VDEL" if dim == 2 else "VREM", "s", "only")
        assert [int(wire.read()) for _ in range(4)] == [1, 1, 1, 1]
    assert wire.call("DBSIZE") == 0


def test_an_index_of_vnew_stays_when_it_is_empty(wire):
    wire.call("VNEW", "index", 2)
    assert wire.call("VADD", "index", "VALUES", 2, 1, 0, "a") == 1 and wire.call("VREM", "index", "a") == 1
    assert wire.call("VCARD", "index") == 0 and wire.call("EXISTS", "index") == 1


def test_sets_come_and_go_in_transactions(wire):
    wire.call("MULTI")
    for command in (
        ["VADD", "s", "VALUES", 2, 1, 0, "a"],
        ["VCARD", "s"],
        ["VREM", "s", "a"],
        ["EXISTS", "s"],
        ["VADD", "s", "VALUES", 3, 1, 0, 0, "b"],
        ["VDIM", "s"],
    ):
        assert wire.call(*command) == "QUEUED"
    assert wire.call("EXEC") == [1, 1, 1, 0, 1, 3]


def test_renamed_sets_still_go_with_their_last_element(wire):
    wire.call("VADD", "s", "VALUES", 2, 1, 0, "a")
    wire.call("RENAME", "s", "t")
    assert wire.call("VREM", "t", "a") == 1 and wire.call("DBSIZE") == 0


# --- REDUCE ---------------------------------------------------------------------------------------


def test_reduce_projects_what_is_added_and_asked(wire):
    rng = random.Random(7)
    vectors = {f"e{i}": [rng.gauss(0, 1) for _ in range(300)] for i in range(20)}
    for element, vector in vectors.items():
        assert wire.call("VADD", "s", "REDUCE", 64, "FP32", pack(*vector), element, "NOQUANT") == 1
    info = as_map(wire.call("VINFO", "s"))
    assert (info["vector-dim"], info["projection-input-dim"]) == (64, 300)
    assert wire.call("VDIM", "s") == 64 and len(wire.call("VEMB", "s", "e0")) == 64
    for element, vector in vectors.items():
        best = wire.call("VSIM", "s", "VALUES", 300, *vector, "COUNT", 1, "WITHSCORES")
        assert scored(best) == {element.encode(): pytest.approx(1)}
    # Lengths are kept on average, and so are products.
    lengths = [math.hypot(*map(float, wire.call("VEMB", "s", element))) for element in vectors]
    assert sum(lengths) / len(lengths) == pytest.approx(math.sqrt(300), rel=0.1)
    assert wire.call("VSEARCH", "s", pack(*vectors["e3"]), 1)[0] == b"e3"
    assert scored(wire.call("VSIM", "s", "ELE", "e3", "COUNT", 1, "WITHSCORES")) == {b"e3": pytest.approx(1)}


def test_the_same_projection_comes_back_after_a_crash_and_from_a_snapshot(start, reopen):
    server = start("--fsync", "always")
    vectors = [[float(i + j) ** 0.5 for j in range(40)] for i in range(3)]
    with server.wire() as wire:
        for i, vector in enumerate(vectors):
            assert wire.call("VADD", "s", "REDUCE", 8, "VALUES", 40, *vector, f"e{i}") == 1
        wire.call("VADD", "gone", "VALUES", 2, 1, 2, "a")
        wire.call("VREM", "gone", "a")
        before = wire.call("VSIM", "s", "VALUES", 40, *vectors[1], "WITHSCORES")
    for snapshot in (False, True):
        server.process.kill()
        server.wait()
        server = reopen(server)
        with server.wire() as wire:
            assert wire.call("KEYS", "*") == [b"s"]
            assert wire.call("VSIM", "s", "VALUES", 40, *vectors[1], "WITHSCORES") == before
            assert wire.call("VADD", "s", "REDUCE", 8, "VALUES", 40, *vectors[0], "again") == 1
            assert wire.call("VEMB", "s", "again") == wire.call("VEMB", "s", "e0")
            assert wire.call("VREM", "s", "again") == 1
            assert as_map(wire.call("VINFO", "s"))["auto"] == 1
            if not snapshot:
                assert wire.call("SAVE") == "OK"
    with server.wire() as wire:
        assert [wire.call("VREM", "s", f"e{i}") for i in range(3)] == [1, 1, 1]
        assert wire.call("DBSIZE") == 0


# --- VSIM -----------------------------------------------------------------------------------------


def test_vsim_answers_the_most_similar(wire, points, protocol):
    assert wire.call_raw("VSIM", points, "ELE", "a") == b"*3\r\n" + bulk(b"a") + bulk(b"b") + bulk(b"c")
    expected = pairs(protocol, 3)
    for element, score in ((b"a", b"1"), (b"b", b"0.5"), (b"c", b"0")):
        expected += bulk(element) + number(protocol, score)
    for query in (["ELE", "a"], ["FP32", pack(9, 0, 0)], ["VALUES", 3, 0.25, 0, 0]):
        assert wire.call_raw("VSIM", points, *query, "WITHSCORES") == expected
        assert wire.call_raw("VSIM", points, *query, "TRUTH", "NOTHREAD", "EF", 50, "WITHSCORES") == expected
    assert wire.call("VSIM", points, "ELE", "b", "COUNT", 1) == [b"b"]
    assert wire.call_raw("VSIM", "none", "ELE", "b", "WITHSCORES") == b"*0\r\n"


def test_epsilon_leaves_out_what_is_farther(wire, points):
    query = ["VSIM", points, "VALUES", 3, 1, 0, 0]
    assert wire.call(*query, "EPSILON", 0.4) == [b"a"]
    assert wire.call(*query, "EPSILON", 0.5) == [b"a", b"b"]
    assert wire.call(*query, "EPSILON", "1.0") == [b"a", b"b", b"c"]


def test_a_zero_vector_scores_a_half(wire, points):
    assert wire.call("VADD", points, "VALUES", 3, 0, 0, 0, "zero") == 1
    scores = scored(wire.call("VSIM", points, "ELE", "zero", "WITHSCORES"))
    assert set(scores.values()) == {0.5} and len(scores) == 4


def test_ten_come_by_default_and_truth_is_exact(wire):
    rng = random.Random(3)
    vectors = {b"%d" % i: [rng.gauss(0, 1) for _ in range(8)] for i in range(200)}
    for element, vector in vectors.items():
        wire.send("VADD", "s", "FP32", pack(*vector), element, "NOQUANT")
    assert all(wire.read() for _ in vectors)
    query = [rng.gauss(0, 1) for _ in range(8)]

    def similarity(vector):
        product = sum(a * b for a, b in zip(vector, query))
        return (1 + product / math.hypot(*vector) / math.hypot(*query)) / 2

    best = sorted(vectors, key=lambda element: -similarity(vectors[element]))[:10]
    assert wire.call("VSIM", "s", "VALUES", 8, *query) == best
    found = scored(wire.call("VSIM", "s", "VALUES", 8, *query, "TRUTH", "WITHSCORES"))
    assert list(found) == best
    for element, score in found.items():
        assert score == pytest.approx(similarity(vectors[element]), abs=1e-6)


@pytest.mark.parametrize("primitive", ["flat", "hnsw", "hopfield"])
@pytest.mark.parametrize("metric, scores", [("cosine", (1, 0.5)), ("l2", (1, 0.25)), ("dot", (9, 0))])
def test_any_index_may_be_asked_like_a_set(wire, primitive, metric, scores):
    assert wire.call("VNEW", "index", 2, "METRIC", metric, "PRIMITIVE", primitive) == "OK"
    wire.call("VADD", "index", "VALUES", 2, 3, 0, "x")
    wire.call("VADD", "index", "VALUES", 2, 0 if metric != "l2" else 3, 3 if metric != "dot" else 0.5, "y")
    for truth in ([], ["TRUTH"]):
        found = scored(wire.call("VSIM", "index", "VALUES", 2, 3, 0, "WITHSCORES", *truth))
        assert list(found.values()) == pytest.approx(scores)
        assert list(found) == [b"x", b"y"]
    assert [len(level) for level in wire.call("VLINKS", "index", "x")] == [1]
    assert wire.call("VRANGE", "index", "-", "+") == [b"x", b"y"]
    assert wire.call("VEMB", "index", "x") == wire.call("VGET", "index", "x", "VALUES")


def test_attributes_come_with_the_elements(wire, points, protocol):
    assert wire.call("VADD", points, "VALUES", 3, 1, 0, 0, "a", "NOQUANT", "SETATTR", '{"x":1}') == 0
    assert wire.call("VADD", points, "VALUES", 3, 1, 0, 0, "a", "CAS") == 0  # keeps them
    assert wire.call("VGETATTR", points, "a") == b'{"x":1}'
    query = ["VSIM", points, "ELE", "a", "COUNT", 2]
    a, b = bulk(b"a"), bulk(b"b")
    one, half, text = number(protocol, b"1"), number(protocol, b"0.5"), bulk(b'{"x":1}')
    assert wire.call_raw(*query, "WITHATTRIBS") == pairs(protocol, 2) + a + text + b + null(protocol)
    both = wire.call_raw(*query, "WITHATTRIBS", "WITHSCORES")
    if protocol == 2:
        assert both == b"*6\r\n" + a + one + text + b + half + null(protocol)
    else:
        assert both == b"%2\r\n" + a + b"*2\r\n" + one + text + b + b"*2\r\n" + half + null(protocol)
    assert wire.call_raw(*query, "TRUTH", "WITHATTRIBS", "WITHSCORES") == both
    assert as_map(wire.call("VINFO", points))["attributes-count"] == 1
    assert wire.call("VADD", points, "VALUES", 3, 1, 0, 0, "a", "SETATTR", "") == 0
    assert wire.call_raw("VGETATTR", points, "a") == null(protocol)


def test_filters_choose_by_attributes(wire, points):
    for element, year in {"a": 1980, "b": 1990}.items():
        assert wire.call("VSETATTR", points, element, '{"year":%d}' % year) == 1
    query = ["VSIM", points, "ELE", "a"]
    for truth in ([], ["TRUTH"]):
        assert wire.call(*query, "FILTER", ".year > 1985", *truth) == [b"b"]
        assert wire.call(*query, "FILTER", ".year >= 1980", "FILTER-EF", 500, *truth) == [b"a", b"b"]
        assert scored(wire.call(*query, "FILTER", ".year == 1990", "WITHSCORES", *truth)) == {b"b": 0.5}
        assert wire.call(*query, "FILTER", ".year < 0", *truth) == []
        assert wire.call(*query, "COUNT", 1, "FILTER", ".year < 0", "FILTER", ".year > 0", *truth) == [b"a"]
        assert wire.call(*query, "FILTER", ".year > 1985", "EPSILON", 0.4, *truth) == []


@pytest.mark.parametrize("text", ["{", "[1]", "1", "nonsense"])
def test_attributes_that_are_no_object_make_no_set(wire, text):
    assert isinstance(wire.call("VADD", "s", "VALUES", 2, 1, 0, "a", "SETATTR", text), ErrorReply)
    assert wire.call("EXISTS", "s") == 0


# --- What is in a set -----------------------------------------------------------------------------


def test_vcard_vdim_vismember(wire, points, protocol):
    assert wire.call_raw("VCARD", points) == b":3\r\n" and wire.call_raw("VCARD", "none") == b":0\r\n"
    assert wire.call_raw("VDIM", points) == b":3\r\n"
    assert wire.call_raw("VDIM", "none") == b"-ERR key does not exist\r\n"
    assert wire.call_raw("VISMEMBER", points, "a") == boolean(protocol, True)
    assert wire.call_raw("VISMEMBER", points, "x") == boolean(protocol, False)
    assert wire.call_raw("VISMEMBER", "none", "a") == boolean(protocol, False)


def test_vemb_answers_numbers_or_what_is_kept(wire, protocol):
    wire.call("VADD", "f", "VALUES", 2, 3, -4, "e", "NOQUANT")
    wire.call("VADD", "q", "VALUES", 2, 3, -4, "e")
    assert [float(x) for x in wire.call("VEMB", "f", "e")] == pytest.approx([3, -4])
    assert [float(x) for x in wire.call("VEMB", "q", "e")] == pytest.approx([3, -4], abs=0.02)
    kind, data, norm = wire.call("VEMB", "f", "e", "RAW")
    assert (kind, struct.unpack("<2f", data), float(norm)) == ("f32", pytest.approx((0.6, -0.8)), pytest.approx(5))
    kind, data, norm, span = wire.call("VEMB", "q", "e", "raw")
    assert (kind, struct.unpack("2b", data)) == ("int8", (95, -127))
    assert (float(norm), float(span)) == (pytest.approx(5, rel=0.01), pytest.approx(0.8, rel=0.01))
    wire.call("VADD", "b", "VALUES", 65, 3, -4, *[0] * 62, 1, "e", "BIN")
    assert [float(x) for x in wire.call("VEMB", "b", "e")][:2] == pytest.approx([3, -4])
    kind, data, norm = wire.call("VEMB", "b", "e", "RAW")
    assert (kind, data, float(norm)) == ("bin", struct.pack("<QQ", 1, 1), pytest.approx(26**0.5))
    for key, element in (("f", "x"), ("none", "e")):
        assert wire.call_raw("VEMB", key, element) == wire.call_raw("VEMB", key, element, "RAW") == null(protocol)


def test_vinfo_of_a_missing_key_is_null(wire, protocol):
    assert wire.call_raw("VINFO", "none") == {2: b"*-1\r\n", 3: b"_\r\n"}[protocol]


def test_vlinks_of_a_small_set_are_the_nearest(wire, points, protocol):
    assert wire.call_raw("VLINKS", points, "a") == b"*1\r\n*2\r\n" + bulk(b"b") + bulk(b"c")
    assert wire.call_raw("VLINKS", points, "a", "withscores") == (
        b"*1\r\n" + pairs(protocol, 2) + bulk(b"b") + number(protocol, b"0.5") + bulk(b"c") + number(protocol, b"0")
    )
    assert wire.call_raw("VLINKS", points, "x") == wire.call_raw("VLINKS", "none", "a") == null(protocol)


def test_vlinks_lead_through_the_graph_level_by_level(wire):
    rng = random.Random(11)
    count = 600
    for i in range(count):
        wire.send("VADD", "s", "VALUES", 3, *(round(rng.gauss(0, 1), 3) for _ in range(3)), i, "NOQUANT", "M", 4)
    assert all(wire.read() for _ in range(count))
    levels = {i: wire.call("VLINKS", "s", i) for i in range(count)}
    assert as_map(wire.call("VINFO", "s"))["max-level"] == max(map(len, levels.values())) - 1 > 0
    for i, links in levels.items():
        for level, keys in enumerate(reversed(links)):
            assert len(set(keys)) == len(keys) <= (8 if level == 0 else 4) and b"%d" % i not in keys
            assert all(len(levels[int(key)]) > level for key in keys)
    tall = max(levels, key=lambda i: len(levels[i]))
    with_scores = [scored(level) for level in wire.call("VLINKS", "s", tall, "WITHSCORES")]
    assert [list(level) for level in with_scores] == levels[tall]
    exact = scored(wire.call("VSIM", "s", "ELE", tall, "COUNT", count, "TRUTH", "WITHSCORES"))
    for key, score in with_scores[-1].items():
        assert score == pytest.approx(exact[key], abs=1e-6)


def test_vrandmember_answers_elements_at_random(wire, points, protocol):
    elements = {b"a", b"b", b"c"}
    assert {wire.call("VRANDMEMBER", points) for _ in range(60)} == elements
    for count in (1, 2, 3, 9):
        drawn = wire.call("VRANDMEMBER", points, count)
        assert len(drawn) == len(set(drawn)) == min(count, 3) and set(drawn) <= elements
    assert len(wire.call("VRANDMEMBER", points, -7)) == 7
    assert set(wire.call("VRANDMEMBER", points, -100)) == elements
    assert wire.call_raw("VRANDMEMBER", points, 0) == b"*0\r\n"
    assert wire.call_raw("VRANDMEMBER", "none") == null(protocol)
    assert wire.call_raw("VRANDMEMBER", "none", 5) == b"*0\r\n"


def test_vrandmember_draws_each_element_as_often_as_another(wire):
    for i in range(64):
        wire.call("VADD", "s", "VALUES", 2, i, 1, i)
    for i in range(48):
        wire.call("VREM", "s", i)
    drawn = wire.call("VRANDMEMBER", "s", -16000)
    assert sorted(set(map(int, drawn))) == list(range(48, 64))
    assert all(800 < drawn.count(b"%d" % i) < 1200 for i in range(48, 64))
    assert sorted(map(int, wire.call("VRANDMEMBER", "s", 15))) != []


def test_vrange_answers_elements_in_the_order_of_their_bytes(wire):
    elements = [b"a", b"aa", b"b", b"c\x00", b"c\x00d", b"\xff"]
    for element in random.Random(5).sample(elements, len(elements)):
        wire.call("VADD", "s", "VALUES", 2, 1, 0, element)

    def between(start, end, *count):
        return wire.call("VRANGE", "s", start, end, *count)

    assert between("-", "+") == between("-", "+", -1) == elements
    assert between("-", "+", 2) == elements[:2] and between("-", "+", 0) == []
    assert between("[aa", "[c") == elements[1:3] and between("(aa", b"(c\x00d") == elements[2:4]
    assert between(b"[c\x00", "+", 2) == elements[3:5] and between("[x", "[a") == []
    assert wire.call_raw("VRANGE", "none", "-", "+") == b"*0\r\n"


def test_vrange_pages_through_a_large_set(wire):
    check_pages(wire, 1000, 99)


@pytest.mark.long
def test_vrange_pages_through_a_set_that_takes_several_steps(wire):
    check_pages(wire, 150_000, 70_000)
    drawn = wire.call("VRANDMEMBER", "s", 140_000)
    assert len(set(drawn)) == 140_000
    assert len(wire.call("VRANDMEMBER", "s", -200_000)) == 200_000


def check_pages(wire, count, size):
    keys = [b"%06d" % i for i in range(count)]
    shuffled = random.Random(1).sample(keys, len(keys))
    wire.call("VNEW", "s", 1, "PRIMITIVE", "flat")
    for at in range(0, count, 1000):
        batch = shuffled[at : at + 1000]
        assert wire.call("VMADD", "s", *(word for key in batch for word in (key, pack(1)))) == len(batch)
    seen, start = [], "-"
    while page := wire.call("VRANGE", "s", start, "+", size):
        seen += page
        start = b"(" + page[-1]
    assert seen == keys


# --- redis-py -------------------------------------------------------------------------------------


def test_redis_py_speaks_to_sets(server):
    client = server.redis(decode_responses=True)
    call = client.execute_command
    assert [call("VADD", "s", "VALUES", 2, x, y, f"{x}{y}", "Q8") for x, y in ((0, 1), (1, 0), (1, 1))] == [1, 1, 1]
    assert call("VSIM", "s", "ELE", "01", "WITHSCORES")[::2] == ["01", "11", "10"]
    assert call("VCARD", "s") == 3 and call("VDIM", "s") == 2 and client.type("s") == "vectorset"
    assert float(call("VEMB", "s", "10")[0]) == pytest.approx(1)
    with pytest.raises(redis.ResponseError, match="Vector dimension mismatch - got 1 but set has 2"):
        call("VADD", "s", "VALUES", 1, 1, "e")
    assert call("VREM", "s", "01") == 1 and call("VISMEMBER", "s", "01") == 0
