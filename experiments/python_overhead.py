#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a search costs from Python, beside the same search from C++: the same graph, the same queries, in turns.

  experiments/python_overhead.py                       the bundled slice of words
  experiments/python_overhead.py --data glove-100      all of them

Python and C++ each open the directory that the index was saved in. A round is a process of C++ and as many searches of Python;
of the rounds the least median counts, because nothing but the rest of the machine makes one slower.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from common import HERE, UserError, run_main
from datasets import default_mode, load, sample_queries

SEED = 20
BUILD = HERE.parent / "build"


def import_engramdb(build: Path):
    sys.path.insert(0, str(build / "server/hosts/python"))
    try:
        import engramdb
    except ImportError as error:
        raise UserError(f"no package engramdb in {build}: ninja -C {build} ({error})") from error
    return engramdb


def ask_cpp(build: Path, directory: str, queries: Path, dim: int, k: int) -> tuple[float, float]:
    """The median of single searches and the time of the batch, in microseconds."""
    command = [build / "experiments/facade_cost", directory, "index", queries, str(dim), str(k)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(told[0]), float(told[1])


def ask_python(index, queries: np.ndarray, k: int) -> tuple[float, float]:
    times = []
    for _ in range(2):  # the first warms up
        times.clear()
        for query in queries:
            start = time.perf_counter_ns()
            index.search(query, k)
            times.append(time.perf_counter_ns() - start)
    start = time.perf_counter_ns()
    index.search(queries, k)
    return statistics.median(times) / 1000, (time.perf_counter_ns() - start) / 1000


def searches_per_second(index, queries: np.ndarray, k: int, threads: int) -> float:
    def work() -> None:
        for query in queries:
            index.search(query, k)

    running = [threading.Thread(target=work) for _ in range(threads)]
    start = time.perf_counter()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return threads * len(queries) / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="slice", help="slice, glove-100 or fashion-mnist-784")
    parser.add_argument("--build", type=Path, default=BUILD, help="the build folder")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    engramdb = import_engramdb(given.build)
    data = load(given.data)
    queries = np.ascontiguousarray(
        sample_queries(data, given.queries, SEED, default_mode(data)).vectors, dtype=np.float32
    )
    with tempfile.TemporaryDirectory() as folder:
        directory = f"{folder}/store"
        path = Path(folder) / "queries.f32"
        queries.tofile(path)
        rows = np.asarray(data.vectors, dtype=np.float32)
        with engramdb.Index(rows.shape[1], metric=data.metric) as index:
            index.add(data.keys, rows)
            index.save(directory)
        cpp, python = [], []
        for _ in range(given.rounds):
            cpp.append(ask_cpp(given.build, directory, path, rows.shape[1], given.k))
            with engramdb.Index.load(directory) as index:
                python.append(ask_python(index, queries, given.k))
        single = [min(times[0] for times in told) for told in (cpp, python)]
        batch = [min(times[1] for times in told) for told in (cpp, python)]
        with engramdb.Index.load(directory) as index:
            rates = {threads: searches_per_second(index, queries, given.k, threads) for threads in (1, 2, 8)}
    print(f"{given.data}, k {given.k}, {len(queries):,} queries, best of {given.rounds} rounds")
    print(f"single search, p50: C++ {single[0]:.1f} us, Python {single[1]:.1f} us, {single[1] - single[0]:+.1f} us")
    print(f"batch of {len(queries):,}: C++ {batch[0] / 1000:.1f} ms, Python {batch[1] / 1000:.1f} ms, {batch[0] / batch[1]:.2f} x C++")
    for threads, rate in rates.items():
        print(f"{threads} Python threads: {rate:,.0f} searches/s, {rate / rates[1]:.2f} x one")


if __name__ == "__main__":
    run_main(main)
