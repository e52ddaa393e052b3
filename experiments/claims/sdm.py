# SPDX-License-Identifier: Apache-2.0
"""A9: how many locations of a sparse distributed memory an address activates, and what it reads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from claims.binary import patterns
from claims.formulas import SparseMemory, ball_share, shared_ball_shares
from claims.memory import Bench
from claims.report import Check, Claim, Table

INDEX = "sparse-distributed"
# Kanerva's own: of 2^1000 addresses, .001072 lie within 451 of each.
DIM, RADIUS, ACTIVATION = 1000, 451, 0.001072
LOCATIONS, PROBES = 20_000, 1000
SIGMAS = 4

READ_DIM, READ_LOCATIONS = 256, 10_000
COUNTS = (50, 100, 200, 400, 800)
FLIPS = (0, 13, 26, 38, 51, 64, 77)
ASKED = 400
STEPS = 30
ERROR_TOLERANCE = 0.02
# Kanerva's example has one item for a hundred locations.
LARGEST_SPARSE_LOAD = 0.01
WITHIN, BEYOND = 0.5, 1.2


@dataclass(frozen=True)
class Reading:
    """From items with so many signs flipped: the share of wrong signs after one reading, and after
    at most STEPS the same and the share of items that are exact."""

    count: int
    flips: int
    once: float
    at_rest: float
    recovered: float


def run(bench: Bench) -> Claim:
    counts = COUNTS if not bench.quick else (100, 400)
    asked = bench.size(ASKED, 100)
    claim = Claim(
        "A9",
        "sparse distributed memory",
        "Kanerva 1988",
        f"Activation: {DIM} signs, RADIUS {RADIUS}, as VINFO states it, and counted by VDIAG over "
        f"random addresses and {LOCATIONS} locations (tolerance: {SIGMAS} binomial standard "
        f"deviations). Reading: {READ_LOCATIONS} locations of {READ_DIM} signs at the radius that "
        f"is chosen for them, N random items, {asked} cues that are items with flipped signs. One "
        "reading is held against an expectation by signal and noise. The critical distance is "
        f"where that leads no nearer. From {BEYOND:g} times as far, cues are to come to rest farther "
        f"from their items than they were; from {WITHIN:g} of it nearer, where N is at most "
        f"{LARGEST_SPARSE_LOAD:g} of the locations: with more, the errors of a reading are no "
        "random ones for the next, and the true basins are smaller, as the table shows.",
        bench.seed,
    )
    claim.not_run = bench.lacks("sdm")
    if claim.not_run:
        return claim
    rng = np.random.default_rng(bench.seed)
    _check_activation(bench, rng, claim)
    shared = None
    readings = []
    models = {}
    for count in counts:
        rows = patterns(rng, count, READ_DIM)
        options = (("LOCATIONS", str(READ_LOCATIONS)), ("SEED", str(bench.seed)))
        bench.memory.build(INDEX, rows, "l2", "sdm", options)
        if shared is None:
            shared = shared_ball_shares(
                READ_DIM, int(bench.memory.info(INDEX)["activation-radius"])
            )
        models[count] = SparseMemory(shared, READ_LOCATIONS, count)
        readings += [_read(bench, rng, rows, flips, asked) for flips in FLIPS]
        _check_distance(bench, rng, rows, models[count], asked, claim)
    bench.memory.drop(INDEX)
    for reading in readings:
        claim.checks.append(
            Check(
                f"wrong signs after one reading, N = {reading.count}, {reading.flips} flipped",
                models[reading.count].reading_error(reading.flips),
                reading.once,
                ERROR_TOLERANCE,
            )
        )
    claim.tables.append(
        Table(
            f"At rest, after at most {STEPS} readings",
            ("N", "critical distance", "flipped", "wrong signs", "recovered exactly"),
            [
                (
                    reading.count,
                    models[reading.count].critical_distance(),
                    reading.flips,
                    reading.at_rest,
                    reading.recovered,
                )
                for reading in readings
            ],
        )
    )
    claim.draw = lambda pyplot: _draw(pyplot, readings, models)
    return claim


def _flipped(rng: np.random.Generator, rows: np.ndarray, count: int) -> np.ndarray:
    """Each row with `count` of its signs, drawn anew, flipped."""
    flips = np.ones(rows.shape, np.float32)
    flips[:, :count] = -1
    return rows * rng.permuted(flips, axis=1)


def _check_activation(bench: Bench, rng: np.random.Generator, claim: Claim) -> None:
    exact = float(ball_share(DIM, RADIUS))
    rows = patterns(rng, PROBES, DIM)
    options = (("LOCATIONS", str(LOCATIONS)), ("RADIUS", str(RADIUS)), ("SEED", str(bench.seed)))
    bench.memory.build(INDEX, rows, "l2", "sdm", options)
    stated = float(bench.memory.info(INDEX)["activation"])
    seen = bench.memory.diagnose(INDEX, sample=PROBES, steps=0)["activated"] / LOCATIONS
    error = math.sqrt(exact * (1 - exact) / (PROBES * LOCATIONS))
    what = f"addresses within {RADIUS}, of a thousand"
    claim.checks += [
        Check(f"{what}: exact fractions", 1000 * ACTIVATION, 1000 * exact, 1e-3, is_formula=True),
        Check(f"{what}: VINFO", 1000 * ACTIVATION, 1000 * stated, 1e-3),
        Check(f"{what}: VINFO / exact fractions", 1.0, stated / exact, 1e-9),
        Check(f"{what}: counted", 1000 * exact, 1000 * seen, 1000 * SIGMAS * error),
    ]


def _recall(
    bench: Bench, rng: np.random.Generator, rows: np.ndarray, flips: int, asked: int, steps: int
) -> np.ndarray:
    """Which signs of each state are wrong, [asked, dim]."""
    sought = rows[np.arange(asked) % len(rows)]
    cues = _flipped(rng, sought, flips)
    found = bench.memory.recall(INDEX, cues, f"A9 N={len(rows)}", steps=steps, top=0)
    return found.states != sought


def _read(
    bench: Bench, rng: np.random.Generator, rows: np.ndarray, flips: int, asked: int
) -> Reading:
    once = _recall(bench, rng, rows, flips, asked, 1)
    at_rest = _recall(bench, rng, rows, flips, asked, STEPS)
    recovered = float((~at_rest.any(axis=1)).mean())
    return Reading(len(rows), flips, float(once.mean()), float(at_rest.mean()), recovered)


def _check_distance(
    bench: Bench,
    rng: np.random.Generator,
    rows: np.ndarray,
    model: SparseMemory,
    asked: int,
    claim: Claim,
) -> None:
    def check(share: float, relation: str) -> Check:
        flips = round(share * model.critical_distance())
        wrong = _recall(bench, rng, rows, flips, asked, STEPS)
        what = f"wrong signs at rest, N = {len(rows)}, {share:g} of the critical distance"
        return Check(what, flips, float(wrong.sum(axis=1).mean()), relation=relation)

    if BEYOND * model.critical_distance() < model.dim / 2:
        claim.checks.append(check(BEYOND, "at least"))
    if len(rows) <= LARGEST_SPARSE_LOAD * READ_LOCATIONS:
        claim.checks.append(check(WITHIN, "at most"))


def _draw(pyplot: Any, readings: list[Reading], models: dict[int, SparseMemory]) -> Any:
    figure, (once, at_rest) = pyplot.subplots(1, 2, figsize=(10, 4.5))
    flips = np.arange(0, max(FLIPS) + 1)
    for at, (count, model) in enumerate(models.items()):
        colour = f"C{at}"
        seen = [reading for reading in readings if reading.count == count]
        places = [reading.flips for reading in seen]
        wrong = [READ_DIM * reading.once for reading in seen]
        expected = [READ_DIM * model.reading_error(int(flip)) for flip in flips]
        once.plot(flips, expected, color=colour, linewidth=1)
        once.plot(places, wrong, "o", color=colour, label=f"N = {count}")
        recovered = [reading.recovered for reading in seen]
        at_rest.plot(places, recovered, "o-", color=colour, label=f"N = {count}")
        at_rest.axvline(model.critical_distance(), color=colour, linestyle=":", linewidth=1)
    once.plot(flips, flips, color="black", linewidth=1, linestyle="--", label="no nearer")
    once.set(ylabel="wrong signs after one reading", title="Lines: expected; dots: engram")
    at_rest.set(ylabel="recovered exactly", title="At rest; dotted: critical distance")
    at_rest.set_xlim(-3, max(FLIPS) + 3)
    for axes in (once, at_rest):
        axes.set_xlabel(f"flipped signs of {READ_DIM}")
        axes.grid(True, alpha=0.3)
        axes.legend(fontsize=8)
    return figure
