#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares searches of the Python package with those of Debian's python3-hnswlib and python3-faiss, in one process.

  compare_python.py fashion-mnist-784
  compare_python.py glove-100 --rounds 5

Every library builds a graph over the same rows with the same M and ef_construction. One thread asks each of them the same
queries, one at a time, at growing ef; the libraries take turns at every ef, and the median over the rounds counts. What
counts is the CPU time of the process, which other programs disturb less than the clock; the clock's is written beside it.
Queries, the cut of the rows and the rate at a recall are those of compare_graphs.py.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Callable

import numpy as np

from common import add_rounds, environment, progress, require, run_main
from compare_graphs import EFS, ENOUGH_RECALL, RECALLS, Curve, Cut, Point, cut, ratio, usable_efs
from datasets import load
from measure import write_results
from python_overhead import BUILD, import_engramdb
from sources import SPECS

# What is fastest does not stand still at first.
WARM_UP_QUERIES = 100

Search = Callable[[np.ndarray, int, int], Any]  # query [dim], k, ef
Name = Callable[[Any], list[int]]  # the rows of an answer


@dataclass
class System:
    """A library that has built its graph. `search` is what is measured."""

    search: Search
    rows_of: Name
    build_cpu_seconds: float = 0.0
    ef: int = 0
    recall: dict[int, float] = field(default_factory=dict)
    cpu_us: dict[int, list[float]] = field(default_factory=dict)
    clock_us: dict[int, list[float]] = field(default_factory=dict)

    def curve(self, name: str) -> Curve:
        """Of CPU time."""
        points = [
            Point(ef, self.recall[ef], [1e6 / us for us in self.cpu_us[ef]], self.cpu_us[ef]) for ef in sorted(self.recall)
        ]
        return Curve(name, {1: self.build_cpu_seconds}, 0, points)


def make_engramdb(args: argparse.Namespace, parts: Cut, **options: Any) -> System:
    engramdb = import_engramdb(args.build)
    dim = parts.rows.shape[1]
    index = engramdb.Index(dim, metric=parts.metric, m=args.m, ef_construction=args.ef_construction, **options)
    index.add([str(row) for row in range(len(parts.rows))], parts.rows)
    return System(lambda query, k, ef: index.search(query, k, ef=ef), lambda answer: [int(key) for key in answer.keys])


def make_hnswlib(args: argparse.Namespace, parts: Cut) -> System:
    hnswlib = require("hnswlib", "python3-hnswlib")
    index = hnswlib.Index(space=parts.metric, dim=parts.rows.shape[1])
    index.init_index(max_elements=len(parts.rows), M=args.m, ef_construction=args.ef_construction, random_seed=args.seed)
    index.add_items(parts.rows)
    index.set_num_threads(1)
    system = System(lambda query, k, ef: index.knn_query(query, k), lambda answer: answer[0][0].tolist())

    def search(query: np.ndarray, k: int, ef: int) -> Any:
        if system.ef != ef:
            index.set_ef(ef)
            system.ef = ef
        return index.knn_query(query, k)

    system.search = search
    return system


def make_faiss(args: argparse.Namespace, parts: Cut) -> System:
    faiss = require("faiss", "python3-faiss")
    metric = faiss.METRIC_L2 if parts.metric == "l2" else faiss.METRIC_INNER_PRODUCT
    index = faiss.IndexHNSWFlat(parts.rows.shape[1], args.m, metric)
    index.hnsw.efConstruction = args.ef_construction
    index.add(parts.rows)
    faiss.omp_set_num_threads(1)

    def search(query: np.ndarray, k: int, ef: int) -> Any:
        index.hnsw.efSearch = ef
        return index.search(query[np.newaxis], k)

    return System(search, lambda answer: answer[1][0].tolist())


MAKERS: dict[str, Callable[[argparse.Namespace, Cut], System]] = {
    "engramdb": make_engramdb,
    "engramdb-sq8": lambda args, parts: make_engramdb(args, parts, quant="sq8"),
    "engramdb-sq4": lambda args, parts: make_engramdb(args, parts, quant="sq4"),
    "hnswlib": make_hnswlib,
    "faiss": make_faiss,
}
PEERS = ("hnswlib", "faiss")


def measure(system: System, queries: np.ndarray, k: int, ef: int, truth: np.ndarray) -> None:
    for query in queries[:WARM_UP_QUERIES]:
        system.search(query, k, ef)
    clock, cpu = time.perf_counter(), time.process_time()
    answers = [system.search(query, k, ef) for query in queries]
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    system.cpu_us.setdefault(ef, []).append(1e6 * cpu / len(queries))
    system.clock_us.setdefault(ef, []).append(1e6 * clock / len(queries))
    found = sum(len(set(system.rows_of(answer)) & set(near)) for answer, near in zip(answers, truth.tolist()))
    system.recall[ef] = found / truth.size


def build(args: argparse.Namespace, parts: Cut) -> dict[str, System]:
    systems = {}
    with progress(len(args.system), "building", "graphs") as bar:
        for name in args.system:
            bar.set_postfix_str(name)
            begun = time.process_time()
            systems[name] = MAKERS[name](args, parts)
            systems[name].build_cpu_seconds = time.process_time() - begun
            bar.update()
    return systems


def run(args: argparse.Namespace, systems: dict[str, System], parts: Cut, truth: np.ndarray) -> None:
    """A system is not followed beyond ENOUGH_RECALL."""
    efs = usable_efs(args)
    with progress(args.rounds * len(efs), "searching", "settings") as bar:
        for round_ in range(args.rounds):
            going = list(systems)
            for ef in efs:
                for name in going[round_ % max(len(going), 1) :] + going[: round_ % max(len(going), 1)]:
                    measure(systems[name], parts.queries, args.k, ef, truth)
                going = [name for name in going if systems[name].recall[ef] < ENOUGH_RECALL]
                bar.update()


def print_table(systems: dict[str, System]) -> None:
    """Searches per second of CPU at a recall, and engramdb's as multiples of each peer's."""
    curves = {name: system.curve(name) for name, system in systems.items()}
    titles = "".join(f"{f'searches/s at {recall}':>22}" for recall in RECALLS)
    print(f"{'':26}{titles}{'build, CPU s':>16}")
    for name, curve in curves.items():
        cells = "".join(f"{curve.qps_at(recall) or '-'!s:>22}" for recall in RECALLS)
        print(f"{name:26}{cells}{curve.build_seconds[1]:16.1f}")
    for name in (name for name in curves if name not in PEERS):
        for peer in (peer for peer in PEERS if peer in curves):
            cells = "".join(f"{ratio(curves[name].qps_at(recall), curves[peer].qps_at(recall)):>22}" for recall in RECALLS)
            print(f"{f'{name} / {peer}':26}{cells}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=["slice", *SPECS])
    parser.add_argument("--system", nargs="+", choices=MAKERS, default=list(MAKERS))
    parser.add_argument("--queries", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--seed", type=int, default=42, help="of the cut (default 42)")
    add_rounds(parser, 5)
    parser.add_argument("--m", type=int, default=16)
    parser.add_argument("--ef-construction", type=int, default=200)
    parser.add_argument("--ef", type=int, nargs="+", default=EFS, help="of the searches; those below k are left out")
    parser.add_argument("-k", type=int, default=10, help="neighbours per query (default 10)")
    parser.add_argument("--build", type=Path, default=BUILD, help="the build folder")
    parser.add_argument("--output", type=Path, help="folder of the results (default: results/ in the dataset cache)")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    parts = cut(load(args.dataset), args.queries, args.seed)
    truth = parts.truth(args.k)
    systems = build(args, parts)
    run(args, systems, parts, truth)
    print(f"{args.dataset}, {len(parts.rows):,} rows, {args.queries:,} queries, k {args.k}, median of {args.rounds} rounds")
    print_table(systems)
    names = ("dataset", "queries", "seed", "rounds", "m", "ef_construction", "k")
    facts = {"environment": environment(), **{name: getattr(args, name) for name in names}, "rows": len(parts.rows)}
    curves = [asdict(system.curve(name)) for name, system in systems.items()]
    clocks = {
        name: {ef: statistics.median(us) for ef, us in system.clock_us.items()} for name, system in systems.items()
    }
    print("written:", write_results(args, f"python-{args.dataset}", {**facts, "curves": curves, "clock_us": clocks}))


if __name__ == "__main__":
    run_main(main)
