# SPDX-License-Identifier: Apache-2.0
"""Fashion-MNIST as pixels of 0 to 1, and the ways in which a cue is spoilt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common import UserError
from datasets import load

DATASET = "fashion-mnist-784"
SIDE = 28
HALF = SIDE * SIDE // 2
VISIBLE_HALF = f"0-{HALF - 1}"  # as MASK takes it: the upper half
WHITE = 255.0


@dataclass(frozen=True)
class Images:
    """float32 [count, 784]: those to store, in the order of the file, and others."""

    stored: np.ndarray
    unseen: np.ndarray

    @staticmethod
    def read(count: int) -> Images:
        data = load(DATASET)
        if data.test_vectors is None:
            raise UserError(f"{DATASET} has no test images here: fetch it anew")
        return Images(
            np.asarray(data.vectors[:count], np.float32) / np.float32(WHITE),
            np.asarray(data.test_vectors, np.float32) / np.float32(WHITE),
        )


def stride(count: int, cues: int) -> np.ndarray:
    """So many of `count` rows, evenly spread from the first on."""
    return np.arange(cues) * (count // cues)


def without_half(images: np.ndarray) -> np.ndarray:
    """The lower half black."""
    cues = images.copy()
    cues[:, HALF:] = 0
    return cues


def dropped(images: np.ndarray, rng: np.random.Generator, share: float = 0.5) -> np.ndarray:
    """That share of the pixels black."""
    return images * (rng.random(images.shape) >= share).astype(np.float32)


def noisy(images: np.ndarray, rng: np.random.Generator, sigma: float) -> np.ndarray:
    """Gaussian noise, unclipped."""
    return images + sigma * rng.standard_normal(images.shape, dtype=np.float32)


def clip_noisy(images: np.ndarray, rng: np.random.Generator, sigma: float = 0.5) -> np.ndarray:
    """The noise of Millidge et al. 2022 as their code makes it: clip(|x + noise|) to 0..1."""
    return np.clip(np.abs(noisy(images, rng, sigma)), 0, 1)


def mean_square(found: np.ndarray, wanted: np.ndarray) -> float:
    """By coordinate."""
    return float(np.mean((np.asarray(found, np.float64) - wanted) ** 2))


def share_close(found: np.ndarray, wanted: np.ndarray, limit: float = 50.0) -> float:
    """The share with a squared distance of at most 50, Millidge et al.'s criterion."""
    return float(np.mean(((np.asarray(found, np.float64) - wanted) ** 2).sum(axis=1) <= limit))
