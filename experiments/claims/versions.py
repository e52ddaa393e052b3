# SPDX-License-Identifier: Apache-2.0
"""C5: of several versions of what is known, does the newest come first?"""

from __future__ import annotations

from typing import Any

import numpy as np

from claims.memory import Bench
from claims.report import Check, Claim, Table

INDEX = "versions"
CONCEPTS, VERSIONS, DIM = 200, 10, 64
BETA = 50
# Of the length of a concept. What is expected leaves it open; with this every share is near it.
NOISE = 0.31
VERSION_MS = 1_000_000
# Half-life in versions, none for no decay: how often the newest version is expected first.
EXPECTED = {None: 0.09, 4.0: 0.35, 1.0: 0.73, 0.5: 0.94}
TOLERANCE = 0.03


def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors: the versions of each concept, oldest first, [concepts, versions, dim], and
    another one as the cue, [concepts, dim]."""
    rng = np.random.default_rng(seed)

    def unit(rows: np.ndarray) -> np.ndarray:
        return rows / np.linalg.norm(rows, axis=-1, keepdims=True)

    def noise(*shape: int) -> np.ndarray:
        return NOISE / np.sqrt(DIM) * rng.standard_normal((*shape, DIM))

    concepts = unit(rng.standard_normal((CONCEPTS, DIM)))
    versions = unit(concepts[:, None] + noise(CONCEPTS, VERSIONS))
    return versions.astype(np.float32), unit(concepts + noise(CONCEPTS)).astype(np.float32)


def first_by_definition(versions: np.ndarray, cues: np.ndarray, half_life: float | None) -> Any:
    """The row, of all versions, with the greatest beta cos - ln2 age / half-life."""
    rows = versions.reshape(-1, DIM).astype(float)
    ages = np.tile(np.arange(VERSIONS)[::-1], CONCEPTS)
    bias = 0 if half_life is None else -np.log(2) * ages / half_life
    return (BETA * (cues.astype(float) @ rows.T) + bias).argmax(axis=1)


def first_by_engram(
    bench: Bench, versions: np.ndarray, cues: np.ndarray, half_life: float | None
) -> np.ndarray:
    words: list[Any] = ["BETA", BETA, "GRAPH", "none"]
    if half_life is not None:
        words += ["DECAY", "exp", int(half_life * VERSION_MS), "CLOCK", "logical"]
    bench.memory.make(INDEX, DIM, "cosine", "hopfield", *words)
    commands: list[tuple[Any, ...]] = []
    for row, vector in enumerate(versions.reshape(-1, DIM)):
        when = () if half_life is None else ("AT", row % VERSIONS * VERSION_MS)
        commands.append(("VADD", INDEX, row, vector.astype("<f4").tobytes(), *when))
    commands += [("VSEARCH", INDEX, cue.astype("<f4").tobytes(), 1) for cue in cues]
    found = bench.memory.run(commands, f"C5 H={half_life}")
    return np.array([int(reply[0]) for command, reply in found if command[0] == "VSEARCH"])


def run(bench: Bench) -> Claim:
    seeds = bench.size(10, 5)
    claim = Claim(
        "C5",
        "decay inside the search puts the newest version first",
        "own measurement",
        f"{CONCEPTS} concepts, {VERSIONS} noisy versions of each one after the other, d = {DIM}, "
        f"cosine, beta {BETA}; the noise has {NOISE:g} of a concept's length. hopfield, a version "
        "every 1,000 s, DECAY exp with a half-life in versions. The cue is another noisy version; "
        f"counted is how often a VSEARCH answers the newest one first, the mean over {seeds} "
        "samples. The same from the definition in float64.",
        bench.seed,
    )
    claim.not_run = bench.lacks("hopfield")
    if claim.not_run:
        return claim
    newest = np.arange(CONCEPTS) * VERSIONS + VERSIONS - 1
    shares: dict[float | None, list[float]] = {half_life: [] for half_life in EXPECTED}
    agreed = []
    for seed in range(bench.seed, bench.seed + seeds):
        versions, cues = draw(seed)
        for half_life in EXPECTED:
            found = first_by_engram(bench, versions, cues, half_life)
            shares[half_life].append(float((found == newest).mean()))
            agreed.append((found == first_by_definition(versions, cues, half_life)).mean())
    bench.memory.drop(INDEX)
    for half_life, expected in EXPECTED.items():
        what = "no decay" if half_life is None else f"half-life {half_life:g} versions"
        share = float(np.mean(shares[half_life]))
        claim.checks.append(Check(f"newest first, {what}", expected, share, TOLERANCE))
    claim.checks.append(
        Check("the same item as by definition", 0.999, float(np.mean(agreed)), 0, "at least")
    )
    claim.tables.append(
        Table(
            "Newest first, by sample",
            ("half-life", "mean", "standard deviation", "least", "greatest"),
            [
                (
                    "none" if half_life is None else half_life,
                    float(np.mean(each)),
                    float(np.std(each)),
                    min(each),
                    max(each),
                )
                for half_life, each in shares.items()
            ],
        )
    )
    claim.draw = lambda pyplot: _draw(pyplot, shares)
    return claim


def _draw(pyplot: Any, shares: dict[float | None, list[float]]) -> Any:
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    places = np.arange(len(shares))
    axes.boxplot(list(shares.values()), positions=places, widths=0.3)
    axes.errorbar(
        places, list(EXPECTED.values()), yerr=TOLERANCE, fmt="s", color="C1", label="expected"
    )
    names = ["no decay" if each is None else f"{each:g}" for each in shares]
    axes.set_xticks(places, names)
    axes.set(xlabel="half-life, in versions", ylabel="newest version first", ylim=(0, 1))
    axes.set_title("The newest of ten versions, by half-life")
    axes.grid(True, alpha=0.3)
    axes.legend()
    return figure
