#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a search costs from Python, beside the same search from C++: the same graph, the same queries, in turns.

  experiments/python_overhead.py                       the bundled slice of words
  experiments/python_overhead.py --data glove-100      all of them

Python and C++ each have a copy of the saved index open. In a round both ask all queries, one after the other, and what
counts is the median of what the rounds tell: a machine that is busy is busy for both. Of many threads it also says how much
CPU time a search took, because on a busy machine eight threads get more of it than one: as long as that does not grow, they
keep no core from its work.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

import numpy as np

from common import HERE, UserError, add_rounds, run_main
from datasets import default_mode, load, sample_queries

SEED = 20
BUILD = HERE.parent / "build"
THREADS = (1, 2, 8)


def import_engramdb(build: Path):
    sys.path.insert(0, str(build / "server/hosts/python"))
    try:
        import engramdb
    except ImportError as error:
        raise UserError(f"no package engramdb in {build}: ninja -C {build} ({error})") from error
    return engramdb


class Cpp:
    """facade_cost, which has an index open."""

    def __init__(self, build: Path, directory: str, queries: Path, dim: int, k: int) -> None:
        command = [build / "experiments/facade_cost", directory, "index", queries, str(dim), str(k)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self) -> tuple[float, float]:
        """The median of single searches and the time of the batch, in microseconds."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        told = self.process.stdout.readline().split()
        if len(told) != 2:
            raise UserError(f"{self.process.args[0]} ended with {self.process.wait()}")
        return float(told[0]), float(told[1])

    def close(self) -> None:
        self.process.communicate()


def ask_python(index, queries: np.ndarray, k: int) -> tuple[float, float]:
    times = []
    for query in queries:
        start = time.perf_counter_ns()
        index.search(query, k)
        times.append(time.perf_counter_ns() - start)
    start = time.perf_counter_ns()
    index.search(queries, k)
    return median(times) / 1000, (time.perf_counter_ns() - start) / 1000


def ask_threads(index, queries: np.ndarray, k: int, threads: int) -> tuple[float, float]:
    """The time of a search and what it takes of a CPU, in microseconds."""

    def work() -> None:
        for query in queries:
            index.search(query, k)

    running = [threading.Thread(target=work) for _ in range(threads)]
    clock, cpu = time.perf_counter(), time.process_time()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    searches = threads * len(queries)
    return 1e6 * (time.perf_counter() - clock) / searches, 1e6 * (time.process_time() - cpu) / searches


def report(rounds: list[dict]) -> None:
    """Each figure is the median of the rounds, differences and ratios too."""
    cpp, python = (median(round_[name][0] for round_ in rounds) for name in ("cpp", "python"))
    more = median(round_["python"][0] - round_["cpp"][0] for round_ in rounds)
    print(f"single search, p50: C++ {cpp:.1f} us, Python {python:.1f} us, {more:+.1f} us")
    cpp, python = (median(round_[name][1] / 1000 for round_ in rounds) for name in ("cpp", "python"))
    share = median(round_["cpp"][1] / round_["python"][1] for round_ in rounds)
    print(f"batch: C++ {cpp:.1f} ms, Python {python:.1f} ms, {share:.2f} x C++")
    for threads in THREADS:
        clock = median(round_[threads][0] for round_ in rounds)
        faster = median(round_[1][0] / round_[threads][0] for round_ in rounds)
        dearer = median(round_[threads][1] / round_[1][1] for round_ in rounds)
        print(
            f"{threads} Python threads: {1e6 / clock:,.0f} searches/s, {faster:.2f} x one; "
            f"a search takes {dearer:.2f} x the CPU time"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="slice", help="slice, glove-100 or fashion-mnist-784")
    parser.add_argument("--build", type=Path, default=BUILD, help="the build folder")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--k", type=int, default=10)
    add_rounds(parser, 15)
    given = parser.parse_args()
    engramdb = import_engramdb(given.build)
    data = load(given.data)
    queries = np.ascontiguousarray(
        sample_queries(data, given.queries, SEED, default_mode(data)).vectors, dtype=np.float32
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "queries.f32"
        queries.tofile(path)
        rows = np.asarray(data.vectors, dtype=np.float32)
        with engramdb.Index(rows.shape[1], metric=data.metric) as index:
            index.add(data.keys, rows)
            for copy in ("cpp", "python"):
                index.save(f"{folder}/{copy}")
        cpp = Cpp(given.build, f"{folder}/cpp", path, rows.shape[1], given.k)
        rounds = []
        with engramdb.Index.load(f"{folder}/python") as index:
            for _ in range(given.rounds + 1):
                told: dict = {"cpp": cpp.ask(), "python": ask_python(index, queries, given.k)}
                told.update((threads, ask_threads(index, queries, given.k, threads)) for threads in THREADS)
                rounds.append(told)
        cpp.close()
    print(f"{given.data}, k {given.k}, {len(queries):,} queries, medians of {given.rounds} rounds")
    report(rounds[1:])  # the first warms up


if __name__ == "__main__":
    run_main(main)
