# SPDX-License-Identifier: Apache-2.0
"""The samples that are hard, and what counts as found in them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common import UserError
from distributions import Question, Result, lost, question, recall, tables
from generators import DISTRIBUTIONS, Sample, draw

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "distributions.py"


class TestSamples:
    @pytest.mark.parametrize("name", DISTRIBUTIONS)
    def test_are_the_same_for_the_same_seed(self, name):
        sample, again, other = (draw(name, 330, 20, seed) for seed in (1, 1, 2))
        assert len(sample.rows) == 330 and len(sample.queries) == 20
        assert sample.rows.dtype == sample.queries.dtype == np.float32
        assert np.isfinite(sample.rows).all()
        np.testing.assert_array_equal(sample.rows, again.rows)
        np.testing.assert_array_equal(sample.queries, again.queries)
        assert not np.array_equal(sample.rows, other.rows)

    @pytest.mark.parametrize("name", DISTRIBUTIONS)
    def test_hold_no_query(self, name):
        sample = draw(name, 330, 20, seed=1)
        assert not set(map(bytes, sample.queries)) & set(map(bytes, sample.rows))

    def test_a_tenth_are_copies(self):
        rows = draw("10 % copies", 1000, 1, seed=1).rows
        assert len(np.unique(rows, axis=0)) == 900

    def test_are_sorted_where_they_say_so(self):
        first = draw("sorted", 1000, 1, seed=1).rows[:, 0]
        assert (np.diff(first) >= 0).all()


def line(*places):
    """Rows on a line, and one query at 0."""
    rows = np.array(places, dtype=np.float32)[:, None]
    return Sample("l2", rows, np.zeros((1, 1), dtype=np.float32))


class TestRecall:
    def test_takes_one_copy_for_another(self):
        asked = question(line(1, 2, 2, 3), k=2)
        assert recall(asked, np.array([[0, 1]])) == recall(asked, np.array([[0, 2]])) == 1
        assert recall(asked, np.array([[0, 3]])) == 0.5

    def test_does_not_count_a_row_twice(self):
        with pytest.raises(UserError, match="twice"):
            recall(question(line(1, 2, 3), k=2), np.array([[0, 0]]))

    def test_is_of_the_metric(self):
        rows = np.array([[4, 0], [1, 0.1], [0, 9]], dtype=np.float32)
        query = np.array([[1, 0.1]], dtype=np.float32)
        for metric, nearest in {"dot": 0, "cosine": 1, "l2": 1}.items():
            asked = question(Sample(metric, rows, query), k=1)
            found = [recall(asked, np.array([[row]])) for row in range(3)]
            assert found == [float(row == nearest) for row in range(3)]


class TestLost:
    def test_are_items_for_which_something_farther_is_found(self):
        asked = question(line(1, 2, 2, 3), k=1)
        assert lost(asked, np.array([0, 1, 2, 3])) == lost(asked, np.array([0, 2, 1, 3])) == 0
        assert lost(asked, np.array([1, 1, 2, 0])) == 2

    def test_under_dot_another_may_be_the_nearest(self):
        sample = Sample("dot", line(1, 2).rows, line().queries)
        asked = Question(sample, 1, np.zeros(1), np.array([-2.0, -4.0]))
        assert question(sample, k=1).nearest.tolist() == asked.nearest.tolist()
        assert lost(asked, np.array([1, 1])) == 0 and lost(asked, np.array([0, 0])) == 2


def test_tables_have_a_row_for_each_distribution():
    results = [Result("x", kind, {64: 0.9, 200: 1.0}, 3) for kind in ("f32", "hnswlib")]
    first, _, row, *_, last = tables(results, (64, 200), 10).splitlines()
    assert first == "| recall@10 | EF 64: f32 | EF 64: hnswlib | EF 200: f32 | EF 200: hnswlib |"
    assert row == "| x | 0.9000 | 0.9000 | 1.0000 | 1.0000 |"
    assert last == "| x | 3 | 3 |"


@pytest.mark.skipif("ENGRAM_SERVER" not in os.environ, reason="ENGRAM_SERVER names no program")
def test_script_reports_what_it_measured(tmp_path):
    command = [sys.executable, str(SCRIPT), "--server", os.environ["ENGRAM_SERVER"]]
    small = ["--rows", "300", "--queries", "20", "--only", "sparse histograms"]
    subprocess.run([*command, *small, "--output", str(tmp_path)], check=True, timeout=120)
    report = json.loads((tmp_path / "distributions.json").read_text())
    assert [result["system"] for result in report["results"]] == ["f32", "sq8", "sq4"]
    assert report["seed"] == 42 and report["environment"]["commit"]
    assert all(result["recall"]["200"] == 1 for result in report["results"])
    assert (tmp_path / "distributions.png").stat().st_size > 0
