# SPDX-License-Identifier: Apache-2.0
"""A4: which stored patterns the log-sum-ReLU energy keeps exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

from claims.capacity import unit_rows
from claims.formulas import isolated_share
from claims.images import Images, stride
from claims.memory import Bench
from claims.report import Check, Claim

PRIMITIVE = "lsr"
INDEX = "memorisation"
COUNT = 10_000
IMAGE_ITEMS = np.arange(0, 4000, 20)
IMAGE_SHARES = {2.0: 0.995, 3.0: 0.860, 4.0: 0.475, 6.0: 0.050}
DIM = 32
RANDOM_SHARES = {0.8141: 0.90, 0.8772: 0.50, 0.9216: 0.10}
RANDOM_TOLERANCE = 0.03


def run(bench: Bench) -> Claim:
    claim = Claim(
        "A4",
        "exact memorisation by the Epanechnikov energy",
        "Hoover et al. 2025 (exact memorisation)",
        "An lsr index of 10,000 rows under l2. An item is preserved if recall by its key returns "
        "its row bit for bit with a weight of 1, and isolated if float64 brute force finds no "
        "other row nearer than RADIUS; the two sets are compared item by item. Random unit rows: "
        "the share is (1-A)^(N-1), A being the share of the sphere nearer than RADIUS.",
        bench.seed,
    )
    claim.not_run = bench.lacks(PRIMITIVE)
    if claim.not_run:
        return claim
    images = Images.read(COUNT).stored
    curves = {}
    curves["Fashion-MNIST"] = _compare(bench, claim, images, IMAGE_ITEMS, IMAGE_SHARES, 0.0)
    rows = unit_rows(np.random.default_rng(bench.seed), COUNT, DIM)
    items = stride(COUNT, bench.size(4000, 2000))
    for radius, expected in RANDOM_SHARES.items():
        claim.checks.append(
            Check(
                f"predicted share, d = {DIM}, r = {radius}",
                expected,
                isolated_share(DIM, COUNT, radius),
                0.002,
                is_formula=True,
            )
        )
    curves[f"random unit rows, d = {DIM}"] = _compare(
        bench, claim, rows, items, RANDOM_SHARES, RANDOM_TOLERANCE
    )
    bench.memory.drop(INDEX)
    claim.draw = lambda pyplot: _draw(pyplot, curves)
    return claim


def nearest_distances(rows: np.ndarray, items: np.ndarray) -> np.ndarray:
    """From each item to the nearest other row; differences are taken in float64 where a product
    would be too coarse to tell which is nearest."""
    exact = rows.astype(np.float64)
    squares = (exact**2).sum(axis=1)
    distances = np.empty(len(items))
    for at, item in enumerate(items):
        rough = squares - 2 * (exact @ exact[item])
        rough[item] = np.inf
        near = np.argpartition(rough, 8)[:8]
        distances[at] = np.sqrt(((exact[near] - exact[item]) ** 2).sum(axis=1).min())
    return distances


def _compare(
    bench: Bench,
    claim: Claim,
    rows: np.ndarray,
    items: np.ndarray,
    shares: dict[float, float],
    tolerance: float,
) -> list[tuple[float, float, float]]:
    what = "Fashion-MNIST" if rows.shape[1] != DIM else f"random, d = {DIM}"
    bench.memory.build(INDEX, rows, "l2", PRIMITIVE)
    nearest = nearest_distances(rows, items)
    points = []
    for radius, expected in shares.items():
        found = bench.memory.recall(INDEX, items, f"A4 r={radius}", radius=radius, top=0)
        is_preserved = (
            (found.attractors == items)
            & (found.weights == 1)
            & (found.states == rows[items]).all(axis=1)
        )
        is_isolated = nearest >= radius
        share = float(is_preserved.mean())
        differing = int((is_preserved != is_isolated).sum())
        claim.checks += [
            Check(f"{what}, r = {radius:g}: items in one set only, of {len(items)}", 0, differing),
            Check(f"{what}, r = {radius:g}: share preserved", expected, share, tolerance),
        ]
        points.append((radius, share, expected))
    return points


def _draw(pyplot: Any, curves: dict[str, list[tuple[float, float, float]]]) -> Any:
    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4))
    for axes, (name, points) in zip(panels, curves.items()):
        radii, shares, expected = zip(*points)
        axes.plot(radii, shares, "o", label="engram, lsr")
        axes.plot(radii, expected, "_", markersize=16, color="black", label="expected")
        if name != "Fashion-MNIST":
            line = np.linspace(0.75, 1.0, 60)
            predicted = [isolated_share(DIM, COUNT, radius) for radius in line]
            axes.plot(line, predicted, label="(1-A)^(N-1)")
        axes.set(xlabel="RADIUS", ylabel="share preserved", title=f"{name}, N = {COUNT:,}")
        axes.grid(True, alpha=0.3)
        axes.legend()
    return figure
