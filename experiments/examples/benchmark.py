#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Builds an index over a raw file, and tells how fast it answers and how often it is right.

  benchmark.py vectors.bin                  what mock_data.py has written
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import engramdb
import numpy as np
import numpy.typing as npt


def nearest(rows: npt.NDArray[np.float32], query: npt.NDArray[np.float32], k: int) -> set[int]:
    """Rows have length one: the greatest product is the least angle."""
    best: list[int] = np.argpartition(rows @ query, -k)[-k:].tolist()
    return set(best)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--ef", type=int, default=64)
    parser.add_argument("--seed", type=int, default=2)
    given = parser.parse_args()

    rows = np.fromfile(given.file, dtype=np.float32).reshape(-1, given.dim)
    generator = np.random.default_rng(given.seed)
    queries = rows[generator.choice(len(rows), min(given.queries, len(rows)), replace=False)]
    queries = queries + np.float32(0.01) * generator.standard_normal(queries.shape, dtype=np.float32)
    exact = [nearest(rows, query, given.k) for query in queries]

    with engramdb.VectorDB(given.file, given.dim, M=16, ef_construction=200) as db:
        start = time.perf_counter()
        db.build_index(0, len(rows))
        seconds = time.perf_counter() - start
        where = "in the file" if db.is_mapped else "in memory"
        print(f"built {len(db):,} rows in {seconds:.1f} s, {len(db) / seconds:,.0f} rows/s; vectors are {where}")
        times, found = [], 0
        for query, best in zip(queries, exact):
            start = time.perf_counter()
            answer = db.search(query, given.k, ef=given.ef)
            times.append(1e6 * (time.perf_counter() - start))
            found += len({number for number, _ in answer} & best)
    p50, p99 = np.percentile(times, [50, 99])
    recall = found / (len(queries) * given.k)
    print(f"search: recall@{given.k} {recall:.3f}, p50 {p50:.0f} us, p99 {p99:.0f} us, {1e6 / np.mean(times):,.0f} searches/s")


if __name__ == "__main__":
    main()
