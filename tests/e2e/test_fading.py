# SPDX-License-Identifier: Apache-2.0
"""A search among items of very different strength, beside the exact ranking in float64. The program is
experiments/fading.py, which prints the table for larger datasets."""

import argparse
from dataclasses import replace

import pytest

import fading
import live
from client import Client
from compare_graphs import cut
from datasets import load

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(live.SANITIZED, reason="a sanitizer takes twenty times as long for graphs"),
]


@pytest.fixture(scope="module", params=["f32", "sq4"])
def row(request, tmp_path_factory):
    parts = cut(load("slice"), 300, 7)
    parts = replace(parts, rows=parts.rows[:6000])
    args = argparse.Namespace(quant=request.param, half_lives=30, seed=7, ef=[64], k=10, rounds=1)
    server = live.Server(tmp_path_factory.mktemp("server"), "--workers", 1, "--appendonly", "no")
    _, rows = fading.measure(server.process.pid, Client("127.0.0.1", server.port), parts, args)
    server.end()
    return rows[0]


def test_strengths_over_thirty_half_lives_leave_hnsw_its_recall(row):
    assert row.faded_recall >= row.plain_recall - 0.01


def test_ranking_afterwards_agrees_where_it_sees_enough(row):
    """The index and the script mean the same by an effective distance."""
    assert row.rescored_recall >= 0.98
