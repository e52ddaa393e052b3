# SPDX-License-Identifier: Apache-2.0
"""Searches within a radius: what is answered is what numpy finds there."""

import numpy as np
import pytest

from strengths import HOUR_MS, make, pack, rows, wire  # noqa: F401
from wire import ErrorReply

DIM = 16
COUNT = 400


def distances(metric, vectors, query):
    vectors, query = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "l2":
        return np.linalg.norm(vectors - query, axis=1)
    if metric == "dot":
        return -vectors @ query
    return 1 - vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)


@pytest.mark.parametrize("metric", ["l2", "cosine", "dot"])
@pytest.mark.parametrize("options", [("flat",), ("hnsw",), ("hnsw", "QUANT", "sq8"), ("hnsw", "QUANT", "bin")])
def test_all_within_a_radius_are_found(wire, options, metric):  # noqa: F811
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((COUNT, DIM)).astype(np.float32)
    assert wire.call("VNEW", "i", DIM, "METRIC", metric, "PRIMITIVE", *options) == "OK"
    for number, vector in enumerate(vectors):
        wire.call("VADD", "i", number, vector.tobytes(), "SETATTR", f'{{"n": {number}}}')
    missed = wanted = 0
    for _ in range(20):
        query = rng.standard_normal(DIM).astype(np.float32)
        far = distances(metric, vectors, query)
        ascending = np.sort(far)
        count = int(rng.integers(0, 60))
        radius = ascending[0] - 0.01 if count == 0 else (ascending[count - 1] + ascending[count]) / 2
        radius = max(radius, 0) if metric != "dot" else radius
        within = {str(i) for i in np.flatnonzero(far <= radius)}
        plain = ("VSEARCH", "i", query.tobytes(), COUNT, "RADIUS", radius)
        found = rows(wire.call(*plain), 2)
        assert [distance for _, distance in found] == sorted(distance for _, distance in found)
        keys = [key for key, _ in found]
        assert set(keys) <= within
        missed, wanted = missed + len(within) - len(keys), wanted + len(within)
        if options == ("flat",):
            assert set(keys) == within
        # k is a limit; the farthest is within what is printed of it.
        assert [key for key, _ in rows(wire.call("VSEARCH", "i", query.tobytes(), 3, "RADIUS", radius), 2)] == keys[:3]
        batch = wire.call("VMSEARCH", "i", COUNT, "RADIUS", radius, query.tobytes(), query.tobytes())
        assert [[key for key, _ in rows(reply, 2)] for reply in batch] == [keys, keys]
        even = rows(wire.call(*plain, "FILTER", ".n % 2 == 0"), 2)
        assert {key for key, _ in even} <= {key for key in within if int(key) % 2 == 0}
        if options == ("flat",):
            assert [key for key, _ in even] == [key for key in keys if int(key) % 2 == 0]
        pages, cursor = [], 0
        while True:
            cursor, page = wire.call("VSEARCH", "i", query.tobytes(), 7, "RADIUS", radius, "CURSOR", cursor)
            pages += [key for key, _ in rows(page, 2)]
            if cursor == b"0":
                break
        assert set(pages) <= within and len(pages) == len(set(pages))
        if options == ("flat",):
            assert pages == keys
    assert missed <= 0.05 * wanted


@pytest.mark.parametrize("primitive", ["flat", "hnsw"])
def test_a_key_at_the_distance_that_was_answered_is_within_it(wire, primitive):  # noqa: F811
    rng = np.random.default_rng(6)
    for metric in ("l2", "cosine", "dot"):
        assert wire.call("VNEW", metric, DIM, "METRIC", metric, "PRIMITIVE", primitive) == "OK"
        vectors = rng.standard_normal((50, DIM)).astype(np.float32)
        for number, vector in enumerate(vectors):
            wire.call("VADD", metric, number, vector.tobytes())
        reply = wire.call("VSEARCH", metric, vectors[0].tobytes(), 50)
        for i in range(0, len(reply), 2):
            within = wire.call("VSEARCH", metric, vectors[0].tobytes(), 50, "RADIUS", reply[i + 1])
            assert within[: i + 2] == reply[: i + 2]


@pytest.mark.parametrize("primitive", ["flat", "hnsw"])
def test_where_strengths_count_the_radius_is_of_effective_distances(wire, primitive):  # noqa: F811
    make(wire, "DECAY", "exp", HOUR_MS, primitive=primitive)
    for number in range(40):
        wire.call("VADD", "i", number, pack(number, 0), "AT", number * HOUR_MS)
    words = ("VSEARCH", "i", pack(20, 0), 40, "AT", 40 * HOUR_MS, "WITHRAW")
    found = rows(wire.call(*words), 3)
    assert any(effective > raw + 0.1 for _, effective, raw in found)
    for radius in (0, 1.5, 3, 5, 9, 100):
        within = rows(wire.call(*words, "RADIUS", radius), 3)
        assert within == [row for row in found if row[1] <= radius]


def test_what_is_no_radius_is_refused(wire):  # noqa: F811
    make(wire)
    search = ("VSEARCH", "i", pack(0, 0), 1, "RADIUS")
    for radius in ("nan", "-1", "near"):
        refused = wire.call(*search, radius)
        assert isinstance(refused, ErrorReply) and str(refused).startswith("ERR RADIUS must be a distance"), radius
    assert wire.call(*search, "1e39") == [] and wire.call(*search, 0) == []
    assert "RADIUS takes a value" in str(wire.call("VMSEARCH", "i", 1, "RADIUS", "1"))
