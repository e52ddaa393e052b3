# SPDX-License-Identifier: Apache-2.0
"""A1: how many random patterns a softmax memory holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from claims.formulas import critical_count, critical_load, self_weight
from claims.memory import Bench
from claims.report import Check, Claim

INDEX = "capacity"
BETA = 10.0
# By dimension: how many items, and the weight that is expected.
POINTS = {
    50: ((825, 0.909), (2476, 0.769), (8254, 0.500), (24762, 0.250), (82540, 0.091)),
    32: ((4926, 0.500),),
}
TOLERANCE = 0.01
ASKED = 400
LIKELY_COUNTS = np.geomspace(300, 200_000, 60)


def unit_rows(rng: np.random.Generator, count: int, dim: int) -> np.ndarray:
    rows = rng.standard_normal((count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def run(bench: Bench) -> Claim:
    asked = bench.size(ASKED, 100)
    claim = Claim(
        "A1",
        "capacity and self-weight of random patterns",
        "Lucibello & Mézard 2024, threshold alpha_1 (spherical patterns)",
        f"Random unit vectors in a hopfield index, METRIC cosine, BETA {BETA:g}: the median over "
        f"{asked} stored items of their own weight at the cue (STEPS 0), against "
        "1 / (1 + (N-1) / (N*-1)) with N* from its exact form.",
        bench.seed,
    )
    claim.checks += [
        Check(what, expected, round(value), 1, is_formula=True)
        for what, expected, value in (
            ("N*, d = 50, exact form", 8254, critical_count(50, BETA)),
            ("exp(alpha_1 d), d = 50", 8259, np.exp(50 * critical_load(50, BETA))),
            ("N*, d = 32, exact form", 4926, critical_count(32, BETA)),
        )
    ]
    seen: list[tuple[Any, ...]] = []
    rng = np.random.default_rng(bench.seed)
    for dim, points in POINTS.items():
        points = points[: bench.size(len(points), 3)]
        rows = unit_rows(rng, points[-1][0], dim)
        size = 0
        for count, expected in points:
            if size == 0:
                bench.memory.build(INDEX, rows[:count], "cosine")
            else:
                bench.memory.add(INDEX, rows[size:count], size)
            size = count
            items = rng.choice(count, size=min(asked, count), replace=False)
            found = bench.memory.recall(
                INDEX, items, f"A1 N={count}", beta=BETA, steps=0, top=0, cand="scan"
            )
            own = np.where(found.onestep == items, found.posteriors, 0)
            # Where another item is the heaviest, the item's own weight is in the support.
            for at in np.flatnonzero(found.onestep != items):
                own[at] = _own_weight(bench, int(items[at]))
            weight = float(np.median(own))
            claim.checks.append(
                Check(f"median self-weight, d = {dim}, N = {count}", expected, weight, TOLERANCE)
            )
            quartiles = np.percentile(own, (25, 75))
            seen.append((dim, count, weight, *quartiles))
    bench.memory.drop(INDEX)
    claim.draw = lambda pyplot: _draw(pyplot, seen)
    return claim


def _own_weight(bench: Bench, item: int) -> float:
    found = bench.memory.recall(INDEX, [item], beta=BETA, steps=0, top=10, cand="scan")
    items, weights = found.supports[0]
    return float(weights[items == item].sum())


def _draw(pyplot: Any, seen: list[tuple[Any, ...]]) -> Any:
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for colour, dim in enumerate(sorted({point[0] for point in seen}, reverse=True)):
        critical = critical_count(dim, BETA)
        predicted = [self_weight(count, critical) for count in LIKELY_COUNTS]
        axes.plot(LIKELY_COUNTS, predicted, color=f"C{colour}", label=f"predicted, d = {dim}")
        axes.axvline(critical, color=f"C{colour}", linestyle=":", linewidth=1)
        points = np.array([point[1:] for point in seen if point[0] == dim])
        spread = np.abs(points[:, 2:].T - points[:, 1])
        axes.errorbar(
            points[:, 0],
            points[:, 1],
            yerr=spread,
            fmt="o",
            color=f"C{colour}",
            capsize=3,
            label=f"engram, d = {dim}: median, quartiles",
        )
    axes.set(
        xscale="log", xlabel="stored random unit vectors N", ylabel="weight of an item at itself"
    )
    axes.set_title(f"Self-weight, softmax, beta {BETA:g}; dotted: N*")
    axes.grid(True, alpha=0.3)
    axes.legend()
    return figure
