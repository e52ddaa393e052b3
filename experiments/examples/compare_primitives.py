#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An idea for a memory in twenty lines of Python, beside hopfield: which of them knows a pattern again, and at what noise?

  compare_primitives.py                 or cell by cell, in an editor that knows "# %%"
"""

# %% An idea: whatever the energy, recall the mean of the items that are nearest, each by its rank.
from __future__ import annotations

import argparse
from typing import Any, Optional

import engramdb
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@engramdb.primitive
class Ranks:
    """Recalls the mean of the nearest items, each weighing half as much as the one before it"""

    depth = engramdb.option(4, 1, 64, "how many items a recall is made of")

    def __init__(self, memory: engramdb.Memory) -> None:
        self.memory = memory

    def insert(self, slot: int) -> None:
        pass

    def erase(self, slot: int) -> None:
        pass

    def search(self, query: Floats, k: int) -> npt.NDArray[np.uint32]:
        return self.memory.slots

    def recall(self, cue: Floats, known: Optional[npt.NDArray[np.bool_]]) -> Floats:
        seen = np.ones(len(cue), dtype=np.bool_) if known is None else known
        distances = np.linalg.norm(self.memory.rows[:, seen] - cue[seen], axis=1)
        nearest = np.argsort(distances)[: int(self.depth)]
        weights = 0.5 ** np.arange(len(nearest), dtype=np.float32)
        state: Floats = weights @ self.memory.rows[nearest] / weights.sum()
        return state


# %% Patterns of which some are alike, so that noise makes one into another.
def patterns(count: int, dim: int, seed: int) -> Floats:
    generator = np.random.default_rng(seed)
    families = generator.standard_normal((max(count // 10, 1), dim))
    members = families[generator.integers(0, len(families), count)] + 0.5 * generator.standard_normal((count, dim))
    return np.asarray(members, dtype=np.float32)


# %% What each makes of the same cues.
def score(index: engramdb.Index, rows: Floats, noise: float, cues: int, seed: int, **options: Any) -> tuple[float, float]:
    """How often the right item is recalled, and how far the state is from it."""
    generator = np.random.default_rng(seed)
    right, distance = 0, 0.0
    for number in range(cues):
        cue = rows[number] + np.float32(noise) * generator.standard_normal(rows.shape[1], dtype=np.float32)
        found = index.recall(cue, **options)
        right += found.attractor == str(number)
        distance += float(np.linalg.norm(found.state - rows[number])) / cues
    return right / cues, distance


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--patterns", type=int, default=500)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--cues", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rows = patterns(given.patterns, given.dim, given.seed)
    keys = [str(number) for number in range(len(rows))]
    memories = {}
    for name in ("ranks", "hopfield"):
        memories[name] = engramdb.Index(given.dim, metric="l2", primitive=name)
        memories[name].add(keys, rows)
    memories["hopfield"].tune()
    print(f"{'noise':>6}" + "".join(f"{name:>24}" for name in memories))
    for noise in (0.0, 0.25, 0.5, 1.0):
        told = [score(index, rows, noise, given.cues, given.seed) for index in memories.values()]
        print(f"{noise:6.2f}" + "".join(f"{right:10.2f} right, {off:5.2f} off" for right, off in told))


if __name__ == "__main__":
    main()
