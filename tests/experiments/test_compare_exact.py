# SPDX-License-Identifier: Apache-2.0
"""Reading what the native half of the comparison of exact search prints."""

import json
import sys

import pytest

from common import UserError
from compare_exact import follow, ratios

LINES = [
    {"adding": "engram"},
    {"round": 0},
    {"way": {"system": "engram", "batch": 9, "swapped": 1, "wrong": 0, "qps": [9.0, 1.0, 6.0]}},
    {"way": {"system": "engram", "batch": 1, "swapped": 0, "wrong": 0, "qps": [2.0]}},
    {"way": {"system": "faiss", "batch": 9, "swapped": 0, "wrong": 2, "qps": [4.0]}},
    {"way": {"system": "faiss", "batch": 1, "swapped": 0, "wrong": 0, "qps": [4.0]}},
]


def test_collects_medians_and_divides_them():
    text = "\n".join(json.dumps(line) for line in LINES)
    ways = follow([sys.executable, "-c", f"print({text!r})"], rounds=1)
    assert vars(ways[0]) == {"system": "engram", "batch": 9, "qps": 6.0, "swapped": 1, "wrong": 0}
    assert [way.wrong for way in ways] == [0, 0, 2, 0]
    assert ratios(ways) == {9: pytest.approx(1.5), 1: pytest.approx(0.5)}


def test_does_not_hide_a_failure():
    with pytest.raises(UserError, match="ended with 3"):
        follow([sys.executable, "-c", "raise SystemExit(3)"], rounds=1)
