# SPDX-License-Identifier: Apache-2.0
"""A11, A15: learning rules beyond Hebb's, beside numpy."""

from __future__ import annotations

from typing import Any

import numpy as np

from claims.binary import overlaps, patterns
from claims.memory import Bench
from claims.report import Check, Claim, Table

INDEX = "learning"
SEEDS = 5
TOLERANCE = 0.05
TURNS = 100

DIM, LOAD = 200, 0.4
SLEEPS = (0.0, 0.5, 1.0, 3.0, 10.0)

# How many of the newest are recalled, by d: of 25 memories (d = 400: 15) by numpy. Fewer for each
# dimension as d grows, towards a limit.
SPANS = {100: 0.066, 200: 0.057, 400: 0.052}
SPAN_TOLERANCE = 0.015
SPAN_OVERLAP = 0.95
ITEMS_PER_DIM = 3


def relax(couplings: np.ndarray, states: np.ndarray, turns: int = TURNS) -> np.ndarray:
    """Each row after at most so many turns, signs one after the other, by couplings whose diagonal
    counts for nothing. A field of zero changes nothing."""
    couplings = couplings - np.diag(np.diag(couplings))
    states = states.astype(float)
    for _ in range(turns):
        before = states.copy()
        for sign in range(states.shape[1]):
            fields = states @ couplings[:, sign]
            changes = abs(fields) > 1e-9
            states[changes, sign] = np.sign(fields[changes])
        if (states == before).all():
            break
    return states


def dreaming(rows: np.ndarray, sleep: float) -> np.ndarray:
    """X^T (1 + t) (I + t C)^-1 X / d with C = X X^T / d, as Fachechi, Agliari & Barra write it."""
    count, dim = rows.shape
    kernel = np.linalg.inv(np.eye(count) + sleep * (rows @ rows.T) / dim)
    return (1 + sleep) * rows.T @ kernel @ rows / dim


def bounded(rows: np.ndarray, bound: int) -> np.ndarray:
    """Synapses that learned the rows one by one and never grew beyond the bound."""
    synapses = np.zeros((rows.shape[1],) * 2, np.int16)
    for row in rows.astype(np.int16):
        synapses = np.clip(synapses + np.outer(row, row), -bound, bound)
    return synapses.astype(float)


def run_dreaming(bench: Bench) -> Claim:
    count = round(LOAD * DIM)
    claim = Claim(
        "A11",
        "what is forgotten awake is kept by dreaming",
        "Fachechi, Agliari & Barra 2019; Personnaz, Guyon & Dreyfus 1985",
        f"hebb, d = {DIM}, {count} random patterns of +1 and -1, a load of {LOAD:g}. Each pattern "
        "is a cue; the overlap of what it recalls with it at rest, the mean of "
        f"{SEEDS} memories, by how long the network slept (RULE dream), with the pseudo-inverse "
        "and 400 rounds of unlearning beside it. The expected .50 without sleep is that of a network after four turns of all "
        "signs; at rest it is lower. Each state is compared with that of the kernel as the paper "
        "writes it, in numpy.",
        bench.seed,
    )
    claim.not_run = bench.lacks("hebb")
    if claim.not_run:
        return claim
    ways: dict[str, tuple[tuple[str, str], ...]] = {
        f"dream, t = {sleep:g}": (("RULE", "dream"), ("SLEEP", f"{sleep:g}")) for sleep in SLEEPS
    }
    ways["pseudoinverse"] = (("RULE", "pseudoinverse"),)
    ways["unlearn"] = (("RULE", "unlearn"), ("ROUNDS", "400"))
    found: dict[str, list[float]] = {way: [] for way in ways}
    early: list[float] = []
    same: list[float] = []
    for seed in range(bench.seed, bench.seed + SEEDS):
        rows = patterns(np.random.default_rng(seed), count, DIM)
        for way, options in ways.items():
            bench.memory.build(INDEX, rows, "dot", "hebb", options)
            recalled = bench.memory.recall(INDEX, range(count), f"A11 {way}", top=0)
            found[way].append(float(overlaps(recalled, rows).mean()))
            couplings = _reference(way, rows)
            if couplings is not None:
                same.append((relax(couplings, rows) == recalled.states).all(axis=1).mean())
            if way == "dream, t = 0":
                recalled = bench.memory.recall(INDEX, range(count), "A11", steps=4, top=0)
                early.append(float(overlaps(recalled, rows).mean()))
    bench.memory.drop(INDEX)
    means = {way: float(np.mean(each)) for way, each in found.items()}
    claim.checks = [
        Check("overlap after four turns, t = 0", 0.50, float(np.mean(early)), TOLERANCE),
        Check("overlap at rest, t = 10", 1.00, means["dream, t = 10"], TOLERANCE),
        Check("overlap at rest, pseudoinverse", 1.00, means["pseudoinverse"], 0),
        Check("the same states as by definition", 0.99, float(np.mean(same)), 0, "at least"),
        Check(
            "overlap at rest, unlearn, above that of t = 0",
            means["dream, t = 0"] + 0.1,
            means["unlearn"],
            0,
            "at least",
        ),
    ]
    claim.tables.append(
        Table(
            f"Overlap at rest, {SEEDS} memories",
            ("rule", "mean", "standard deviation", "least", "greatest"),
            [
                (way, means[way], float(np.std(each)), min(each), max(each))
                for way, each in found.items()
            ],
        )
    )
    claim.draw = lambda pyplot: _draw_dreaming(pyplot, found)
    return claim


def _reference(way: str, rows: np.ndarray) -> np.ndarray | None:
    rows = rows.astype(float)
    if way == "pseudoinverse":
        return np.linalg.pinv(rows) @ rows
    if way == "unlearn":
        return None
    return dreaming(rows, float(way.rpartition(" ")[2]))


def run_palimpsest(bench: Bench) -> Claim:
    claim = Claim(
        "A15",
        "bounded synapses keep the newest items, in proportion to d",
        "Parisi 1986",
        f"palimpsest with the bound that it chooses, {ITEMS_PER_DIM} d random patterns one after "
        "the other. Each of the newest is a cue; the overlap of what it recalls with it at rest, by "
        f"how many came after it, {SEEDS} memories for each d. The span is how many have an overlap "
        f"of {SPAN_OVERLAP:g} or more, the mean of the memories. Beside it an own run in numpy of "
        "the same rule on the same patterns. hebb has learned the same.",
        bench.seed,
    )
    claim.not_run = bench.lacks("hebb", "palimpsest")
    if claim.not_run:
        return claim
    dims = list(SPANS)[: bench.size(3, 2)]
    curves = {dim: _forgetting(bench, dim) for dim in dims}
    bench.memory.drop(INDEX)
    rows: list[tuple[Any, ...]] = []
    for dim, (measured, reference, unbounded) in curves.items():
        apart = abs(measured.mean(axis=0) - reference.mean(axis=0)).max()
        span, expected = (_span(overlap, dim) for overlap in (measured, reference))
        tail = float(measured[:, -measured.shape[1] // 4 :].mean())
        claim.checks += [
            Check(f"d = {dim}, farthest from the reference, any age", 0, float(apart), TOLERANCE),
            Check(f"d = {dim}, span / d", SPANS[dim], span, SPAN_TOLERANCE),
            Check(f"d = {dim}, span / d beside the reference", expected, span, 0.005),
            Check(f"d = {dim}, newest", 1, float(measured[:, 0].mean()), TOLERANCE),
            Check(f"d = {dim}, oldest quarter of those asked", 0.3, tail, 0, "at most"),
        ]
        total = float(measured.mean(axis=0).sum())
        rows.append((dim, span * dim, span, total, unbounded))
    claim.tables.append(
        Table(
            "Spans",
            ("d", "span", "span / d", "sum of overlaps", "overlap of the newest in hebb"),
            rows,
        )
    )
    claim.draw = lambda pyplot: _draw_forgetting(pyplot, curves)
    return claim


def _span(measured: np.ndarray, dim: int) -> float:
    """The share of d, of overlaps [memories, ages]."""
    return float((measured >= SPAN_OVERLAP).sum(axis=1).mean() / dim)


def _forgetting(bench: Bench, dim: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Overlaps by age of engram and of the reference, [seeds, ages], and that of hebb's newest."""
    ages = round(0.2 * dim)
    measured, reference, unbounded = [], [], []
    for seed in range(bench.seed, bench.seed + SEEDS):
        rows = patterns(np.random.default_rng(seed), ITEMS_PER_DIM * dim, dim)
        newest = np.arange(len(rows) - 1, len(rows) - 1 - ages, -1)
        bench.memory.build(INDEX, rows, "dot", "palimpsest")
        bound = int(bench.memory.info(INDEX)["synapse-bound"])
        found = bench.memory.recall(INDEX, newest.tolist(), f"A15 d={dim}", top=0)
        measured.append(overlaps(found, rows[newest]))
        states = relax(bounded(rows, bound), rows[newest])
        reference.append((states * rows[newest]).mean(axis=1))
        bench.memory.build(INDEX, rows, "dot", "hebb")
        found = bench.memory.recall(INDEX, newest[:5].tolist(), f"A15 d={dim}", top=0)
        unbounded.append(overlaps(found, rows[newest[:5]]).mean())
    return np.array(measured), np.array(reference), float(np.mean(unbounded))


def _draw_dreaming(pyplot: Any, found: dict[str, list[float]]) -> Any:
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    names = list(found)
    places = np.arange(len(names))
    axes.boxplot(list(found.values()), positions=places, widths=0.4)
    expected = [names.index("dream, t = 10")]
    axes.errorbar(expected, [1.0], yerr=TOLERANCE, fmt="s", color="C1", label="expected")
    axes.set_xticks(places, [name.replace("dream, ", "") for name in names], rotation=20)
    axes.set(ylabel="overlap at rest with the pattern", ylim=(0, 1.05))
    axes.set_title(f"{LOAD:g} d patterns, d = {DIM}, by the sleep of the network")
    axes.grid(True, alpha=0.3)
    axes.legend()
    return figure


def _draw_forgetting(pyplot: Any, curves: dict[int, tuple[np.ndarray, np.ndarray, float]]) -> Any:
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for at, (dim, (measured, reference, _)) in enumerate(curves.items()):
        ages = np.arange(measured.shape[1]) / dim
        mean = measured.mean(axis=0)
        band = 1.96 * measured.std(axis=0, ddof=1) / np.sqrt(len(measured))
        axes.plot(ages, mean, color=f"C{at}", label=f"d = {dim}")
        axes.fill_between(ages, mean - band, np.minimum(mean + band, 1), color=f"C{at}", alpha=0.2)
        axes.plot(ages, reference.mean(axis=0), ".", color=f"C{at}", markersize=4)
    axes.set(xlabel="items that came after, by d", ylabel="overlap at rest", ylim=(-0.05, 1.05))
    axes.set_title("Bounded synapses forget: bands of 95 %, dots by numpy")
    axes.grid(True, alpha=0.3)
    axes.legend()
    return figure
