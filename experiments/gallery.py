#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Pictures of recall: cues beside what became of them, and energies on their way down.

  gallery.py                                   all, into the folder of results
  gallery.py --output experiments/figures      those of the documentation

Starts a server of its own and stores the first 10,000 Fashion-MNIST images under l2.
recall.png: three kinds of cue, what is recalled, the nearest neighbour and the original, for the
README. completions.png: for some stored images the cue, what is recalled, and the nearest neighbour by the
whole cue, for a hidden half with MASK, with noise on what is visible, and under noise; and lower
halves of images that are not stored. descent.png: the energy at each update, over its value at
rest, for separations and betas around the one that VTUNE finds.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from claims.images import HALF, SIDE, VISIBLE_HALF, Images, noisy, stride, without_half
from claims.memory import Memory
from claims.report import save_figure
from common import cache_root, require, run_main
from processes import ENGRAM, engram

INDEX, FLAT = "gallery", "gallery-flat"
COUNT = 10_000
SHOWN = 8
FRONT = {0: "stored, lower half hidden", 2: "stored, under noise", 4: "never seen, lower half hidden"}
FRONT_SHOWN = 6
TRACES = 8
SEPARATIONS = ("softmax", "entmax15", "sparsemax")
MULTIPLES = (0.05, 0.2, 1.0)  # of VTUNE's beta
LEAST_HEIGHT = 1e-6


@dataclass(frozen=True)
class Strip:
    """Rows of images of one kind of cue; hidden pixels are NaN."""

    title: str
    cues: np.ndarray
    recalled: np.ndarray
    nearest: np.ndarray
    originals: np.ndarray


def hide(cues: np.ndarray) -> np.ndarray:
    """The lower half unknown, for a picture."""
    shown = cues.copy()
    shown[:, HALF:] = np.nan
    return shown


def strips(memory: Memory, images: Images, seed: int) -> list[Strip]:
    rng = np.random.default_rng(seed)
    rows = images.stored
    originals = rows[np.sort(rng.choice(stride(COUNT, 200), SHOWN, replace=False))]
    unseen = images.unseen[rng.choice(len(images.unseen), SHOWN, replace=False)]

    def strip(title: str, wanted: np.ndarray, cues: np.ndarray, **options: Any) -> Strip:
        is_masked = "mask" in options
        found = memory.recall(INDEX, cues, "recalling", top=0, steps=1, **options)
        asked = without_half(cues) if is_masked else cues
        nearest = rows[memory.nearest(FLAT, asked)[:, 0]]
        return Strip(title, hide(cues) if is_masked else cues, found.states, nearest, wanted)

    return [
        strip("lower half hidden, MASK, BETA 4", originals, originals, beta=4, mask=VISIBLE_HALF),
        strip(
            "upper half with noise .6, MASK, NOISE .6",
            originals,
            noisy(originals, rng, 0.6),
            noise=0.6,
            mask=VISIBLE_HALF,
        ),
        strip("noise 1, NOISE 1", originals, noisy(originals, rng, 1.0), noise=1),
        strip("noise 1.5, NOISE 1.5", originals, noisy(originals, rng, 1.5), noise=1.5),
        strip(
            "images that are not stored, MASK, BETA 1", unseen, unseen, beta=1, mask=VISIBLE_HALF
        ),
    ]


def draw_strip(pyplot: Any, axes: Any, strip: Strip, shown: int, names: tuple[str, ...]) -> None:
    """Four rows: cues, what is recalled, nearest neighbours, originals."""
    palette = pyplot.get_cmap("gray").with_extremes(bad="#7a94b8")
    kinds = (strip.cues, strip.recalled, strip.nearest, strip.originals)
    lines = [np.hstack([image.reshape(SIDE, SIDE) for image in kind[:shown]]) for kind in kinds]
    axes.imshow(np.clip(np.vstack(lines), 0, 1), cmap=palette, interpolation="nearest")
    axes.set_yticks([SIDE * (at + 0.5) for at in range(len(names))], names, fontsize=8)
    axes.set_xticks([])
    axes.tick_params(length=0)


def draw_sheet(pyplot: Any, sheet: list[Strip]) -> Any:
    """One picture of all strips, one below the other."""
    figure, panels = pyplot.subplots(len(sheet), 1, figsize=(5.6, 2.75 * len(sheet)))
    for axes, strip in zip(panels, sheet):
        draw_strip(pyplot, axes, strip, SHOWN, ("cue", "recalled", "NN", "original"))
        axes.set_title(strip.title, fontsize=9)
    return figure


def draw_front(pyplot: Any, sheet: list[Strip]) -> Any:
    """Some strips side by side, small enough for a front page."""
    figure, panels = pyplot.subplots(1, len(FRONT), figsize=(10.5, 3))
    names = ("cue", "recalled", "nearest\nneighbour", "original")
    for axes, (at, title) in zip(panels, FRONT.items()):
        draw_strip(pyplot, axes, sheet[at], FRONT_SHOWN, names if axes is panels[0] else ())
        axes.set_title(title, fontsize=10)
    return figure


def draw_descents(pyplot: Any, memory: Memory, images: Images, seed: int) -> Any:
    """Energies above those at rest, by updates."""
    rng = np.random.default_rng(seed)
    beta = memory.tune(INDEX)
    wanted = rng.choice(stride(COUNT, 200), TRACES, replace=False)
    cues = noisy(images.stored[wanted], rng, 1.0)
    size = (3.4 * len(MULTIPLES), 2.6 * len(SEPARATIONS))
    figure, panels = pyplot.subplots(
        len(SEPARATIONS), len(MULTIPLES), figsize=size, sharey=True, squeeze=False
    )
    for row, separation in zip(panels, SEPARATIONS):
        for axes, multiple in zip(row, MULTIPLES):
            found = memory.recall(
                INDEX,
                cues,
                "descending",
                trace=True,
                beta=multiple * beta,
                sep=separation,
                steps=100,
                top=0,
            )
            for energies in found.energies:
                heights = np.maximum(energies - energies[-1], LEAST_HEIGHT)
                axes.plot(heights, marker="o", markersize=3, linewidth=1)
            right = int((found.attractors == wanted).sum())
            axes.set_title(
                f"{separation}, beta {multiple * beta:.2f} = {multiple:g} x VTUNE's\n"
                f"{right} of {TRACES} end at their original",
                fontsize=8,
            )
            axes.set_yscale("log")
            axes.grid(True, alpha=0.3)
    for axes in panels[-1]:
        axes.set_xlabel("updates")
    for axes in panels[:, 0]:
        axes.set_ylabel("energy - energy at rest")
    figure.suptitle(f"{TRACES} cues with noise 1, Fashion-MNIST, N = {COUNT:,}, l2", fontsize=10)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=42, help="of cues and noise (default 42)")
    parser.add_argument("--server", type=Path, default=ENGRAM, help="the server to run")
    parser.add_argument("--output", type=Path, default=cache_root() / "results")
    args = parser.parse_args()

    require("matplotlib", "python3-matplotlib").use("Agg")
    pyplot = require("matplotlib.pyplot", "python3-matplotlib")
    args.output.mkdir(parents=True, exist_ok=True)
    images = Images.read(COUNT)
    with engram(args.server, "--appendonly", "no") as server:
        server.start().close()
        memory = Memory(server.port)
        memory.build(INDEX, images.stored, "l2")
        memory.build(FLAT, images.stored, "l2", "flat")
        sheet = strips(memory, images, args.seed)
        save_figure(draw_front(pyplot, sheet), args.seed, args.output / "recall.png")
        save_figure(draw_sheet(pyplot, sheet), args.seed, args.output / "completions.png")
        descents = draw_descents(pyplot, memory, images, args.seed)
        save_figure(descents, args.seed, args.output / "descent.png")
    print(f"written: {args.output / 'recall.png'}, completions.png and descent.png")


if __name__ == "__main__":
    run_main(main)
