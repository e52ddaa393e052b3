# SPDX-License-Identifier: Apache-2.0
"""C4: what consolidation keeps of Fashion-MNIST, beside random subsampling and k-means at equal size."""

from __future__ import annotations

from typing import Any

import numpy as np

from claims.images import DATASET, Images, stride
from claims.memory import Bench
from claims.report import Check, Claim, Table
from common import cache_root

PRIMITIVE = "hopfield"
BETA = 0.5
RADIUS = 4.35
PLAIN = "plain"
ROW_BYTES = 784 * 4
CLASSES = 10
CLASS = "class"


def run(bench: Bench) -> Claim:
    count = bench.size(60_000, 6000)
    claim = Claim(
        "C4",
        "consolidation",
        "McClelland et al. 1995; Hartigan 1975 (leader); Lloyd 1982 (k-means)",
        f"{count} images in an index for each class, from which VCONSOLIDATE with METHOD leader, RADIUS {RADIUS} and MINSIZE 1 "
        f"writes INTO one {PRIMITIVE} index with DECAY static. Beside it: as many images of each class drawn at random, and METHOD "
        "kmeans with as many centres for each class. Each is copied INTO an index without strengths, RADIUS 0 and MINSIZE 1. "
        "Accuracy: test images that have the label of the prototype that VMSEARCH finds nearest there. Kept: stored images, "
        "evenly spaced, of which the same is true. Energy: the mean of VENERGY over test images, of strengths themselves.",
        bench.seed,
    )
    claim.not_run = bench.lacks(PRIMITIVE, "flat")
    if claim.not_run:
        return claim
    stored, unseen, labels, unseen_labels = _read(count)
    tests = stride(len(unseen), bench.size(2000, 1000))
    probes = (unseen[tests], unseen_labels[tests], stored, labels, bench)
    memory = bench.memory
    names = ("all", "leader", "random", "kmeans")
    for name in names:
        memory.build(name, stored[:0], "l2", PRIMITIVE, _options())
    memory.add("all", stored, 0)
    drawn = []
    foretold = True
    for label in range(CLASSES):
        rows = np.flatnonzero(labels == label)
        memory.build(CLASS, stored[:0], "l2", "flat", ())
        memory.add_rows(CLASS, stored, rows)
        into = (("RADIUS", RADIUS), ("MINSIZE", 1), ("INTO", "leader"))
        told = memory.consolidate(CLASS, *into, ("DRYRUN",))
        done = memory.consolidate(CLASS, *into)
        foretold &= told == done
        seed = ("SEED", bench.seed)
        memory.consolidate(
            CLASS, ("METHOD", "kmeans"), ("K", done.groups), seed, ("MINSIZE", 1), ("INTO", "kmeans")
        )
        drawn.append(np.random.default_rng(bench.seed).permutation(rows)[: done.groups])
        memory.drop(CLASS)
    memory.add_rows("random", stored, np.sort(np.concatenate(drawn)))
    rows = []
    for name in names:
        accuracy, kept, energy = _measure(name, labels, probes)
        items = int(memory.info(name)["size"])
        if name == "random":  # each for as many as were left out
            energy -= np.log(count / items) / BETA
        rows.append((name, items, items * ROW_BYTES, accuracy, kept, energy))
    by_name = {row[0]: row for row in rows}
    claim.tables.append(
        Table(
            f"what is left of {count} images",
            ("what", "items", "bytes of rows", "accuracy", "kept", "energy of test images"),
            rows,
        )
    )
    leader = by_name["leader"]
    claim.checks += [
        Check("DRYRUN told of all groups as they were written", 1, float(foretold)),
        Check("share of the images that is left", 0.42, leader[1] / count, 0.25 if bench.quick else 0.02),
        Check(
            "accuracy, at least that of k-means",
            by_name["kmeans"][3],
            leader[3],
            0.03 if bench.quick else 0.005,
            "at least",
        ),
        Check("stored images whose nearest prototype is of their class", 0.97, leader[4], 0, "at least"),
        Check("energy of test images, at most that of a random draw", by_name["random"][5], leader[5], 0, "at most"),
    ]
    claim.draw = lambda pyplot: _draw(pyplot, rows)
    memory.drop(*names)
    return claim


def _options() -> tuple[tuple[str, str], ...]:
    return (("GRAPH", "none"), ("BETA", str(BETA)), ("DECAY", "static"))


def _read(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    images = Images.read(count)
    folder = cache_root() / DATASET
    return (
        images.stored,
        images.unseen,
        np.load(folder / "labels.npy")[:count],
        np.load(folder / "query_labels.npy"),
    )


def _measure(name: str, labels: np.ndarray, probes: Any) -> tuple[float, float, float]:
    tests, test_labels, stored, _, bench = probes
    bench.memory.build(PLAIN, stored[:0], "l2", "flat", ())
    bench.memory.consolidate(name, ("RADIUS", 0), ("MINSIZE", 1), ("INTO", PLAIN))
    found = labels[bench.memory.nearest_of_many(PLAIN, tests)]
    items = stride(len(stored), bench.size(4000, 1000))
    kept = labels[bench.memory.nearest_of_many(PLAIN, stored[items])]
    bench.memory.drop(PLAIN)
    energy = bench.memory.mean_energy(name, tests[stride(len(tests), 200)], BETA)
    return float((found == test_labels).mean()), float((kept == labels[items]).mean()), energy


def _draw(pyplot: Any, rows: list[tuple]) -> Any:
    figure, axes = pyplot.subplots(1, 3, figsize=(10, 3.2))
    for axis, column, title in zip(axes, (3, 4, 5), ("accuracy", "kept", "energy of test images")):
        axis.bar([row[0] for row in rows], [row[column] for row in rows])
        low = min(row[column] for row in rows)
        high = max(row[column] for row in rows)
        axis.set_ylim(low - (high - low) * 0.5 - 1e-3, high + (high - low) * 0.2 + 1e-3)
        axis.set_title(title)
    figure.tight_layout()
    return figure
