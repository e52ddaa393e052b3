#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Completes images of which the lower half is hidden: what an associative memory recalls, and how near that is.

  complete_images.py                                    images of blobs, made here
  complete_images.py --data fashion-mnist-784           once it was fetched: experiments/datasets.py
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import engramdb
import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from datasets import load  # noqa: E402

SIDE = 28
SHADES = " .:-=+*#%@"
Images = npt.NDArray[np.float32]


def blobs(count: int, seed: int) -> Images:
    """[count, SIDE * SIDE], from 0 to 1: each has four of them."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    images = np.zeros((count, SIDE, SIDE))
    for _ in range(4):
        centre = generator.uniform(4, SIDE - 4, (2, count, 1, 1))
        width = generator.uniform(2, 5, (count, 1, 1))
        images += np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * width**2))
    return np.clip(images, 0, 1).reshape(count, -1).astype(np.float32)


def load_images(name: str, count: int, seed: int) -> Images:
    if name == "blobs":
        return blobs(count, seed)
    rows = load(name).vectors
    chosen = np.sort(np.random.default_rng(seed).choice(len(rows), count, replace=False))
    return np.asarray(rows[chosen], dtype=np.float32) / np.float32(255)


def picture(*images: Images) -> str:
    """Side by side, in letters; every other line of pixels, because letters are high."""
    lines = []
    for line in range(0, SIDE, 2):
        parts = (np.clip(image.reshape(SIDE, SIDE)[line], 0, 1) * (len(SHADES) - 1) for image in images)
        lines.append("   ".join("".join(SHADES[int(shade)] for shade in part) for part in parts))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="blobs", help="blobs or fashion-mnist-784")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--cues", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    images = load_images(given.data, given.images, given.seed)
    with engramdb.Index(images.shape[1], metric="l2", primitive="hopfield") as memory:
        memory.add([str(number) for number in range(len(images))], images)
        memory.tune()
        right, error = 0, 0.0
        for number in range(min(given.cues, len(images))):
            cue = images[number].copy()
            cue[SIDE * SIDE // 2 :] = 0
            found = memory.recall(cue, mask=slice(0, SIDE * SIDE // 2))
            right += found.attractor == str(number)
            error += float(np.sqrt(np.mean((found.state - images[number]) ** 2))) / min(given.cues, len(images))
            if number == 0:
                print(picture(cue, found.state, images[0]))
    print(f"cue, recalled, stored. {right} of {min(given.cues, len(images))} recalled; {error:.4f} off a pixel on average")


if __name__ == "__main__":
    main()
