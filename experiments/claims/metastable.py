# SPDX-License-Identifier: Apache-2.0
"""A8: how many items a state is made of, by separation."""

from __future__ import annotations

from typing import Any

import numpy as np

from claims.images import Images
from claims.memory import Bench
from claims.report import Check, Claim, Table

INDEX = "metastable"
COUNT = 60_000
CUES = 500
UPDATES = 5
TOP = 512  # more than any support seen; a softmax weight above .01 is one of at most 100
LEAST_WEIGHT = {"softmax": 0.01, "entmax15": 0.0, "sparsemax": 0.0}
# The share of states of one item, by beta, of the first 500 test images.
EXPECTED = {
    0.1: {"softmax": 0.082, "entmax15": 0.598, "sparsemax": 0.928},
    1.0: {"softmax": 0.992, "entmax15": 0.998, "sparsemax": 1.0},
}
TOLERANCE = 0.03
SIGMAS = 2.6  # one normal draw in a hundred is farther off


def tolerance(share: float, cues: int) -> float:
    """3 points, or what two samples of images may differ by where that is more."""
    return max(TOLERANCE, SIGMAS * float(np.sqrt(share * (1 - share) * (1 / cues + 1 / CUES))))


def run(bench: Bench) -> Claim:
    cues = bench.size(CUES, 200)
    claim = Claim(
        "A8",
        "metastable states by separation",
        "Santos et al. 2024, table of metastable states (Fashion-MNIST in place of MNIST)",
        f"{COUNT:,} Fashion-MNIST images with pixels of -1 to 1, METRIC dot; {cues} of the test "
        f"images as cues. The size of a state is how many items have a weight in its {UPDATES}th "
        f"update, that is, after STEPS {UPDATES - 1} (softmax: above .01). One update later each "
        "share at beta .1 is about .02 greater. Expected is what the first 500 test images gave.",
        bench.seed,
    )
    images = Images.read(COUNT)
    bench.memory.build(INDEX, 2 * images.stored - 1, "dot")
    rng = np.random.default_rng(bench.seed)
    asked = 2 * images.unseen[rng.choice(len(images.unseen), cues, replace=False)] - 1
    sizes: dict[tuple[float, str], np.ndarray] = {}
    for beta, by_separation in EXPECTED.items():
        for separation, expected in by_separation.items():
            found = bench.memory.recall(
                INDEX,
                asked,
                f"A8 {separation} {beta:g}",
                beta=beta,
                sep=separation,
                steps=UPDATES - 1,
                top=TOP,
                cand="scan",
            )
            least = LEAST_WEIGHT[separation]
            counts = np.array([(weights > least).sum() for _, weights in found.supports])
            sizes[beta, separation] = counts
            claim.checks.append(
                Check(
                    f"beta {beta:g}, {separation}: share of size 1",
                    expected,
                    float((counts == 1).mean()),
                    tolerance(expected, cues),
                )
            )
    bench.memory.drop(INDEX)
    claim.tables.append(
        Table(
            "Sizes (softmax: 0 where all weights are at most .01)",
            ("beta", "separation", "median", "mean", "largest"),
            [
                (beta, name, float(np.median(counts)), float(counts.mean()), int(counts.max()))
                for (beta, name), counts in sizes.items()
            ],
        )
    )
    claim.draw = lambda pyplot: _draw(pyplot, sizes)
    return claim


def _draw(pyplot: Any, sizes: dict[tuple[float, str], np.ndarray]) -> Any:
    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True)
    edges = (0, 1, 2, 3, 4, 6, 11, TOP + 1)
    names = ("0", "1", "2", "3", "4-5", "6-10", "> 10")
    for axes, beta in zip(panels, EXPECTED):
        for at, separation in enumerate(EXPECTED[beta]):
            counts = sizes[beta, separation]
            shares = np.histogram(counts, edges)[0] / len(counts)
            places = np.arange(len(names)) + 0.27 * (at - 1)
            axes.bar(places, shares, 0.25, label=separation)
        axes.set_xticks(np.arange(len(names)), names)
        axes.set(xlabel="items in the state", title=f"beta {beta:g}")
        axes.grid(True, axis="y", alpha=0.3)
    panels[0].set_ylabel("share of states")
    panels[0].legend()
    return figure
