# SPDX-License-Identifier: Apache-2.0
"""C1: which stored image is recalled from a spoilt one, by similarity, beta and separation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from claims.images import (
    VISIBLE_HALF,
    Images,
    clip_noisy,
    dropped,
    share_close,
    stride,
    without_half,
)
from claims.memory import Bench, Memory
from claims.report import Check, Claim
from claims.similarity import nearest_by_l1

ASKED = 200
# Items whose weights are read, to apply them to the images as they were. Where beta is low nearly
# all of them have one.
TOP, TOP_OF_LOW_BETA, LOW_BETA = 1000, 10_000, 28
NOISE_TOLERANCE = 0.04
METRICS = {"l2": "l2", "cosine": "cosine", "ip": "dot"}
# The columns: kind of cue and N.
COLUMNS = (
    ("half", 1000),
    ("half", 10_000),
    ("drop50", 1000),
    ("drop50", 10_000),
    ("clip-noise", 1000),
)
UNKNOWN = None


@dataclass(frozen=True)
class Method:
    """A way to recall, and (identified, SSE <= 50) as expected in each column."""

    name: str
    expected: tuple[tuple[float, float] | None, ...]
    metric: str = "l2"
    options: tuple[tuple[str, Any], ...] = ()
    primitive: str = "hopfield"


CONTROLS = (
    Method(
        "NN l2", ((0.050, 0.340), (0.045, 0.305), (0.075, 0.385), (0.040, 0.480), (0.105, 0.220))
    ),
    Method(
        "NN l1", ((0.220, 0.350), (0.120, 0.320), (0.590, 0.610), (0.510, 0.560), (0.310, 0.415))
    ),
    Method(
        "NN cosine",
        ((0.290, 0.440), (0.135, 0.325), (1.00, 1.00), (0.980, 1.00), (0.025, 0.030)),
        "cosine",
    ),
    Method(
        "NN ip",
        ((0.020, 0.075), (0.000, 0.035), (0.045, 0.120), (0.000, 0.000), (0.000, 0.000)),
        "ip",
    ),
)
RECALLS = (
    Method(
        "l2 4, MASK",
        ((1.00, 1.00), (1.00, 1.00), UNKNOWN, UNKNOWN, UNKNOWN),
        "l2",
        (("beta", 4), ("mask", VISIBLE_HALF)),
    ),
    Method(
        "cosine 28, one step",
        ((0.290, 0.815), (0.135, 0.780), (1.00, 0.985), (0.980, 0.885), (0.025, 0.255)),
        "cosine",
        (("beta", LOW_BETA), ("steps", 0)),
    ),
    Method(
        "cosine 28, converged",
        ((0.060, 0.560), (0.000, 0.470), (0.090, 0.525), (0.000, 0.405), (0.000, 0.185)),
        "cosine",
        (("beta", LOW_BETA),),
    ),
    Method(
        "cosine 100, converged",
        ((0.260, 0.455), (0.120, 0.345), (0.785, 0.995), (0.455, 0.920), (0.000, 0.105)),
        "cosine",
        (("beta", 100),),
    ),
    Method(
        "cosine 300, converged",
        ((0.295, 0.445), (0.135, 0.325), (0.995, 1.00), (0.960, 1.00), (0.025, 0.030)),
        "cosine",
        (("beta", 300),),
    ),
    Method(
        "l2 1, converged",
        ((0.045, 0.345), (0.010, 0.320), (0.065, 0.385), (0.000, 0.390), (0.095, 0.220)),
        "l2",
        (("beta", 1),),
    ),
    Method(
        "l2 4, converged",
        ((0.050, 0.340), (0.045, 0.305), (0.075, 0.385), (0.040, 0.475), (0.105, 0.220)),
        "l2",
        (("beta", 4),),
    ),
    Method(
        "sparsemax l2 1, converged",
        ((0.050, 0.340), (0.045, 0.305), (0.075, 0.385), (0.040, 0.475), (0.105, 0.220)),
        "l2",
        (("beta", 1), ("sep", "sparsemax")),
    ),
    Method(
        "lsr r = 3",
        ((0.050, 0.360), (0.035, 0.300), (0.075, 0.395), (0.040, 0.465), (0.105, 0.220)),
        "l2",
        (("radius", 3), ("outside", "nearest")),
        "lsr",
    ),
)
WHY_HALF = (
    "One cue is 0.005. Half masks are deterministic, but the reference does not say after how many "
    "updates it stopped (here: STEPS 32 and TOL 1e-4, the defaults). In numpy the shares go on "
    "falling: beta 28, N = 1,000: .565, .560, .550 after 20, 32 and 64 updates; beta 28, N = "
    "10,000: .475, .470, .465 after 16, 20 and 30; beta 100, N = 10,000: .345, .340 after 32, 50."
)
WHY_NOISE = (
    "The table's is one draw for 200 cues and so is this; the standard error of either is up to "
    ".035, so the tolerance is about one such error of their difference."
)


def run(bench: Bench) -> Claim:
    columns = [column for column in COLUMNS if not bench.quick or column[1] == 1000]
    methods = [method for method in RECALLS if bench.memory.has(method.primitive)]
    claim = Claim(
        "C1",
        "spoilt cues: what is identified",
        "Figures found with numpy beforehand, Fashion-MNIST",
        f"{ASKED} stored images at even stride as cues: lower half black, half of the pixels "
        "black, clip(|x + noise .5|). Identified: the heaviest item in the end is the original. "
        "SSE: the recalled image is within a squared distance of 50; under cosine it is the mean "
        f"by the weights of the {TOP:,} heaviest items (beta {LOW_BETA}: all) of the images as they "
        "were. Converged: STEPS 32, TOL 1e-4, the defaults. Nearest neighbours are a flat index's; l1 is numpy's.",
        bench.seed,
    )
    seen: dict[str, list[tuple[float, float] | None]] = {
        method.name: [None] * len(columns) for method in (*CONTROLS, *methods)
    }
    for count in sorted({count for _, count in columns}):
        rows = Images.read(count).stored
        wanted = stride(count, ASKED)
        rng = np.random.default_rng(bench.seed)
        cues = {
            "half": without_half(rows[wanted]),
            "drop50": dropped(rows[wanted], rng),
            "clip-noise": clip_noisy(rows[wanted], rng),
        }
        _build(bench.memory, rows, methods)
        for at, (kind, size) in enumerate(columns):
            if size != count:
                continue
            for method in CONTROLS:
                found = _nearest(bench.memory, rows, method, cues[kind])
                seen[method.name][at] = _score(found, rows[found], rows, wanted)
            for method in methods:
                if method.expected[at] is not UNKNOWN:
                    heaviest, images = _recall(bench.memory, rows, method, cues[kind])
                    seen[method.name][at] = _score(heaviest, images, rows, wanted)
    _drop(bench.memory)
    for method in (*CONTROLS, *methods):
        _check(claim, method, columns, seen[method.name])
    if len(methods) < len(RECALLS):
        claim.method += " This server has no lsr, whose row is left out."
    claim.draw = lambda pyplot: _draw(pyplot, columns, seen)
    return claim


def _build(memory: Memory, rows: np.ndarray, methods: list[Method]) -> None:
    for metric in {method.metric for method in CONTROLS}:
        memory.build(f"flat-{metric}", rows, METRICS[metric], "flat")
    for primitive, metric in {(method.primitive, method.metric) for method in methods}:
        memory.build(f"{primitive}-{metric}", rows, METRICS[metric], primitive)


def _drop(memory: Memory) -> None:
    kinds = ("flat", "hopfield", "lsr")
    memory.drop(*(f"{kind}-{metric}" for kind in kinds for metric in METRICS))


def _nearest(memory: Memory, rows: np.ndarray, method: Method, cues: np.ndarray) -> np.ndarray:
    if method.name == "NN l1":
        return nearest_by_l1(rows, cues)
    return memory.nearest(f"flat-{method.metric}", cues)[:, 0]


def _recall(
    memory: Memory, rows: np.ndarray, method: Method, cues: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The heaviest items, and the recalled images."""
    is_cosine = method.metric == "cosine"
    index = f"{method.primitive}-{method.metric}"
    options = dict(method.options)
    top = (TOP_OF_LOW_BETA if options["beta"] == LOW_BETA else TOP) if is_cosine else 0
    found = memory.recall(index, cues, f"C1 {method.name}", top=top, **options)
    return found.attractors, found.means(rows) if is_cosine else found.states


def _score(
    heaviest: np.ndarray, images: np.ndarray, rows: np.ndarray, wanted: np.ndarray
) -> tuple[float, float]:
    return float((heaviest == wanted).mean()), share_close(images, rows[wanted])


def _check(
    claim: Claim,
    method: Method,
    columns: list[tuple[str, int]],
    seen: list[tuple[float, float] | None],
) -> None:
    for column, measured in zip(columns, seen):
        expected = method.expected[COLUMNS.index(column)]
        if expected is None or measured is None:
            continue
        kind, count = column
        is_exact = kind == "half"
        for part, wanted, value in zip(("identified", "SSE <= 50"), expected, measured):
            claim.checks.append(
                Check(
                    f"{kind}, N = {count:,}: {method.name}, {part}",
                    wanted,
                    value,
                    0.0 if is_exact else NOISE_TOLERANCE,
                    why=WHY_HALF if is_exact else WHY_NOISE,
                )
            )


def _draw(
    pyplot: Any,
    columns: list[tuple[str, int]],
    seen: dict[str, list[tuple[float, float] | None]],
) -> Any:
    figure, axes = pyplot.subplots(figsize=(10, 5))
    values = np.array(
        [[np.nan if cell is None else cell[0] for cell in row] for row in seen.values()]
    )
    axes.imshow(values, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    for row, cells in enumerate(seen.values()):
        for at, cell in enumerate(cells):
            text = "" if cell is None else f"{cell[0]:.3f} / {cell[1]:.3f}"
            dark = cell is not None and cell[0] < 0.6
            axes.text(at, row, text, ha="center", va="center", color="white" if dark else "black")
    axes.set_xticks(range(len(columns)), [f"{kind}\nN = {count:,}" for kind, count in columns])
    axes.set_yticks(range(len(seen)), seen)
    axes.set_title("identified (colour) / share with SSE <= 50")
    return figure
