# SPDX-License-Identifier: Apache-2.0
"""Searches with a filter: what is answered is what a second evaluator and numpy say, whatever the plan is."""

import json

import numpy as np
import pytest

import filter_oracle
from strengths import as_map, make, pack, wire  # noqa: F401
from wire import ErrorReply

DIM = 8


def fill(client, index, items, vectors, primitive, rng):
    client.execute_command("VNEW", index, DIM, "METRIC", "l2", "PRIMITIVE", primitive)
    pipeline = client.pipeline(transaction=False)
    for i, item in enumerate(items):
        if i % 5 == 0:  # overwritten, with other attributes before
            pipeline.execute_command("VADD", index, f"k{i}", vectors[0].tobytes(), "SETATTR", '{"a": 1, "b": "x"}')
        words = [] if item is None else ["SETATTR", filter_oracle.attributes_text(rng, item)]
        if item is None and i % 5 == 0:
            words = ["SETATTR", ""]
        pipeline.execute_command("VADD", index, f"k{i}", vectors[i].tobytes(), *words)
    pipeline.execute()


def keys(reply):
    return [key.decode() for key in reply[::2]]


def check_filters(client, seed, count, items_count):
    rng = np.random.default_rng(seed)
    items = [filter_oracle.random_attributes(rng) for _ in range(items_count)]
    vectors = rng.standard_normal((items_count, DIM)).astype(np.float32)
    # One takes filters and is exact, one walks, and for one that knows nothing of them the engine scans.
    known = [as_map(primitive)[b"name"] for primitive in client.execute_command("VPRIMITIVES")]
    exact = [name for name in ("flat", "hopfield") if name.encode() in known]
    for primitive in ("hnsw", *exact):
        fill(client, primitive, items, vectors, primitive, rng)
    matched = 0
    for _ in range(count):
        text, holds = filter_oracle.random_filter(rng)
        query = rng.standard_normal(DIM).astype(np.float32)
        distances = np.linalg.norm(vectors.astype(np.float64) - query, axis=1)
        matching = [i for i in np.argsort(distances, kind="stable") if holds(items[i])]
        matched += 0 < len(matching) < items_count
        expected = [f"k{i}" for i in matching]
        k = int(rng.choice([1, 5, 10, items_count]))
        for primitive in exact:
            reply = client.execute_command("VSEARCH", primitive, query.tobytes(), k, "FILTER", text)
            assert keys(reply) == expected[:k], (seed, text)
        told = as_map(client.execute_command("VSEARCH", "hnsw", query.tobytes(), k, "FILTER", text, "EXPLAIN"))
        assert told[b"matches"] == len(expected) and told[b"items"] == items_count, (seed, text)
        found = keys(told[b"results"])
        assert len(found) == min(k, len(expected)) and set(found) <= set(expected), (seed, text)
        if told[b"plan"] == b"scan":
            assert found == expected[:k], (seed, text)
    assert matched > count / 4, "most filters are true of all or of none"


def test_random_filters_agree_with_a_second_evaluator(server):
    with server.redis() as client:
        check_filters(client, 1, 150, 300)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 6))
def test_many_random_filters_agree_with_a_second_evaluator(server, seed):
    with server.redis() as client:
        check_filters(client, seed, 500, 400)


@pytest.fixture
def colors(wire):  # noqa: F811
    """Items 0 to 99 on a line, of three colors."""
    for primitive in ("flat", "hnsw"):
        make(wire, primitive=primitive, index=primitive)
        for i in range(100):
            attributes = {"n": i, "color": ["red", "green", "blue"][i % 3], "tags": [f"t{i % 10}", "all"]}
            wire.call("VADD", primitive, f"k{i}", pack(i, 0), "SETATTR", json.dumps(attributes))
    return wire


def found(reply, columns=2):
    return [key and key.decode() for key in reply[::columns]]


@pytest.mark.parametrize("index", ["flat", "hnsw"])
def test_a_filter_follows_writes(colors, index):
    def search(text, k=3):
        return found(colors.call("VSEARCH", index, pack(10, 0), k, "FILTER", text))

    assert search('.color == "red"') == ["k9", "k12", "k6"]
    assert search('"t3" in .tags') == ["k13", "k3", "k23"]
    colors.call("VSETATTR", index, "k10", '{"color": "red"}')
    assert search('.color == "red"') == ["k10", "k9", "k12"]
    colors.call("VSETATTR", index, "k9", "")
    assert search('.color == "red"') == ["k10", "k12", "k6"]
    colors.call("VADD", index, "new", pack(10, 1), "SETATTR", '{"color": "red"}')
    assert search('.color == "red"') == ["k10", "new", "k12"]
    colors.call("VADD", index, "k10", pack(90, 0))  # keeps its attributes
    assert search('.color == "red"') == ["new", "k12", "k6"]
    colors.call("VDEL", index, "new")
    assert search('.color == "red"') == ["k12", "k6", "k15"]
    assert search('.color == "red" and .n > 95') == ["k96", "k99"]
    assert search('.color == "pink"') == []
    assert search('{"op": "not", "filters": [{"op": "exists", "field": "color"}]}') == ["k9"]


@pytest.mark.parametrize("index", ["flat", "hnsw"])
def test_explain_tells_how_it_went(colors, index):
    told = as_map(colors.call("VSEARCH", index, pack(10, 0), 2, "FILTER", '.color == "red"', "EXPLAIN"))
    assert told["matches"] == 34 and told["items"] == 100 and told["estimated"] > 0
    assert told["plan"] in (b"scan", b"walk") and told["complete"] == 1
    assert found(told["results"]) == ["k9", "k12"]
    plain = as_map(colors.call("VSEARCH", index, pack(10, 0), 2, "EXPLAIN"))
    assert plain["plan"] == b"plain" and plain["matches"] == 100 and found(plain["results"]) == ["k10", "k9"]


def test_each_query_of_a_batch_may_have_a_filter_of_its_own(colors):
    reply = colors.call(
        "VMSEARCH", "flat", 2, pack(10, 0), "FILTER", '.color == "red"', pack(10, 0), pack(0, 0),
        "FILTER", ".n > 50", pack(0, 0),
    )  # fmt: skip
    assert [found(one) for one in reply] == [["k10", "k9"], ["k9", "k12"], ["k0", "k3"], ["k51", "k52"]]
    reply = colors.call("VMSEARCH", "flat", 1, "FILTER", ".n > 20", "FILTER-EF", 9, *[pack(i, 0) for i in range(30)])
    assert [found(one) for one in reply] == [[f"k{max(21, i)}"] for i in range(30)]
    reply = colors.call("VMSEARCH", "flat", 1, "FILTER", ".n > 20", "VALUES", 2, 30, 0, "FILTER", ".n < 5", pack(9, 0))
    assert [found(one) for one in reply] == [["k30"], ["k4"]]


def test_many_queries_of_a_batch_may_each_have_a_filter(colors):
    words = []
    for i in range(5000):
        words += ["FILTER", f".n > {i % 90}", pack(0, 0), pack(1, 0)]
    reply = colors.call("VMSEARCH", "flat", 1, *words)
    assert [found(one) for one in reply] == [[f"k{i % 90 + 1}"] for i in range(5000) for _ in range(2)]


def test_different_filters_of_a_batch_are_bounded_in_bytes(colors):
    words = []
    for i in range(17):
        words += ["FILTER", f".n > {i}".ljust(65_000), pack(0, 0)]
    assert str(colors.call("VMSEARCH", "flat", 1, *words)) == (
        "ERR the different FILTERs of a command have at most 1048576 bytes in all"
    )
    assert len(colors.call("VMSEARCH", "flat", 1, *words[:3] * 40)) == 40


def test_recalls_and_diagnoses_take_a_filter(colors):
    recall = ("VRECALL", "hnsw", "VEC", pack(10, 0), "BETA", 1, "FILTER")
    told = as_map(colors.call(*recall, '.color == "red"', "TOP", 100))
    assert told["attractor"] == b"k9"
    assert {int(key[1:]) % 3 for key in told["support"][::2]} == {0}
    nothing = as_map(colors.call(*recall, "0"))
    assert nothing["attractor"] is None and nothing["kind"] == b"empty"
    assert as_map(colors.call("VDIAG", "hnsw", "BETA", 1, "FILTER", ".n < 20"))["sample"] == 20
    steps = found(colors.call("VSEARCH", "hnsw", pack(10, 0), 1, "STEPS", 3, "BETA", 1, "FILTER", '.color == "blue"'))
    assert steps == ["k11"]


def test_what_is_no_filter_is_refused(colors):
    def error(*words):
        reply = colors.call(*words)
        assert isinstance(reply, ErrorReply)
        return str(reply)

    search = ("VSEARCH", "flat", pack(0, 0), 1)
    assert error(*search, "FILTER", ".y ==") == "ERR syntax error in FILTER expression near: .y =="
    unreadable = error("VMSEARCH", "flat", 1, "FILTER", ".y == #", pack(0, 0))
    assert unreadable == "ERR syntax error in FILTER expression near: #"
    assert error("VMSEARCH", "flat", 1, pack(0, 0), "FILTER", ".y").startswith("ERR FILTER takes a value")
    assert error("VRECALL", "hnsw", "VEC", pack(0, 0), "FILTER", "(").startswith("ERR syntax error in FILTER")
    assert error("VDIAG", "hnsw", "FILTER", '{"op": 1}').startswith("ERR syntax error in FILTER: a filter has an op")
    assert "FILTER-EF must be" in error(*search, "FILTER-EF", 0)
    assert error(*search, "FILTER") == "ERR option 'FILTER' has no value"


def test_strengths_rank_what_matches(wire):  # noqa: F811
    for primitive in ("flat", "hnsw"):
        make(wire, "DECAY", "static", primitive=primitive, index=primitive)
        for i in range(30):
            words = ("STRENGTH", 1 if i % 2 else 1e-30, "SETATTR", f'{{"n":{i}}}')
            wire.call("VADD", primitive, f"k{i}", pack(i, 0), *words)
        reply = wire.call("VSEARCH", primitive, pack(10, 0), 3, "FILTER", ".n >= 10", "WITHRAW")
        assert found(reply, 3)[:2] == ["k11", "k13"] and [float(raw) for raw in reply[2::3]][:2] == [1, 3]


def test_attributes_filter_after_a_restart(start, reopen):
    first = start()
    with first.wire() as connection:
        make(connection, primitive="hnsw")
        for i in range(20):
            connection.call("VADD", "i", f"k{i}", pack(i, 0), "SETATTR", f'{{"n":{i}}}')
        connection.call("VSAVE")
        connection.call("VADD", "i", "late", pack(0, 1), "SETATTR", '{"n": -1}')
        expected = connection.call("VSEARCH", "i", pack(0, 0), 5, "FILTER", ".n < 0 or .n > 7")
    first.end()
    second = reopen(first)
    with second.wire() as connection:
        assert connection.call("VSEARCH", "i", pack(0, 0), 5, "FILTER", ".n < 0 or .n > 7") == expected


@pytest.fixture
def many(server):
    """8,000 items in hnsw and in flat, with a number and a fresh random field."""
    rng = np.random.default_rng(7)
    vectors = rng.standard_normal((8000, 16)).astype(np.float32)
    with server.redis() as client:
        for primitive in ("hnsw", "flat"):
            client.execute_command("VNEW", primitive, 16, "METRIC", "l2", "PRIMITIVE", primitive)
            for begin in range(0, len(vectors), 500):
                words = [word for i in range(begin, begin + 500) for word in (f"k{i}", vectors[i].tobytes())]
                client.execute_command("VMADD", primitive, *words)
            pipeline = client.pipeline(transaction=False)
            for i in range(len(vectors)):
                pipeline.execute_command("VSETATTR", primitive, f"k{i}", f'{{"n": {i}}}')
            pipeline.execute()
        yield client, vectors, rng


@pytest.mark.long
def test_walks_and_scans_answer_alike(many):
    client, vectors, rng = many
    plans = {}
    for share in (0.001, 0.01, 0.1, 0.5, 0.9, 1):
        overlap = []
        for _ in range(20):
            query = rng.standard_normal(16).astype(np.float32).tobytes()
            filter_words = ("FILTER", f".n < {int(share * len(vectors))}")
            told = as_map(client.execute_command("VSEARCH", "hnsw", query, 10, "EF", 64, *filter_words, "EXPLAIN"))
            exact = keys(client.execute_command("VSEARCH", "flat", query, 10, *filter_words))
            assert told[b"matches"] == share * len(vectors) and len(keys(told[b"results"])) == min(10, len(exact))
            overlap.append(len(set(exact) & set(keys(told[b"results"]))) / len(exact))
            plans.setdefault(told[b"plan"], set()).add(share)
        assert np.mean(overlap) >= 0.95, (share, np.mean(overlap))
    assert 0.001 in plans[b"scan"] and 0.9 in plans[b"walk"]


@pytest.mark.long
def test_filter_ef_ends_a_walk_and_the_reply_says_so(many):
    client, vectors, rng = many
    search = ("VSEARCH", "hnsw", vectors[0].tobytes(), 20, "EF", 20, "FILTER", ".n % 2 == 1", "FILTER-EF")
    reply = client.execute_command(*search, 7)
    assert reply[-2] is None and 0 < reply[-1] <= 7
    assert all(int(key[1:]) % 2 == 1 for key in keys(reply[:-2]))
    raw = client.execute_command(*search, 7, "WITHRAW")
    assert raw[-3] is None and raw[-1] is None and len(raw) % 3 == 0
    told = as_map(client.execute_command(*search, 7, "EXPLAIN"))
    assert told[b"plan"] == b"walk" and told[b"complete"] == 0 and told[b"visited"] <= 7
    reply = client.execute_command(*search, 100_000)
    assert len(reply) == 40 and None not in reply
    batch = client.execute_command(
        "VMSEARCH", "hnsw", 20, "EF", 20, *search[-3:], 7, *[vector.tobytes() for vector in vectors[:5]]
    )
    assert all(reply[-2] is None for reply in batch)
