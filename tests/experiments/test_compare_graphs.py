# SPDX-License-Identifier: Apache-2.0
"""The cut of the queries, and reading a throughput off a curve."""

import json
import sys

import numpy as np
import pytest

from common import UserError
from compare_graphs import Curve, cut, follow
from datasets import Dataset


def made(metric="cosine", test_vectors=None):
    vectors = np.random.default_rng(3).normal(size=(100, 5)).astype(np.float32)
    return Dataset("made", metric, [b"%d" % row for row in range(100)], vectors, test_vectors)


class TestCut:
    def test_takes_the_queries_out_of_the_rows(self):
        data = made("l2")
        parts = cut(data, 10, seed=1)
        assert len(parts.queries) == 10 and len(parts.rows) == 90
        together = np.vstack([parts.queries, parts.rows])
        assert sorted(map(tuple, together)) == sorted(map(tuple, data.vectors))

    def test_comes_from_the_seed(self):
        assert (cut(made(), 10, 1).queries == cut(made(), 10, 1).queries).all()
        assert (cut(made(), 10, 1).queries != cut(made(), 10, 2).queries).any()

    def test_leaves_the_rows_whole_where_there_are_test_vectors(self):
        tests = np.ones((30, 5), dtype=np.float32)
        parts = cut(made("l2", tests), 10, seed=1)
        assert len(parts.rows) == 100 and (parts.queries == 1).all()

    def test_gives_unit_vectors_under_cosine(self):
        parts = cut(made(), 10, seed=1)
        assert np.linalg.norm(parts.rows, axis=1) == pytest.approx(1)
        assert np.linalg.norm(parts.queries, axis=1) == pytest.approx(1)

    def test_refuses_more_queries_than_there_are(self):
        with pytest.raises(UserError, match="too many"):
            cut(made(), 51, seed=1)


class TestCurve:
    curve = Curve("x", 1.0, 1, [(10, 0.8, 1000.0), (20, 0.9, 500.0), (40, 0.99, 100.0)])

    def test_meets_the_points_that_were_measured(self):
        assert self.curve.qps_at(0.9) == pytest.approx(500)
        assert self.curve.qps_at(0.99) == pytest.approx(100)

    def test_lies_between_its_neighbours(self):
        assert 100 < self.curve.qps_at(0.95) < 500

    def test_says_nothing_beyond_its_ends(self):
        assert self.curve.qps_at(0.7) is None
        assert self.curve.qps_at(0.995) is None


class TestFollow:
    def test_collects_what_the_program_prints(self):
        lines = [
            {"building": "x"},
            {"round": 0, "ef": 10},
            {"build": {"system": "x", "seconds": 2.0, "bytes": 7}},
            {"curve": {"system": "x", "ef": 10, "recall": 0.5, "qps": [3.0, 1.0, 2.0]}},
        ]
        text = "\n".join(json.dumps(line) for line in lines)
        found = follow([sys.executable, "-c", f"print({text!r})"], systems=1, rounds=1)
        assert [vars(curve) for curve in found] == [
            {"system": "x", "build_seconds": 2.0, "bytes": 7, "points": [(10, 0.5, 2.0)]}
        ]

    def test_says_what_is_missing(self):
        with pytest.raises(UserError, match="libfaiss-dev"):
            follow(["/no/such/program"], systems=1, rounds=1)

    def test_does_not_hide_a_failure(self):
        with pytest.raises(UserError, match="ended with 3"):
            follow([sys.executable, "-c", "raise SystemExit(3)"], systems=1, rounds=1)
