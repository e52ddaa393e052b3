# SPDX-License-Identifier: Apache-2.0
"""The float64 oracle, the comparison with it, and recall, against one-line reference
computations."""

from dataclasses import replace

import numpy as np
import pytest

import ground_truth
from client import Answer
from datasets import Dataset, Queries, sample_queries
from ground_truth import Neighbours, compare, exact_neighbours
from measure import Question, recall

SEED = 11
METRICS = {
    "l2": lambda row, query: np.linalg.norm(row - query),
    "cosine": lambda row, query: 1 - row @ query / (np.linalg.norm(row) * np.linalg.norm(query)),
    "dot": lambda row, query: -(row @ query),
}


@pytest.fixture
def data():
    vectors = np.random.default_rng(SEED).normal(size=(120, 6)).astype(np.float32)
    return Dataset("made", "l2", [f"key {row}".encode() for row in range(120)], vectors, None)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("mode", ["stored", "unseen"])
def test_oracle_equals_sorting_every_row(data, metric, mode, monkeypatch):
    monkeypatch.setattr(ground_truth, "BASE_BLOCK", 7)
    monkeypatch.setattr(ground_truth, "QUERY_BLOCK", 4)
    queries = sample_queries(data, 10, SEED, mode)
    exact = exact_neighbours(data.vectors, queries, 5, metric)
    for number, (query, source) in enumerate(zip(queries.vectors, queries.source_rows)):
        distances = [
            METRICS[metric](row.astype(float), query.astype(float)) for row in data.vectors
        ]
        order = [row for row in np.argsort(distances, kind="stable") if row != source][:5]
        assert exact.rows[number].tolist() == order
        assert np.allclose(exact.distances[number], np.array(distances)[order])


@pytest.mark.parametrize("block", [1, 3, 100])
def test_oracle_gives_ties_to_the_lower_row(block, monkeypatch):
    monkeypatch.setattr(ground_truth, "BASE_BLOCK", block)
    queries = Queries(np.zeros((1, 2), np.float32), np.array([-1]))
    assert exact_neighbours(np.ones((9, 2), np.float32), queries, 4, "l2").rows.tolist() == [
        [0, 1, 2, 3]
    ]


def test_comparison_forgives_rounding_ties_only(data):
    twins = data.vectors.copy()
    twins[1] = twins[0]
    data = replace(data, vectors=twins)
    queries = Queries(twins[:1] + np.float32(0.01), np.array([-1]))
    exact = exact_neighbours(twins, queries, 4, "l2")
    assert exact.rows[0, :2].tolist() == [0, 1]

    def judge(rows):
        agreement = compare(
            data, queries, "l2", Neighbours(np.array([rows]), exact.distances), exact
        )
        return agreement.swapped, agreement.wrong

    third, fourth = exact.rows[0, 2:].tolist()
    assert judge([0, 1, third, fourth]) == (0, 0)
    assert judge([1, 0, third, fourth]) == (2, 0)
    assert judge([0, 1, fourth, third]) == (0, 2)
    assert judge([0, 0, third, fourth])[1] > 0


def test_recall_leaves_the_queried_row_out(data):
    truth = Neighbours(np.array([[1, 2]]), np.zeros((1, 2)))
    question = Question(data, "l2", Queries(data.vectors[:1], np.array([0])), 2, truth)

    def recalled(*rows):
        return recall(question, [Answer([data.keys[row] for row in rows], [0.0] * len(rows))])

    assert recalled(0, 1, 2) == 1.0
    assert recalled(0, 2, 9) == 0.5
    assert recalled(1, 9, 2) == 0.5  # without its own row, the third answer is one too many
    assert recalled() == 0.0
