# SPDX-License-Identifier: Apache-2.0
"""Prefixes of a dataset, and the exponents of what was measured over them."""

import numpy as np
import pytest

from compare_graphs import Curve, Point, Rate
from datasets import Dataset
from growth import Growth, Size, exponent, prefixes, shuffled, size_of

VECTORS = np.arange(20, dtype=np.float32).reshape(10, 2)
DATA = Dataset("made", "l2", [b"%d" % row for row in range(10)], VECTORS, None)


def test_prefixes_grow_to_the_whole():
    found = list(prefixes(DATA, [6, 3, 10, 50]))
    assert [len(prefix.keys) for prefix in found] == [3, 6, 10]
    assert (found[0].vectors == VECTORS[:3]).all()


def test_shuffling_keeps_keys_with_their_vectors():
    other = shuffled(DATA, seed=1)
    assert other.keys != DATA.keys and sorted(other.keys) == sorted(DATA.keys)
    assert (VECTORS[[int(key) for key in other.keys]] == other.vectors).all()
    assert other.keys == shuffled(DATA, seed=1).keys


def test_the_exponent_is_that_of_a_power():
    assert exponent([(n, 7 * n**-0.25) for n in (10, 20, 40)]) == pytest.approx(-0.25)
    assert exponent([(10, 1.0)]) is None


def test_bounds_are_not_fitted():
    sizes = [Size(10, Rate(9.0, at_least=True), 4.0), Size(20, Rate(5.0, False), 4.0)]
    growth = Growth("x", [*sizes, Size(40, None, 4.0)])
    assert growth.throughputs() == [(20, 5.0)]
    assert exponent(growth.builds()) == pytest.approx(0)


def test_a_size_takes_the_build_that_was_searched():
    points = [Point(10, 0.9, [8.0], [1.0]), Point(20, 1.0, [6.0], [1.0])]
    curve = Curve("x", {1: 4.0, 2: 2.0}, 1, points)
    assert size_of(curve, 1000, 0.9, threads=2) == Size(1000, Rate(pytest.approx(8.0), False), 2000)
