# SPDX-License-Identifier: Apache-2.0
"""Ten distributions that are hard for graphs or for codes. Each is a function of a random generator
and of two counts that draws the rows to be indexed, in the order of their insertion, and queries of
the same distribution that are not among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

CLUSTER_ROWS = 50
CLUSTER_WIDTH = 0.15  # of the components, whose centres have a deviation of 1


@dataclass(frozen=True)
class Sample:
    """rows: [n, dim] and queries: [q, dim], float32."""

    metric: str
    rows: np.ndarray
    queries: np.ndarray


def clusters_in_order(rng: np.random.Generator, rows: int, queries: int) -> Sample:
    """l2, 64-d. Clusters of 50 around normal centres, one after the other: each begins in a region
    to which no link leads yet."""
    centres = rng.normal(size=(-(-rows // CLUSTER_ROWS), 64))
    own = np.arange(rows) // CLUSTER_ROWS
    asked = rng.integers(len(centres), size=queries)
    points = centres[np.concatenate([own, asked])]
    points += CLUSTER_WIDTH * rng.normal(size=points.shape)
    return _split("l2", points, rows)


def clusters_shuffled(rng: np.random.Generator, rows: int, queries: int) -> Sample:
    """The same in random order."""
    ordered = clusters_in_order(rng, rows, queries)
    return Sample("l2", rng.permutation(ordered.rows), ordered.queries)


def sorted_by_component(rng: np.random.Generator, rows: int, queries: int) -> Sample:
    """l2, 32-d. Uniform in a cube, sorted by the first component: every row lies at the edge of
    what was inserted before."""
    points = rng.uniform(size=(rows + queries, 32))
    return _split("l2", np.vstack([_sorted(points[:rows]), points[rows:]]), rows)


def copies(rng: np.random.Generator, rows: int, queries: int) -> Sample:
    """l2, 64-d. Eight hidden dimensions under noise; every tenth row is a copy of another."""
    points = _mixed(rng, rows + queries, hidden=8, dim=64) + 0.3 * rng.normal(
        size=(rows + queries, 64)
    )
    shuffled, count = rng.permutation(rows), rows // 10
    points[shuffled[:count]] = points[shuffled[count : 2 * count]]
    return _split("l2", points, rows)


def heavy_tails(rng: np.random.Generator, rows: int, queries: int) -> Sample:
    """l2, 32-d. Student's t with two degrees of freedom, whose variance is infinite: single
    components set the range of a code."""
    return _split("l2", rng.standard_t(2, size=(rows + queries, 32)), rows)


def lognormal_norms(rng: np.random.Generator, rows: int, queries: int) -> Sample:
    """dot, 64-d. Uniform directions and lognormal lengths (sigma 0.5): a few long rows are near
    everybody, short ones near nobody."""
    points = _unit(rng.normal(size=(rows + queries, 64)))
    points *= rng.lognormal(sigma=0.5, size=(rows + queries, 1))
    return _split("dot", points, rows)


def low_intrinsic_dimension(rng: np.random.Generator, rows: int, queries: int) -> Sample:
    """l2, 128-d. A curved surface of four dimensions."""
    hidden = rng.uniform(-1, 1, size=(rows + queries, 4)) @ rng.normal(size=(4, 64))
    return _split("l2", np.hstack([np.sin(2 * hidden), np.cos(hidden)]), rows)


def sparse_histograms(rng: np.random.Generator, rows: int, queries: int) -> Sample:
    """cosine, 128-d. Sixty words drawn from a mixture of two of fifty topics, each of few words:
    most components are zero, the others small whole numbers."""
    topics = rng.dirichlet(np.full(128, 0.05), size=50)
    first, second = rng.integers(50, size=(2, rows + queries))
    return _split("cosine", rng.multinomial(60, 0.7 * topics[first] + 0.3 * topics[second]), rows)


def bias_dimensions(rng: np.random.Generator, rows: int, queries: int) -> Sample:
    """cosine, 128-d. Four components have a large constant part, as those of some text embeddings
    have; what tells rows apart is a hundredth of it."""
    points = 0.25 * _mixed(rng, rows + queries, hidden=16, dim=128)
    points += 0.1 * rng.normal(size=points.shape)
    points[:, :4] += [60, -45, 30, 80]
    return _split("cosine", points, rows)


def far_cluster(rng: np.random.Generator, rows: int, queries: int) -> Sample:
    """l2, 64-d. Every twentieth row belongs to a cluster of a tenth of the width, so far away that
    it dominates mean and range."""
    points = rng.normal(size=(rows + queries, 64))
    far = rng.permutation(len(points))[: len(points) // 20]
    points[far] = 0.1 * points[far] + 100
    return _split("l2", points, rows)


DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, int, int], Sample]] = {
    "clusters in order": clusters_in_order,
    "clusters shuffled": clusters_shuffled,
    "sorted": sorted_by_component,
    "10 % copies": copies,
    "heavy tails": heavy_tails,
    "lognormal norms": lognormal_norms,
    "low intrinsic dimension": low_intrinsic_dimension,
    "sparse histograms": sparse_histograms,
    "bias dimensions": bias_dimensions,
    "one far cluster": far_cluster,
}


def draw(name: str, rows: int, queries: int, seed: int) -> Sample:
    """A sample of one of DISTRIBUTIONS; the same arguments always give the same."""
    number = list(DISTRIBUTIONS).index(name)
    return DISTRIBUTIONS[name](np.random.default_rng([seed, number]), rows, queries)


def _split(metric: str, points: np.ndarray, rows: int) -> Sample:
    packed = points.astype(np.float32)
    return Sample(metric, packed[:rows], packed[rows:])


def _mixed(rng: np.random.Generator, count: int, hidden: int, dim: int) -> np.ndarray:
    return rng.normal(size=(count, hidden)) @ rng.normal(size=(hidden, dim))


def _sorted(points: np.ndarray) -> np.ndarray:
    return points[np.argsort(points[:, 0])]


def _unit(points: np.ndarray) -> np.ndarray:
    return points / np.linalg.norm(points, axis=1, keepdims=True)
