# SPDX-License-Identifier: Apache-2.0
"""The cut of the queries, and reading a throughput off a curve."""

import json
import sys

import numpy as np
import pytest

from common import UserError
from compare_graphs import Curve, Point, Rate, cut, follow, print_table, ratio
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


def curve_of(system="x", *points):
    made = [Point(ef, recall, [qps], [9.0]) for ef, recall, qps in points]
    return Curve(system, {2: 1.0}, 1, made)


class TestCurve:
    curve = curve_of("x", (10, 0.8, 1000.0), (20, 0.9, 500.0), (40, 0.99, 100.0))

    def test_meets_the_points_that_were_measured(self):
        assert self.curve.qps_at(0.9).qps == pytest.approx(500)
        assert self.curve.qps_at(0.99).qps == pytest.approx(100)

    def test_lies_between_its_neighbours(self):
        rate = self.curve.qps_at(0.95)
        assert 100 < rate.qps < 500 and not rate.at_least

    def test_gives_a_bound_before_its_beginning(self):
        assert self.curve.qps_at(0.7) == Rate(1000.0, at_least=True)
        assert str(self.curve.qps_at(0.7)) == ">=1,000"

    def test_takes_the_fastest_point_for_a_bound(self):
        assert curve_of("x", (10, 0.8, 500.0), (20, 0.9, 700.0)).qps_at(0.7).qps == 700

    def test_is_of_the_median_or_of_one_round(self):
        curve = Curve("x", {}, 1, [Point(10, 0.9, [7.0, 1.0, 4.0], [2.0, 3.0, 9.0])])
        assert (curve.points[0].qps, curve.points[0].p50_us) == (4.0, 3.0)
        one = curve.in_round(2)
        assert one.qps_at(0.8).qps == 4.0 and one.points[0].p50_us == 9.0

    def test_says_nothing_beyond_its_end(self):
        assert self.curve.qps_at(0.995) is None


class TestRatio:
    @pytest.mark.parametrize(
        "own_at_least, peer_at_least, text",
        [(False, False, "2.00 x"), (True, False, ">=2.00 x"), (False, True, "<=2.00 x"),
         (True, True, "~2.00 x")],
    )
    def test_says_on_which_side_it_is_a_bound(self, own_at_least, peer_at_least, text):
        assert ratio(Rate(4.0, own_at_least), Rate(2.0, peer_at_least)) == text

    def test_is_missing_where_a_rate_is(self):
        assert ratio(None, Rate(1.0, False)) == ratio(Rate(1.0, False), None) == "-"


def test_table_holds_every_variant_against_every_peer(capsys):
    points = [(10, 0.8, 1000.0), (20, 0.96, 500.0)]
    systems = ("engram", "engram-sq4", "hnswlib", "faiss")
    print_table([curve_of(system, *points) for system in systems], rows=1)
    lines = capsys.readouterr().out.splitlines()
    ratios = [line for line in lines if "/ " in line]
    assert [line[:26].strip() for line in ratios] == [
        "engram / hnswlib", "engram / faiss", "engram-sq4 / hnswlib", "engram-sq4 / faiss"
    ]
    assert "1.00 x" in ratios[0]


class TestFollow:
    def test_collects_what_the_program_prints(self):
        lines = [
            {"building": "x", "threads": 1},
            {"building": "x", "threads": 2},
            {"round": 0, "ef": 10},
            {"build": {"system": "x", "seconds": {"1": 4.0, "2": 2.0}, "bytes": 7}},
            {"curve": {"system": "x", "ef": 10, "recall": 0.5, "qps": [3, 1], "p50_us": [4, 5]}},
        ]
        text = "\n".join(json.dumps(line) for line in lines)
        found = follow([sys.executable, "-c", f"print({text!r})"], steps=3)
        assert found == [Curve("x", {1: 4.0, 2: 2.0}, 7, [Point(10, 0.5, [3, 1], [4, 5])])]

    def test_lets_something_else_come_before_each_turn(self):
        program = """
for ef in 10, 20:
    print('{"ready": [0, %d]}' % ef, flush=True)
    input()
    print('{"round": 0, "ef": %d}' % ef, flush=True)
"""
        turns = []
        found = follow([sys.executable, "-c", program], 2, lambda *turn: turns.append(turn))
        assert found == [] and turns == [(0, 10), (0, 20)]

    def test_says_what_is_missing(self):
        with pytest.raises(UserError, match="libfaiss-dev"):
            follow(["/no/such/program"], steps=1)

    def test_does_not_hide_a_failure(self):
        with pytest.raises(UserError, match="ended with 3"):
            follow([sys.executable, "-c", "raise SystemExit(3)"], steps=1)
