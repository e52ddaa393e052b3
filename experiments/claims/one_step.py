# SPDX-License-Identifier: Apache-2.0
"""A2: how far one update moves a stored pattern at most, and a constant of the capacity."""

from __future__ import annotations

from typing import Any

import numpy as np

from claims.formulas import capacity_constant
from claims.memory import Bench
from claims.report import Check, Claim, Table

INDEX = "one-step"
DIMS = (8, 16, 32, 64, 128)
COUNTS = (2, 10, 100, 1000)
ASKED = 50
ROUNDING = 1e-6  # of a state in float32, in multiples of the largest norm
# beta, K, d, p and c.
CONSTANTS = ((1, 3, 20, 0.001, 3.1546), (1, 1, 75, 0.001, 1.3718))


def run(bench: Bench) -> Claim:
    problems = bench.size(120, 12)
    claim = Claim(
        "A2",
        "the error of one update, and the capacity constant",
        "Ramsauer et al. 2021, Theorems 5 and 3",
        f"{problems} random problems (METRIC dot; rows of various norms, d of 8 to 128, N of 2 to "
        "1000, beta of 0.3 to 100); one update from each of up to "
        f"{ASKED} stored items x_i moves the state by at most 2 M (N-1) exp(-beta Delta_i), M "
        f"being the largest norm. States are float32, hence {ROUNDING:g} M is granted.",
        bench.seed,
    )
    for beta, radius, dim, failure, expected in CONSTANTS:
        claim.checks.append(
            Check(
                f"c of Theorem 3, beta {beta}, K {radius}, d {dim}, p {failure}",
                expected,
                capacity_constant(beta, radius, dim, failure),
                1e-4,
                is_formula=True,
            )
        )
    rng = np.random.default_rng(bench.seed)
    found = np.concatenate([_problem(bench, rng) for _ in range(problems)])
    bench.memory.drop(INDEX)
    errors, bounds, norms = found.T
    broken = int((errors > bounds + ROUNDING * norms).sum())
    claim.checks.append(Check(f"broken bounds among {len(found)}", 0, broken))
    tells = (bounds < 2 * norms) & (bounds > 1e-4 * norms)
    ratios = errors[tells] / bounds[tells]
    claim.tables.append(
        Table(
            "Error as a share of the bound, where that lies between 1e-4 M and 2 M",
            ("recalls", "median", "largest"),
            [(int(tells.sum()), float(np.median(ratios)), float(ratios.max()))],
        )
    )
    claim.draw = lambda pyplot: _draw(pyplot, errors / norms, bounds / norms)
    return claim


def _problem(bench: Bench, rng: np.random.Generator) -> np.ndarray:
    """Error, bound and largest norm for some items of one random problem."""
    dim, count = int(rng.choice(DIMS)), int(rng.choice(COUNTS))
    norms = np.exp(rng.uniform(0, 0.5) * rng.standard_normal((count, 1)))
    rows = (norms * rng.standard_normal((count, dim)) / np.sqrt(dim)).astype(np.float32)
    beta = 10 ** rng.uniform(-0.5, 2)
    bench.memory.build(INDEX, rows, "dot")
    items = rng.choice(count, size=min(ASKED, count), replace=False)
    found = bench.memory.recall(INDEX, items, "A2", beta=beta, steps=1, top=0, cand="scan")
    exact = rows.astype(np.float64)
    errors = np.linalg.norm(found.states - exact[items], axis=1)
    similarities = exact[items] @ exact.T
    own = similarities[np.arange(len(items)), items].copy()
    similarities[np.arange(len(items)), items] = -np.inf
    gaps = own - similarities.max(axis=1)
    largest = np.linalg.norm(exact, axis=1).max()
    bounds = 2 * largest * (count - 1) * np.exp(-beta * gaps)
    return np.column_stack((errors, bounds, np.full(len(items), largest)))


def _draw(pyplot: Any, errors: np.ndarray, bounds: np.ndarray) -> Any:
    figure, axes = pyplot.subplots(figsize=(6.5, 5))
    shown = (bounds > 1e-9) & (bounds < 1e3)
    axes.plot(bounds[shown], np.maximum(errors[shown], 1e-9), ".", markersize=3, alpha=0.4)
    axes.plot((1e-9, 1e3), (1e-9, 1e3), color="black", linewidth=1, label="the bound")
    axes.axhline(ROUNDING, color="C1", linestyle=":", label="float32 rounding")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="bound 2 (N-1) exp(-beta Delta), in units of M",
        ylabel="|T(x) - x|, in units of M",
        title="Error of one update at stored items",
    )
    axes.grid(True, alpha=0.3)
    axes.legend()
    return figure
