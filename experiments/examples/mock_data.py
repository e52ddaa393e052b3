#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a raw file of float32 rows that lie in clusters, as what an encoder of texts makes does: what benchmark.py searches.

  mock_data.py vectors.bin                  100,000 rows of 384 dimensions
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

ROWS_AT_ONCE = 10_000
ROWS_OF_CLUSTER = 100


def write(path: Path, count: int, dim: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((max(count // ROWS_OF_CLUSTER, 1), dim), dtype=np.float32)
    with path.open("wb") as file:
        for first in range(0, count, ROWS_AT_ONCE):
            size = min(ROWS_AT_ONCE, count - first)
            rows = centres[generator.integers(0, len(centres), size)]
            rows += np.float32(0.5) * generator.standard_normal((size, dim), dtype=np.float32)
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            rows.tofile(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    write(given.file, given.rows, given.dim, given.seed)
    print(f"{given.file}: {given.rows:,} rows of {given.dim} float32, {given.file.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
