#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares engram's flat with faiss's IndexFlat: exact search, in one run on one core.

  compare_exact.py fashion-mnist-784
  compare_exact.py glove-100 --seed 7 --rounds 5

Both hold the same rows and are asked the same queries on one thread: all of them as one batch, and
some of them one at a time. They take turns in every round, and the median over the rounds counts.
The queries are cut from the rows as compare_graphs.py does it. All answers are held to those of
engram's batch: two rows at the same rank are the same or at the same distance to within 1e-5.
Prints a table, and writes it as JSON and as a plot.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import (
    UserError,
    add_rounds,
    cache_root,
    environment,
    progress,
    require,
    run_main,
)
from compare_graphs import PEERS, cut, messages, save_figure
from datasets import Dataset, load
from measure import write_results
from sources import SPECS


@dataclass
class Way:
    """One library asked in batches of one size. `qps` is the median over the rounds."""

    system: str
    batch: int
    qps: float
    swapped: int
    wrong: int


def run(args: argparse.Namespace, data: Dataset, folder: Path) -> list[Way]:
    """Writes the files that the program reads, and runs it."""
    parts = cut(data, args.queries, args.seed)
    command = [str(args.program), "--dim", str(data.dim), "--metric", data.metric]
    for name, array in {"rows": parts.rows, "queries": parts.queries}.items():
        array.tofile(folder / name)
        command += [f"--{name}", str(folder / name)]
    command += ["-k", str(args.k), "--rounds", str(args.rounds), "--singles", str(args.singles)]
    command += ["--core", str(args.core)]
    return follow(command, args.rounds)


def follow(command: list[str], rounds: int) -> list[Way]:
    """Runs the program, shows how far it is, and collects what it found."""
    ways = []
    with progress(rounds, "comparing", "rounds") as bar:
        for message in messages(command):
            if "round" in message:
                bar.update()
            elif "way" in message:
                way = message["way"]
                ways.append(Way(**{**way, "qps": statistics.median(way["qps"])}))
    return ways


def ratios(ways: list[Way]) -> dict[int, float]:
    """By size of the batch, engram's throughput as a multiple of faiss's."""
    own = {way.batch: way.qps for way in ways if way.system == "engram"}
    return {way.batch: own[way.batch] / way.qps for way in ways if way.system == "faiss"}


def print_table(ways: list[Way]) -> None:
    print(f"{'':10}{'batch':>8}{'qps':>12}{'swapped':>10}{'wrong':>8}")
    for way in ways:
        print(f"{way.system:10}{way.batch:8,}{way.qps:12,.1f}{way.swapped:10,}{way.wrong:8,}")
    for batch, ratio in ratios(ways).items():
        print(f"{'/ faiss':10}{batch:8,}{f'{ratio:.2f} x':>12}")


def plot(ways: list[Way], facts: dict[str, Any], path: Path) -> None:
    require("matplotlib", "python3-matplotlib").use("Agg")
    pyplot = require("matplotlib.pyplot", "python3-matplotlib")
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    bars = axes.bar(
        [f"{way.system}\nbatch of {way.batch:,}" for way in ways], [way.qps for way in ways]
    )
    axes.bar_label(bars, fmt="%.0f")
    axes.set(ylabel="queries per second, one core", yscale="log")
    axes.set_title(f"exact search, {facts['dataset']}, {facts['rows']:,} rows, k = {facts['k']}")
    save_figure(figure, facts, path)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=["slice", *SPECS])
    parser.add_argument("--queries", type=int, default=1000, help="in the batch (default 1000)")
    parser.add_argument("--singles", type=int, default=100, help="asked one at a time (default 100)")
    parser.add_argument("--seed", type=int, default=42, help="of the cut (default 42)")
    add_rounds(parser, 5)
    parser.add_argument("--core", type=int, default=0, help="that searches (default 0)")
    parser.add_argument("-k", type=int, default=10, help="neighbours per query (default 10)")
    parser.add_argument("--program", type=Path, default=PEERS / "compare_exact", help="the native half")
    parser.add_argument("--output", type=Path, default=cache_root() / "results")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    data = load(args.dataset)
    with tempfile.TemporaryDirectory(prefix="engram-compare-") as folder:
        ways = run(args, data, Path(folder))
    print_table(ways)
    facts = {
        "environment": environment(),
        "dataset": data.name,
        "metric": data.metric,
        "rows": len(data.vectors) - (args.queries if data.test_vectors is None else 0),
        **{name: getattr(args, name) for name in ("queries", "singles", "seed", "rounds", "k")},
    }
    results = {**facts, "ways": [vars(way) for way in ways], "ratios": ratios(ways)}
    path = write_results(args, f"exact-{data.name}", results)
    plot(ways, facts, path.with_suffix(".png"))
    print(f"written: {path} and {path.with_suffix('.png').name}")
    if any(way.wrong for way in ways):
        raise UserError("the answers differ by more than rounding")


if __name__ == "__main__":
    run_main(main)
