#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares engram's hnsw with the graph indexes of other libraries, in one run on one machine.

  compare_graphs.py fashion-mnist-784
  compare_graphs.py glove-100 --seed 7 --rounds 5

Every library builds over the same rows with the same M and ef_construction and two threads. Then
one core asks each of them the same queries, one at a time, at growing ef; the libraries take turns
at every ef, and the median over the rounds counts. The queries are cut from the rows by the seed
(or, where a dataset ships test vectors, drawn from those), and are in no index. Throughput at a
recall is interpolated between the two settings around it. Prints a table, and writes it as JSON and
as a plot.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common import UserError, cache_root, environment, progress, require, run_main
from datasets import Dataset, Queries, load
from ground_truth import exact_neighbours
from sources import SPECS

PEERS = Path(__file__).resolve().parents[1] / "build-gcc" / "experiments" / "peers"
VARIANTS = ("engram", "engram-sq8", "engram-sq4", "engram-sq8-only", "engram-sq4-only")
SYSTEMS = (*VARIANTS, "hnswlib", "faiss")
RECALLS = (0.90, 0.95, 0.99)
EFS = (10, 12, 16, 20, 24, 32, 40, 50, 64, 80, 100, 128, 160, 200, 256, 320, 400, 512, 640, 800)


@dataclass(frozen=True)
class Cut:
    """Rows to be indexed, and queries that are not among them. Under cosine all have length one, so
    that libraries without that metric may use inner products."""

    rows: np.ndarray
    queries: np.ndarray


@dataclass
class Curve:
    """What one library showed. `points` are (ef, recall, queries per second), by ef."""

    system: str
    build_seconds: float
    bytes: int
    points: list[tuple[int, float, float]]

    def qps_at(self, recall: float) -> float | None:
        """Interpolated in the logarithms of the miss rate and the throughput; None where the curve
        does not reach."""
        for (_, low, slow), (_, high, fast) in zip(self.points, self.points[1:]):
            if low <= recall <= high and low < high:
                share = (_miss(recall) - _miss(low)) / (_miss(high) - _miss(low))
                return math.exp(math.log(slow) + share * (math.log(fast) - math.log(slow)))
        return None


def _miss(recall: float) -> float:
    return math.log(max(1 - recall, 1e-9))


def cut(data: Dataset, count: int, seed: int) -> Cut:
    """Draws the queries; those that are rows are taken out of the rows."""
    rng = np.random.default_rng(seed)
    source = data.vectors if data.test_vectors is None else data.test_vectors
    if count > len(source) // 2:
        raise UserError(f"{count} queries are too many: {data.name} has {len(source)} to draw from")
    chosen = np.sort(rng.choice(len(source), size=count, replace=False))
    queries = np.array(source[chosen], dtype=np.float32)
    rows = np.array(data.vectors, dtype=np.float32)
    if data.test_vectors is None:
        rows = np.delete(rows, chosen, axis=0)
    if data.metric == "cosine":
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    return Cut(rows, queries)


def run(args: argparse.Namespace, data: Dataset, folder: Path) -> list[Curve]:
    """Writes the files that the program reads, and runs it."""
    parts = cut(data, args.queries, args.seed)
    nowhere = np.full(len(parts.queries), -1)
    truth = exact_neighbours(parts.rows, Queries(parts.queries, nowhere), args.k, data.metric)
    files = {"rows": parts.rows, "queries": parts.queries, "truth": truth.rows.astype(np.uint32)}
    command = [str(args.program), "--dim", str(data.dim), "--metric", data.metric]
    for name, array in files.items():
        array.tofile(folder / name)
        command += [f"--{name}", str(folder / name)]
    command += ["--m", str(args.m), "--ef-construction", str(args.ef_construction)]
    command += ["-k", str(args.k), "--threads", str(args.threads), "--rounds", str(args.rounds)]
    command += [word for name in args.system for word in ("--system", name)]
    command += [word for ef in EFS if ef >= args.k for word in ("--ef", str(ef))]
    return follow(command, len(args.system), args.rounds)


def messages(command: list[str]) -> Iterator[dict[str, Any]]:
    """Runs a native program and yields what it prints, a JSON object a line."""
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            yield from map(json.loads, process.stdout or ())
    except OSError as error:
        raise UserError(
            f"cannot run {command[0]}: {error.strerror}; tests/run.sh gcc builds it, with "
            "libhnswlib-dev, libfaiss-dev and libopenblas-pthread-dev"
        ) from error
    if process.returncode != 0:
        raise UserError(f"{command[0]} ended with {process.returncode}")


def follow(command: list[str], systems: int, rounds: int) -> list[Curve]:
    """Runs the program, shows how far it is, and collects what it found."""
    curves: dict[str, Curve] = {}
    with progress(systems + rounds * len(EFS), "comparing", "steps") as bar:
        for message in messages(command):
            if "building" in message:
                bar.set_postfix_str(f"building {message['building']}")
            if "building" in message or "round" in message:
                bar.update()
            else:
                collect(message, curves)
    return list(curves.values())


def collect(message: dict[str, Any], curves: dict[str, Curve]) -> None:
    if "build" in message:
        build = message["build"]
        curves[build["system"]] = Curve(build["system"], build["seconds"], build["bytes"], [])
    else:
        point = message["curve"]
        qps = statistics.median(point["qps"])
        curves[point["system"]].points.append((point["ef"], point["recall"], qps))


def print_table(curves: list[Curve], rows: int) -> None:
    """Every library's figures, and engram's as multiples of each peer's."""
    titles = "".join(f"{f'qps at {recall}':>14}" for recall in RECALLS)
    print(f"{'':10}{titles}{'build s':>10}{'bytes/row':>11}")
    for curve in curves:
        cells = "".join(f"{_number(curve.qps_at(recall)):>14}" for recall in RECALLS)
        print(
            f"{curve.system:10}{cells}{curve.build_seconds:10.1f}{curve.bytes / rows:11,.0f}"
        )
    own = next((curve for curve in curves if curve.system == "engram"), None)
    for peer in curves if own is not None else ():
        if peer is own:
            continue
        pairs = [(own.qps_at(recall), peer.qps_at(recall)) for recall in RECALLS]
        cells = "".join(f"{f'{a / b:.2f} x' if a and b else '-':>14}" for a, b in pairs)
        print(
            f"{'/ ' + peer.system:10}{cells}{own.build_seconds / peer.build_seconds:8.2f} x"
            f"{own.bytes / peer.bytes:9.2f} x"
        )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def plot(curves: list[Curve], facts: dict[str, Any], path: Path) -> None:
    require("matplotlib", "python3-matplotlib").use("Agg")
    pyplot = require("matplotlib.pyplot", "python3-matplotlib")
    figure, axes = pyplot.subplots(figsize=(8, 5.5))
    for curve in curves:
        points = [(recall, qps) for _, recall, qps in curve.points if recall >= 0.8]
        axes.plot(*zip(*points), marker="o", markersize=3, label=curve.system)
    axes.set(xlabel=f"recall@{facts['k']}", ylabel="queries per second, one core", yscale="log")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    where = facts["environment"]
    axes.set_title(
        f"{facts['dataset']}, {facts['rows']:,} rows, M {facts['m']}, "
        f"ef_construction {facts['ef_construction']}"
    )
    figure.text(
        0.5,
        0.01,
        f"{facts['queries']} unseen queries, seed {facts['seed']}, median of {facts['rounds']}; "
        f"{where['cpu']}; commit {where['commit']}\n{where['command']}",
        ha="center",
        va="bottom",
        fontsize=7,
    )
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=["slice", *SPECS])
    parser.add_argument("--system", action="append", choices=SYSTEMS, help="default: all")
    parser.add_argument("--queries", type=int, default=1000, help="how many queries (default 1000)")
    parser.add_argument("--seed", type=int, default=42, help="of the cut (default 42)")
    parser.add_argument("--rounds", type=int, default=5, help="median of so many (default 5)")
    parser.add_argument("--m", type=int, default=16)
    parser.add_argument("--ef-construction", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2, help="that build (default 2)")
    parser.add_argument("-k", type=int, default=10, help="neighbours per query (default 10)")
    parser.add_argument("--program", type=Path, default=PEERS / "compare_graphs", help="the native half")
    parser.add_argument("--output", type=Path, default=cache_root() / "results")
    args = parser.parse_args()
    args.system = args.system or list(SYSTEMS)
    return args


def main() -> None:
    args = parse_arguments()
    data = load(args.dataset)
    with tempfile.TemporaryDirectory(prefix="engram-compare-") as folder:
        curves = run(args, data, Path(folder))
    rows = len(data.vectors) - (args.queries if data.test_vectors is None else 0)
    print_table(curves, rows)
    facts = {
        "environment": environment(),
        "dataset": data.name,
        "rows": rows,
        **{name: getattr(args, name) for name in ("queries", "seed", "rounds", "m", "k", "threads")},
        "ef_construction": args.ef_construction,
    }
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / f"graphs-{data.name}.json"
    results = {**facts, "curves": [vars(curve) for curve in curves]}
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    plot(curves, facts, path.with_suffix(".png"))
    print(f"written: {path} and {path.with_suffix('.png').name}")


if __name__ == "__main__":
    run_main(main)
