# SPDX-License-Identifier: Apache-2.0
"""A7: which similarity tells spoilt images apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from claims.images import Images, clip_noisy, share_close, without_half
from claims.memory import Bench
from claims.report import Check, Claim, Table

INDEX = "similarity"
COUNT = 100
BETA = 1e6
SEEDS = 3
METRICS = {"l2": "l2", "ip": "dot", "cosine": "cosine"}
# (identified, squared error <= 50) by kind of cue and similarity.
EXPECTED = {
    "half": {"l1": (0.30, 0.37), "l2": (0.13, 0.28), "ip": (0.03, 0.05), "cosine": (0.46, 0.57)},
    "clip-noise": {
        "l1": (0.40, 0.47),
        "l2": (0.15, 0.26),
        "ip": (0.02, 0.04),
        "cosine": (0.11, 0.18),
    },
}
TOLERANCES = {"half": 0.0, "clip-noise": 0.08}


def nearest_by_l1(rows: np.ndarray, cues: np.ndarray) -> np.ndarray:
    """In numpy: engram has no such metric."""
    return np.array([np.abs(rows - cue).sum(axis=1).argmin() for cue in cues])


def run(bench: Bench) -> Claim:
    seeds = bench.size(SEEDS, 1)
    claim = Claim(
        "A7",
        "the similarity decides what is recalled",
        "Millidge et al. 2022, similarity comparison (Fashion-MNIST in place of MNIST)",
        f"The first {COUNT} Fashion-MNIST images, each a cue: the lower half black, or "
        f"clip(|x + noise .5|) ({seeds} draws). One update at BETA {BETA:g}. Identified: the "
        "recalled item is the original; SSE: the recalled image is within a squared distance of "
        "50. l1 is computed in numpy, as a control: engram has no such metric.",
        bench.seed,
    )
    rows = Images.read(COUNT).stored
    originals = np.tile(np.arange(COUNT), seeds)
    rng = np.random.default_rng(bench.seed)
    cues = {
        "half": (without_half(rows), np.arange(COUNT)),
        "clip-noise": (clip_noisy(rows[originals], rng), originals),
    }
    seen: dict[str, dict[str, tuple[float, float]]] = {kind: {} for kind in cues}
    for kind, (vectors, wanted) in cues.items():
        seen[kind]["l1"] = _score(rows, nearest_by_l1(rows, vectors), wanted)
    for name, metric in METRICS.items():
        bench.memory.build(INDEX, rows, metric)
        for kind, (vectors, wanted) in cues.items():
            found = bench.memory.recall(INDEX, vectors, "A7", beta=BETA, steps=1, top=0)
            seen[kind][name] = _score(rows, found.onestep, wanted)
    bench.memory.drop(INDEX)
    for kind, by_name in EXPECTED.items():
        for name, expected in by_name.items():
            for part, at in (("identified", 0), ("SSE <= 50", 1)):
                claim.checks.append(
                    Check(
                        f"{kind}, {name}, {part}",
                        expected[at],
                        seen[kind][name][at],
                        TOLERANCES[kind],
                    )
                )
    claim.tables.append(_orders(seen))
    claim.draw = lambda pyplot: _draw(pyplot, seen)
    return claim


def _score(rows: np.ndarray, found: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    return float((found == wanted).mean()), share_close(rows[found], rows[wanted])


def _orders(seen: dict[str, dict[str, tuple[float, float]]]) -> Table:
    rows = [
        (kind, " > ".join(sorted(by_name, key=lambda name: -by_name[name][0])))
        for kind, by_name in seen.items()
    ]
    return Table("Order by identification (the paper's: l1, l2 > ip)", ("cue", "order"), rows)


def _draw(pyplot: Any, seen: dict[str, dict[str, tuple[float, float]]]) -> Any:
    figure, panels = pyplot.subplots(1, 2, figsize=(9, 4), sharey=True)
    for axes, (kind, by_name) in zip(panels, seen.items()):
        places = np.arange(len(by_name))
        for at, part in enumerate(("identified", "SSE <= 50")):
            values = [scores[at] for scores in by_name.values()]
            axes.bar(places + 0.38 * (at - 0.5), values, 0.36, label=part)
            expected = [EXPECTED[kind][name][at] for name in by_name]
            axes.plot(places + 0.38 * (at - 0.5), expected, "_", markersize=14, color="black")
        axes.set_xticks(places, by_name)
        axes.set_title(f"{kind}, N = {COUNT} (dashes: expected)")
        axes.grid(True, axis="y", alpha=0.3)
    panels[0].legend()
    return figure
