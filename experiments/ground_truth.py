# SPDX-License-Identifier: Apache-2.0
"""Exact nearest neighbours: asked of a `flat` index through the server, and computed here in
float64 to check those."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

import numpy as np

from client import Answer, Client
from common import cache_root, progress
from datasets import Dataset, Queries
from sources import array_digest

QUERY_BLOCK = 256
BASE_BLOCK = 8_192
TIE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Neighbours:
    """The k nearest rows of each query, closest first, and their distances: both [queries, k]."""

    rows: np.ndarray
    distances: np.ndarray


@dataclass(frozen=True)
class Agreement:
    """How an exact answer compares with the float64 one. A swap is a place where another row stands
    whose distance is the same within rounding (relative 1e-6); anything else that differs is
    wrong."""

    places: int
    swapped: int
    wrong: int


# --- through the server ---------------------------------------------------------------------------


def flat_truth(
    client: Client,
    flat_index: Callable[[], str],
    data: Dataset,
    queries: Queries,
    k: int,
    metric: str,
    recompute: bool,
) -> Neighbours:
    """The answers of a flat index, kept in the cache under everything that they depend on.

    `flat_index` makes sure that there is such an index and names it; it is called only when an
    answer is not kept yet."""
    path = _cache_path(data, queries, k, metric)
    if path.exists() and not recompute:
        with np.load(path) as kept:
            return Neighbours(kept["rows"], kept["distances"])
    answers = client.search_many(flat_index(), queries.vectors, k + 1, "ground truth")
    truth = _to_neighbours(answers, data, queries, k)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, rows=truth.rows, distances=truth.distances)
    partial.replace(path)
    return truth


def _cache_path(data: Dataset, queries: Queries, k: int, metric: str) -> Path:
    parts = (
        array_digest(data.vectors),
        array_digest(queries.vectors),
        array_digest(queries.source_rows),
    )
    digest = hashlib.sha256("".join(parts).encode()).hexdigest()[:16]
    return cache_root() / "truth" / f"{data.name}-{metric}-k{k}-{digest}.npz"


def _to_neighbours(answers: list[Answer], data: Dataset, queries: Queries, k: int) -> Neighbours:
    row_of = {key: row for row, key in enumerate(data.keys)}
    rows = np.empty((len(answers), k), dtype=np.int64)
    distances = np.empty((len(answers), k))
    for number, (answer, source) in enumerate(zip(answers, queries.source_rows)):
        pairs = [(row_of[key], distance) for key, distance in zip(answer.keys, answer.distances)]
        others = [pair for pair in pairs if pair[0] != source][:k]
        rows[number], distances[number] = zip(*others)
    return Neighbours(rows, distances)


# --- in float64 -----------------------------------------------------------------------------------


def exact_neighbours(vectors: np.ndarray, queries: Queries, k: int, metric: str) -> Neighbours:
    """Brute force in float64, in blocks; equal distances go to the lower row, as on the server."""
    found = [
        _exact_block(
            vectors,
            queries.vectors[start : start + QUERY_BLOCK],
            queries.source_rows[start : start + QUERY_BLOCK],
            k,
            metric,
        )
        for start in _blocks(len(queries.vectors), QUERY_BLOCK, "checking in float64")
    ]
    return Neighbours(
        np.concatenate([rows for rows, _ in found]), np.concatenate([best for _, best in found])
    )


def _blocks(count: int, size: int, what: str) -> Iterator[int]:
    with progress(count, what, "queries") as bar:
        for start in range(0, count, size):
            yield start
            bar.update(min(size, count - start))


def _exact_block(
    vectors: np.ndarray, queries: np.ndarray, source_rows: np.ndarray, k: int, metric: str
) -> tuple[np.ndarray, np.ndarray]:
    best = np.full((len(queries), k), np.inf)
    rows = np.full((len(queries), k), -1)
    for start in range(0, len(vectors), BASE_BLOCK):
        block = distances_float64(vectors[start : start + BASE_BLOCK], queries, metric)
        inside = (source_rows >= start) & (source_rows < start + len(block[0]))
        block[inside, source_rows[inside] - start] = np.inf
        best, rows = _merge(best, rows, block, start)
    return rows, best


def _merge(
    best: np.ndarray, rows: np.ndarray, block: np.ndarray, start: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k smallest of what was best so far and a new block. The stable sort keeps the lower row
    first."""
    k = best.shape[1]
    all_distances = np.hstack([best, block])
    limit = np.partition(all_distances, k - 1, axis=1)[:, k - 1]
    new_best, new_rows = np.empty_like(best), np.empty_like(rows)
    for number, distances in enumerate(all_distances):
        candidates = np.flatnonzero(distances <= limit[number])
        order = candidates[np.argsort(distances[candidates], kind="stable")][:k]
        new_best[number] = distances[order]
        new_rows[number] = np.where(
            order < k, rows[number][np.minimum(order, k - 1)], start + order - k
        )
    return new_best, new_rows


def distances_float64(vectors: np.ndarray, queries: np.ndarray, metric: str) -> np.ndarray:
    """The distances of engram's metrics, [queries, rows]: Euclidean, 1 - cosine, or minus the inner
    product."""
    base, asked = vectors.astype(np.float64), queries.astype(np.float64)
    if metric == "l2":
        squared = (asked**2).sum(axis=1)[:, None] - 2 * (asked @ base.T) + (base**2).sum(axis=1)
        return np.sqrt(np.maximum(squared, 0))
    if metric == "cosine":
        return 1 - _unit(asked) @ _unit(base).T
    return -(asked @ base.T)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length one; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def compare(
    data: Dataset, queries: Queries, metric: str, got: Neighbours, exact: Neighbours
) -> Agreement:
    """Holds the answers of a flat index against the float64 ones, place by place."""
    swapped = wrong = 0
    for number, (got_rows, want_rows) in enumerate(zip(got.rows, exact.rows)):
        differ = np.flatnonzero(got_rows != want_rows)
        if len(differ) == 0:
            continue
        own = distances_float64(
            data.vectors[got_rows], queries.vectors[number : number + 1], metric
        )[0]
        want = exact.distances[number]
        close = np.isclose(own[differ], want[differ], rtol=TIE_TOLERANCE, atol=0)
        repeated = len(set(got_rows)) < len(got_rows)
        swapped += 0 if repeated else int(close.sum())
        wrong += len(differ) if repeated else int((~close).sum())
    return Agreement(int(got.rows.size), swapped, wrong)
