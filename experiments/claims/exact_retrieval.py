# SPDX-License-Identifier: Apache-2.0
"""A3: from how far one sparse update returns a stored pattern exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from claims.capacity import unit_rows
from claims.memory import Bench
from claims.report import Check, Claim

INDEX = "exact-retrieval"
DIM = 64
COUNT = 1000
BETAS = (4.0, 8.0, 16.0)
MARGINS = {"sparsemax": 1.0, "entmax15": 2.0}
METRICS = ("dot", "l2", "cosine")
INSIDE, BEYOND = 0.999, 1.01
SHARES = (0.5, 0.9, 0.97, INSIDE, BEYOND, 1.03, 1.1, 1.3, 1.6, 2.0)
TOWARDS, ANYWHERE = "towards the nearest border", "in a random direction"


@dataclass(frozen=True)
class Basins:
    """Of some items under one metric, beta and margin: how far it is to the border, and across
    which item's. Where the radius is not positive, an item is no fixed point."""

    items: np.ndarray
    radii: np.ndarray
    across: np.ndarray


def basins(rows: np.ndarray, items: np.ndarray, metric: str, beta: float, margin: float) -> Basins:
    """The radii of Santos et al. 2024, Prop. 3, for one-hot weights; biases are equal.

    dot: min_j (g_ij - m/beta) / D_ij with g_ij = x_i.(x_i - x_j) and D_ij = |x_i - x_j|; l2: the
    same with g_ij = D_ij^2 / 2. cosine: states are on the sphere, where the border towards j is at
    the angle theta_ij / 2 - asin(m / (beta D_ij)), so that radii are angles.
    """
    exact = rows.astype(np.float64)
    products = exact[items] @ exact.T
    squares = (exact**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[items, None] + squares - 2 * products, 0))
    own = (np.arange(len(items)), items)
    distances[own] = np.inf
    if metric == "cosine":
        distances[own] = 2.0
        with np.errstate(invalid="ignore"):
            radii = np.arcsin(distances / 2) - np.arcsin(np.minimum(margin / (beta * distances), 1))
    else:
        gaps = squares[items, None] - products if metric == "dot" else distances**2 / 2
        gaps[own] = np.inf
        distances[own] = 1.0
        radii = (gaps - margin / beta) / distances
    radii[own] = np.inf
    across = radii.argmin(axis=1)
    return Basins(items, radii[np.arange(len(items)), across], across)


def cues_at(
    rows: np.ndarray, of: Basins, share: float, metric: str, directions: np.ndarray
) -> np.ndarray:
    """Cues at that share of the radius from their items, on the sphere under cosine."""
    start = rows[of.items].astype(np.float64)
    lengths = share * of.radii[:, None]
    if metric == "cosine":
        directions = directions - (directions * start).sum(axis=1, keepdims=True) * start
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return np.cos(lengths) * start + np.sin(lengths) * directions
    return start + lengths * directions / np.linalg.norm(directions, axis=1, keepdims=True)


def run(bench: Bench) -> Claim:
    asked = bench.size(200, 40)
    shares = SHARES if not bench.quick else (INSIDE, BEYOND)
    claim = Claim(
        "A3",
        "exact retrieval in one step by sparse separations",
        "Santos et al. 2024, Prop. 3",
        f"N = {COUNT}, d = {DIM}, beta 4, 8 and 16; {asked} items per setting. Rows are gaussian "
        "with squared norms of about 1 (dot, l2), or unit vectors (cosine, with the radius as an "
        "angle on the sphere, where states are). One update; success is a weight of exactly 1 and "
        "a state that is the stored row bit for bit (cosine: within 2e-7, it is normalised anew). "
        "Cues lie towards the item whose border is nearest, or in a random direction.",
        bench.seed,
    )
    rng = np.random.default_rng(bench.seed)
    curves: dict[tuple[str, str], dict[float, np.ndarray]] = {}
    for metric in METRICS:
        rows = _rows(rng, metric)
        bench.memory.build(INDEX, rows, metric)
        items = rng.choice(COUNT, size=asked, replace=False)
        for separation, margin in MARGINS.items():
            outcomes: dict[tuple[str, float], list[np.ndarray]] = {}
            for beta in BETAS:
                of = basins(rows, items, metric, beta, margin)
                has_basin = of.radii > 0
                of = Basins(items[has_basin], of.radii[has_basin], of.across[has_basin])
                target = rows[of.across].astype(np.float64) - rows[of.items]
                random = rng.standard_normal(target.shape)
                for name, directions in ((TOWARDS, target), (ANYWHERE, random)):
                    for share in shares:
                        cues = cues_at(rows, of, share, metric, directions)
                        came_back = _recall(bench, rows, of.items, cues, metric, beta, separation)
                        outcomes.setdefault((name, share), []).append(came_back)
            joined = {key: np.concatenate(parts) for key, parts in outcomes.items()}
            for direction in (TOWARDS, ANYWHERE):
                inside = joined[direction, INSIDE]
                claim.checks.append(
                    Check(
                        f"{metric}, {separation}: returned from {INSIDE} r {direction}, share of "
                        f"{len(inside)}",
                        1.0,
                        float(inside.mean()),
                    )
                )
            beyond = joined[TOWARDS, BEYOND]
            claim.checks.append(
                Check(
                    f"{metric}, {separation}: returned from {BEYOND} r {TOWARDS}, share of "
                    f"{len(beyond)}",
                    0.0,
                    float(beyond.mean()),
                )
            )
            for (name, share), came_back in joined.items():
                curves.setdefault((f"{metric}, {separation}", name), {})[share] = came_back.mean()
    bench.memory.drop(INDEX)
    claim.draw = lambda pyplot: _draw(pyplot, curves)
    return claim


def _rows(rng: np.random.Generator, metric: str) -> np.ndarray:
    if metric == "cosine":
        return unit_rows(rng, COUNT, DIM)
    return (rng.standard_normal((COUNT, DIM)) / np.sqrt(DIM)).astype(np.float32)


def _recall(
    bench: Bench,
    rows: np.ndarray,
    items: np.ndarray,
    cues: np.ndarray,
    metric: str,
    beta: float,
    separation: str,
) -> np.ndarray:
    """Whether each came back exactly after one update."""
    found = bench.memory.recall(
        INDEX, cues, f"A3 {metric}", beta=beta, sep=separation, steps=1, top=0, cand="scan"
    )
    is_alone = (found.onestep == items) & (found.posteriors == 1)
    off = np.abs(found.states - rows[items]).max(axis=1)
    return is_alone & (off <= (2e-7 if metric == "cosine" else 0))


def _draw(pyplot: Any, curves: dict[tuple[str, str], dict[float, np.ndarray]]) -> Any:
    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4.5), sharey=True)
    for axes, direction in zip(panels, (TOWARDS, ANYWHERE)):
        for number, ((name, at), points) in enumerate(curves.items()):
            if at == direction:
                shift = 0.01 * (number // 2)  # or the curves would hide each other
                values = np.array(list(points.values())) - shift
                axes.plot(list(points), values, marker="o", markersize=3, label=name)
        axes.axvline(1, color="black", linestyle=":", linewidth=1)
        axes.set(xlabel="distance of the cue in radii r", title=f"cue {direction}")
        axes.grid(True, alpha=0.3)
    panels[0].set_ylabel("returned exactly (curves set apart)")
    panels[0].legend(fontsize=8)
    return figure
