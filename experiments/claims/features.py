# SPDX-License-Identifier: Apache-2.0
"""C3: what a sum of random features keeps of the kernels that it stands for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from claims.memory import Bench, Recalls
from claims.report import Check, Claim, Table

PRIMITIVE = "drdam"
INDEX, EXACT = "features", "features-exact"
DIM, BETA = 16, 20.0
FEATURES = (256, 1024, 4096, 16384)
ERROR_ITEMS = 100
ERROR_TOLERANCE = 0.25  # relative: one draw of the features
COUNTS = (10, 50, 100, 200, 400)
RECALL_FEATURES = 2048
LENGTHS = (1.0, 2.0)  # from item to cue, in widths of a well
ASKED = 200
LIGHT_LOAD, LEAST_IDENTIFIED, MOST_ERROR = 0.25, 0.99, 1.0  # what must be shown
FAR_CUES = 2000
FAR_SHARE = 0.5 * math.erfc(2 / math.sqrt(2))  # above two standard deviations
FAR_TOLERANCE = 0.02


def run(bench: Bench) -> Claim:
    claim = Claim(
        "C3",
        "a sum of random features in the place of the items",
        "Own table; the memory is that of Hoover et al. 2024",
        f"drdam, METRIC l2, BETA {BETA:g}, over random rows of {DIM} dimensions and about unit "
        "length. Distances from cue to item are in widths of a well, 1 / sqrt(BETA), errors of "
        "states in their squares. The error of the kernels is what VDIAG says: the mean of "
        "|phi(x).T - exact| / exact over the items; for N items apart sqrt((N-1) / (pi Y)) is expected "
        "of it. Load: N d / 2Y, the numbers of the items for each one of the sum.",
        bench.seed,
    )
    claim.not_run = bench.lacks(PRIMITIVE)
    if claim.not_run:
        return claim
    rng = np.random.default_rng(bench.seed)
    seen = _kernel_errors(bench, claim, rng)
    _recalls(bench, claim, rng)
    _far_cues(bench, claim, rng)
    bench.memory.drop(INDEX, EXACT)
    claim.draw = lambda pyplot: _draw(pyplot, seen)
    return claim


def _rows(rng: np.random.Generator, count: int) -> np.ndarray:
    return (rng.standard_normal((count, DIM)) / math.sqrt(DIM)).astype(np.float32)


def _build(bench: Bench, rows: np.ndarray, features: int) -> None:
    options = (("FEATURES", str(features)), ("BETA", str(BETA)), ("SEED", str(bench.seed)))
    bench.memory.build(INDEX, rows, "l2", PRIMITIVE, options)


def expected_error(count: int, features: int) -> float:
    """The mean error at one of `count` items far from each other: that of a normal deviate."""
    return math.sqrt((count - 1) / (math.pi * features))


def _kernel_errors(
    bench: Bench, claim: Claim, rng: np.random.Generator
) -> list[tuple[int, float, float]]:
    rows = _rows(rng, ERROR_ITEMS)
    seen = []
    for features in FEATURES[: bench.size(len(FEATURES), 3)]:
        _build(bench, rows, features)
        error = bench.memory.diagnose(INDEX)["kernel-error"]
        expected = expected_error(ERROR_ITEMS, features)
        seen.append((features, error, expected))
        claim.checks.append(
            Check(
                f"error of the kernels, N = {ERROR_ITEMS}, Y = {features:,}",
                expected,
                error,
                ERROR_TOLERANCE * expected,
            )
        )
    return seen


def _recalls(bench: Bench, claim: Claim, rng: np.random.Generator) -> None:
    asked = bench.size(ASKED, 50)
    table = []
    for count in COUNTS[: bench.size(len(COUNTS), 3)]:
        rows = _rows(rng, count)
        _build(bench, rows, RECALL_FEATURES)
        bench.memory.build(EXACT, rows, "l2")
        wanted = rng.integers(count, size=asked)
        load = count * DIM / (2 * RECALL_FEATURES)
        for length in LENGTHS:
            turns = rng.standard_normal((asked, DIM))
            turns *= length / math.sqrt(BETA) / np.linalg.norm(turns, axis=1, keepdims=True)
            cues = (rows[wanted] + turns).astype(np.float32)
            found = bench.memory.recall(INDEX, cues, f"C3 N={count}", top=0, steps=1000)
            exact = bench.memory.recall(EXACT, cues, f"C3 N={count}", beta=BETA, top=0)
            figures = (*_figures(found, rows, wanted), *_figures(exact, rows, wanted))
            table.append((count, load, length, float(found.outside.mean()), *figures))
            if length == LENGTHS[0] and load < LIGHT_LOAD:
                what = f"N = {count}, cues {length:g} from their item"
                claim.checks += [
                    Check(f"{what}: identified", LEAST_IDENTIFIED, figures[0], 0, "at least"),
                    Check(f"{what}: squared error", MOST_ERROR, figures[1], 0, "at most"),
                ]
    claim.tables.append(
        Table(
            f"Recalls from Y = {RECALL_FEATURES:,}, beside hopfield under l2 with the same BETA",
            (
                "N",
                "load",
                "cue to item",
                "outside",
                "identified",
                "squared error",
                "hopfield: identified",
                "squared error",
            ),
            table,
        )
    )


def _figures(found: Recalls, rows: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    """The share identified at the attractor, and the mean squared error of states in widths."""
    errors = ((found.states - rows[wanted]) ** 2).sum(axis=1) * BETA
    return float((found.attractors == wanted).mean()), float(errors.mean())


def _far_cues(bench: Bench, claim: Claim, rng: np.random.Generator) -> None:
    """Cues that no item is near: only noise brings them above the floor."""
    _build(bench, _rows(rng, ERROR_ITEMS), RECALL_FEATURES)
    cues = (10 * rng.standard_normal((bench.size(FAR_CUES, 500), DIM))).astype(np.float32)
    found = bench.memory.recall(INDEX, cues, "C3 far", top=0, steps=0)
    claim.checks.append(
        Check("far cues that pass for known", FAR_SHARE, 1 - found.outside.mean(), FAR_TOLERANCE)
    )


def _draw(pyplot: Any, seen: list[tuple[int, float, float]]) -> Any:
    figure, axes = pyplot.subplots(figsize=(6.5, 4.5))
    features, errors, expected = zip(*seen)
    axes.plot(features, expected, label="sqrt((N-1) / (pi Y))")
    axes.plot(features, errors, "o", label="engram, drdam")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="pairs of random features Y",
        ylabel="relative error of the sum of kernels",
        title=f"Error at {ERROR_ITEMS} items",
    )
    axes.grid(True, alpha=0.3)
    axes.legend()
    return figure
