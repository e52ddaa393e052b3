# SPDX-License-Identifier: Apache-2.0
"""A5, A6: how many random binary patterns the classical and the dense memories hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from claims.formulas import polynomial_bit_error
from claims.memory import Bench, Recalls
from claims.report import Check, Claim, Table

INDEX = "binary"
# Patterns per dimension of `hebb`: the overlap that is expected, and the tolerance of it.
OVERLAPS = {0.13: (0.99, 0.1), 0.15: (0.90, 0.2), 0.18: (0.66, 0.2), 0.25: (0.40, 0.1)}
LOADS = (0.05, 0.10, 0.12, 0.13, 0.138, 0.15, 0.16, 0.18, 0.20, 0.25, 0.30)
CLASSICAL_LIMIT = 0.138
# Of z^n: power, patterns, bit error (the definition counted with numpy: the mean over 20,000 and over
# 25 memories, between which it has a standard deviation of .0038 and .0014), and how many memories
# to measure, all and with --quick: fewer than one seed in a hundred then leaves the tolerance.
POLYNOMIAL = ((2, 20, 0.0112, (30, 10)), (3, 600, 0.0089, (3, 2)))
POLYNOMIAL_DIM = 100
BIT_ERROR_TOLERANCE = 0.35  # relative
# log2 of the number of patterns of exp, and the share that is expected to be stable; of 2^18 the
# definition counted with numpy gives .817 (1,200 patterns; standard error .011).
STABLE = {6: 1.00, 12: 1.00, 18: 0.82}
EXPONENTS = (6, 9, 12, 14, 16, 17, 18)
EXPONENTIAL_DIM = 24


def patterns(rng: np.random.Generator, count: int, dim: int) -> np.ndarray:
    """Rows of +1 and -1."""
    return (2 * rng.integers(0, 2, (count, dim)) - 1).astype(np.float32)


def overlaps(found: Recalls, rows: np.ndarray) -> np.ndarray:
    """Of states with patterns: 1 where they are the same."""
    return (found.states * rows).mean(axis=1)


def run_capacity(bench: Bench) -> Claim:
    dim = 1000
    claim = Claim(
        "A5",
        "capacity of the classical memory and of polynomial energies",
        "Amit, Gutfreund & Sompolinsky 1985; Krotov & Hopfield 2016",
        f"Random patterns of +1 and -1. hebb, d = {dim}: each pattern is a cue, and after the state "
        "has come to rest (asynchronous updates) their overlap is taken, the mean over the patterns "
        f"of {bench.size(3, 1)} memories. dam SHAPE power, d = {POLYNOMIAL_DIM}: each bit of a "
        "pattern in turn is hidden and recalled from the others; the share that comes back wrong.",
        bench.seed,
    )
    claim.not_run = bench.lacks("dam", "hebb")
    if claim.not_run:
        return claim
    rng = np.random.default_rng(bench.seed)
    loads = tuple(OVERLAPS) if bench.quick else LOADS
    curve = {load: _mean_overlap(bench, rng, dim, load) for load in loads}
    for load, (expected, tolerance) in OVERLAPS.items():
        claim.checks.append(
            Check(f"hebb, mean overlap at {load} d patterns", expected, curve[load], tolerance)
        )
    rows = []
    for power, count, expected, memories in POLYNOMIAL:
        error = _bit_error(bench, rng, power, count, bench.size(*memories))
        predicted = polynomial_bit_error(power, count, POLYNOMIAL_DIM)
        claim.checks.append(
            Check(
                f"z^{power}, {count} patterns, share of wrong bits",
                expected,
                error,
                BIT_ERROR_TOLERANCE * expected,
            )
        )
        rows.append((power, count, error, predicted, error / predicted))
    claim.tables.append(
        Table(
            "Beside the gaussian approximation, 1/2 erfc(1 / sqrt(2 v)) with "
            "v = K (2n - 3)!! / d^(n-1)",
            ("n", "patterns K", "measured", "predicted", "ratio"),
            rows,
        )
    )
    bench.memory.drop(INDEX)
    claim.draw = lambda pyplot: _draw_overlaps(pyplot, curve, dim)
    return claim


def _mean_overlap(bench: Bench, rng: np.random.Generator, dim: int, load: float) -> float:
    count = round(load * dim)
    means = []
    for _ in range(bench.size(3, 1)):
        rows = patterns(rng, count, dim)
        bench.memory.build(INDEX, rows, "dot", "hebb")
        found = bench.memory.recall(INDEX, range(count), f"A5 load {load}", top=0)
        means.append(overlaps(found, rows).mean())
    return float(np.mean(means))


def _bit_error(
    bench: Bench, rng: np.random.Generator, power: int, count: int, memories: int
) -> float:
    """The mean over some memories."""
    wrong = []
    for _ in range(memories):
        rows = patterns(rng, count, POLYNOMIAL_DIM)
        bench.memory.build(INDEX, rows, "dot", "dam", (("SHAPE", "power"), ("POWER", power)))
        for bit in range(POLYNOMIAL_DIM):
            mask = _all_but(bit, POLYNOMIAL_DIM)
            found = bench.memory.recall(
                INDEX, range(count), f"A5 z^{power}", mask=mask, steps=1, top=0
            )
            wrong.append((found.states[:, bit] != rows[:, bit]).mean())
    return float(np.mean(wrong))


def _all_but(bit: int, dim: int) -> str:
    """The mask that hides one coordinate."""
    ranges = ((0, bit - 1), (bit + 1, dim - 1))
    return ",".join(f"{first}-{last}" for first, last in ranges if first <= last)


def run_exponential(bench: Bench) -> Claim:
    dim = EXPONENTIAL_DIM
    asked = bench.size(2000, 100)
    exponents = EXPONENTS if not bench.quick else tuple(STABLE)[:2]
    claim = Claim(
        "A6",
        "an exponential energy stores about 2^(d/2) patterns",
        "Demircigil et al. 2017",
        f"dam SHAPE exp, d = {dim}, random patterns of +1 and -1: the share of patterns, of {asked} "
        "(or all, if there are fewer), that one turn of all signs leaves as they are.",
        bench.seed,
    )
    claim.not_run = bench.lacks("dam")
    if claim.not_run:
        return claim
    rng = np.random.default_rng(bench.seed)
    curve: dict[int, float] = {}
    for exponent in exponents:
        count = 2**exponent
        rows = patterns(rng, count, dim)
        bench.memory.build(INDEX, rows, "dot", "dam", (("SHAPE", "exp"),))
        items = rng.choice(count, size=min(asked, count), replace=False)
        found = bench.memory.recall(INDEX, items, f"A6 2^{exponent}", steps=1, top=0)
        curve[exponent] = float((overlaps(found, rows[items]) == 1).mean())
        if exponent in STABLE:
            claim.checks.append(
                Check(
                    f"stable share of 2^{exponent} patterns",
                    STABLE[exponent],
                    curve[exponent],
                    0.05,
                )
            )
    bench.memory.drop(INDEX)
    claim.draw = lambda pyplot: _draw_stable(pyplot, curve, dim)
    return claim


def _draw_overlaps(pyplot: Any, curve: dict[float, float], dim: int) -> Any:
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    axes.plot(list(curve), list(curve.values()), marker="o", label=f"hebb, d = {dim}")
    expected = [(load, overlap) for load, (overlap, _) in OVERLAPS.items()]
    errors = [tolerance for _, tolerance in OVERLAPS.values()]
    axes.errorbar(*zip(*expected), yerr=errors, fmt="s", color="C1", capsize=3, label="expected")
    axes.axvline(CLASSICAL_LIMIT, color="black", linestyle=":", label="0.138 d")
    axes.set(xlabel="patterns per dimension", ylabel="overlap of what is recalled with the pattern")
    axes.set_title("Capacity of the classical memory")
    axes.grid(True, alpha=0.3)
    axes.legend()
    return figure


def _draw_stable(pyplot: Any, curve: dict[int, float], dim: int) -> Any:
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    axes.plot(list(curve), list(curve.values()), marker="o", label=f"dam exp, d = {dim}")
    axes.plot(list(STABLE), list(STABLE.values()), "s", label="expected")
    axes.axvline(dim / 2, color="black", linestyle=":", label="2^(d/2)")
    axes.axvline(np.log2(CLASSICAL_LIMIT * dim), color="C3", linestyle=":", label="0.138 d")
    axes.set(xlabel="log2 of the number of patterns", ylabel="share that is stable", ylim=(0, 1.05))
    axes.set_title("Capacity with an exponential energy")
    axes.grid(True, alpha=0.3)
    axes.legend()
    return figure
